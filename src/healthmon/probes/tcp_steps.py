"""A conversation by lines over TCP: wait for a line, say one, go over to TLS; what was said is not kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.model.sample import Reason
from healthmon.probes.dialogue import Dialogue
from healthmon.probes.http_expect import check_patterns
from healthmon.probes.reasons import Finding

_GROUP = re.compile(r"\$\{(\d+)\}")
_MOST_LINES = 1000


@dataclass(frozen=True, slots=True)
class Step:
    """In this order: a line that `expect` matches, or exactly `expect_bytes`; then `send`; then TLS.

    `${1}` in `send` is the first group of `expect`; a line feed follows it. `send_hex` goes out as it is.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    expect: str | None = None
    expect_bytes: str | None = None
    send: str | None = None
    send_hex: str | None = None
    starttls: bool = False

    def __post_init__(self) -> None:
        check_patterns(expect=self.expect)
        if self.expect is not None and self.expect_bytes is not None:
            raise ValueError("expect: and expect_bytes exclude each other")
        if self.send_hex is not None and not re.fullmatch(r"([0-9A-Fa-f]{2})*", self.send_hex):
            raise ValueError("send_hex: is not a row of bytes (allowed: pairs of hexadecimal digits)")


async def converse(call: Dialogue, steps: tuple[Step, ...]) -> None:
    """All steps. Raises Finding(bad_response, closed) at the first that goes wrong."""
    for step in steps:
        call.phases.enter("answer")
        groups: tuple[str, ...] = ()
        if step.expect is not None:
            groups = await _line_like(call, re.compile(step.expect.encode()))
        if step.expect_bytes is not None:
            wanted = step.expect_bytes.encode()
            if await call.exactly(len(wanted)) != wanted:
                raise Finding(Reason.BAD_RESPONSE, "the answer does not match")
        if step.send:
            await call.send(_filled(step.send, groups).encode() + b"\n")
        if step.send_hex:
            await call.send(bytes.fromhex(step.send_hex))
        if step.starttls:
            await call.start_tls()


async def _line_like(call: Dialogue, pattern: re.Pattern[bytes]) -> tuple[str, ...]:
    """The groups of the first line that matches; the last may be without an end. Raises Finding(bad_response)."""
    for number in range(_MOST_LINES):
        ended: Finding | None = None
        try:
            line = await call.line()
        except Finding as finding:
            ended, line = finding, call.rest()
        found = pattern.search(line)
        if found and (ended is None or line):
            return tuple((group or b"").decode("utf-8", "replace") for group in found.groups())
        if ended is not None and (ended.fault.reason is not Reason.CLOSED or not (number or line)):
            raise ended
        if ended is not None:
            break
    raise Finding(Reason.BAD_RESPONSE, "the answer does not match")


def _filled(text: str, groups: tuple[str, ...]) -> str:
    return _GROUP.sub(lambda found: groups[int(found[1]) - 1] if 0 < int(found[1]) <= len(groups) else "", text)
