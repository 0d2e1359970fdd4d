"""SSH: the banner and the algorithms on offer. No key exchange, no login."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes.dialogue import Dialogue, place_of
from healthmon.probes.http_expect import check_patterns
from healthmon.probes.look import Settings
from healthmon.probes.param_checks import check_network
from healthmon.probes.reasons import Finding

FAMILIES = (
    Family(
        "ssh",
        frozenset(
            {"dns_seconds", "connect_seconds", "banner_seconds", "algorithms_seconds", "duration_seconds"}
            | {"protocol", "weak_algorithms"}
        ),
    ),
)

_KEXINIT = 20
#: RFC 4253 section 6.1: implementations need not take packets above 35,000 bytes.
_MOST_PACKET = 35_000
_MOST_LINES = 50
_LISTS = 10
#: Names that RFC 9142 and RFC 8758 retire, or that the protocol's makers removed.
WEAK = frozenset(
    {
        "diffie-hellman-group1-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group-exchange-sha1",
        "rsa1024-sha1", "ssh-dss", "ssh-rsa", "3des-cbc", "blowfish-cbc", "cast128-cbc", "aes128-cbc", "aes192-cbc",
        "aes256-cbc", "arcfour", "arcfour128", "arcfour256", "none", "hmac-md5", "hmac-md5-96", "hmac-sha1-96",
        "hmac-md5-etm@openssh.com", "hmac-md5-96-etm@openssh.com", "hmac-sha1-96-etm@openssh.com",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Params:
    """`forbid` fails the check when one of these algorithms is offered, `require` when one is not."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    port: int | None = None
    banner_regex: str | None = None
    forbid: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    ip_version: int = 0

    def __post_init__(self) -> None:
        check_network(self.port, self.ip_version)
        check_patterns(banner_regex=self.banner_regex)


class SshProbe:
    """Says who it is, listens to what is offered, hangs up before any key is made."""

    def __init__(self) -> None:
        self._settings = Settings(Params)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or failed with bad_response (not SSH 2), bad_body (banner, algorithms), refused, timeout, closed ..."""
        params = self._settings.of(job)
        place = place_of(job, params.port, 22, ip_version=params.ip_version)

        async def talk(call: Dialogue) -> None:
            await _listen(call, params)

        return await Dialogue(job, sight, "ssh", place).hold(talk)


async def _listen(call: Dialogue, params: Params) -> None:
    call.phases.enter("banner")
    banner = await _banner(call)
    call.sight.trace(f"banner {banner}")
    call.fields["protocol"] = banner.split("-")[1]
    if params.banner_regex is not None and not re.search(params.banner_regex, banner):
        raise Finding(Reason.BAD_BODY, "the banner does not match")
    call.phases.enter("algorithms")
    await call.send(b"SSH-2.0-healthmon\r\n")
    offered = algorithms(await _packet(call))
    for name, offer in offered.items():
        call.sight.trace(f"{name}: {', '.join(offer)}")
    flat = {algorithm for name, offer in offered.items() if name != "compression" for algorithm in offer}
    call.fields["weak_algorithms"] = float(len(flat & WEAK))
    bad = sorted(flat & set(params.forbid))
    if bad:
        raise Finding(Reason.BAD_BODY, f"offered: {_named(bad)}")
    missing = sorted(set(params.require) - flat)
    if missing:
        raise Finding(Reason.BAD_BODY, f"not offered: {_named(missing)}")


def _named(algorithms: list[str]) -> str:
    """Without the maker behind the @, which looks like somebody's mail address."""
    return ", ".join(dict.fromkeys(name.partition("@")[0] for name in algorithms))


async def _banner(call: Dialogue) -> str:
    """The identification; servers may say other lines before it (RFC 4253 section 4.2)."""
    for _ in range(_MOST_LINES):
        line = await call.line(most=1024)
        if line.startswith(b"SSH-"):
            banner = "".join(char if char.isprintable() else "?" for char in line.decode("ascii", "replace"))
            if not banner.startswith(("SSH-2.0-", "SSH-1.99-")):
                raise Finding(Reason.BAD_RESPONSE, "the server does not speak SSH 2")
            return banner
    raise Finding(Reason.BAD_RESPONSE, "the answer is not SSH")


async def _packet(call: Dialogue) -> bytes:
    """The payload of a packet that is not yet encrypted."""
    size = int.from_bytes(await call.exactly(4), "big")
    if not 12 <= size <= _MOST_PACKET:
        raise Finding(Reason.BAD_RESPONSE, "the answer is not an SSH packet")
    body = await call.exactly(size)
    return body[1 : max(1, size - body[0])]


def algorithms(payload: bytes) -> dict[str, tuple[str, ...]]:
    """The lists of a KEXINIT, both directions as one. Raises Finding(bad_response)."""
    if len(payload) < 17 or payload[0] != _KEXINIT:
        raise Finding(Reason.BAD_RESPONSE, "the server does not offer algorithms")
    lists: list[list[str]] = []
    at = 17
    for _ in range(_LISTS):
        size = int.from_bytes(payload[at : at + 4], "big")
        at += 4 + size
        if at > len(payload):
            raise Finding(Reason.BAD_RESPONSE, "the offer is cut short")
        written = payload[at - size : at].decode("ascii", "replace")
        lists.append(written.split(",") if written else [])
    names = ("key_exchange", "host_key", "cipher", "cipher", "mac", "mac", "compression", "compression")
    found: dict[str, tuple[str, ...]] = {}
    for name, offer in zip(names, lists, strict=False):
        found[name] = tuple(dict.fromkeys((*found.get(name, ()), *offer)))
    return found
