"""`healthmon doctor`: looks at what healthmon stands on, says what is wrong and what mends it. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from healthmon.config import SiteConfig
from healthmon.model.ports import Clock


class Verdict(StrEnum):
    """bad: something does not work or is being lost; look: somebody should look at it; unknown: it cannot be told."""

    OK = "ok"
    LOOK = "look"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `fix` says what mends it, `facts` are for machines."""

    check: str
    verdict: Verdict
    text: str
    fix: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. ask: one GET of the running server's API, None when it does not answer. deep: read it all."""

    site: SiteConfig
    clock: Clock
    ask: Callable[[str], Any]
    deep: bool = False


#: One look; whatever it raises is a finding of its own.
Look = Callable[[Patient], Iterable[Finding]]


def examine(patient: Patient, looks: Mapping[str, Look]) -> list[Finding]:
    """All findings, in the order of the looks."""
    found: list[Finding] = []
    for name, look in looks.items():
        try:
            found += look(patient)
        except Exception as error:  # boundary: one look; the others still tell
            text = f"could not be looked at: {type(error).__name__}"
            found.append(Finding(name, Verdict.UNKNOWN, text, fix="report this as a bug, with the bundle"))
    return found


def worst(findings: Iterable[Finding]) -> Verdict:
    """bad before look before unknown before ok."""
    order = (Verdict.OK, Verdict.UNKNOWN, Verdict.LOOK, Verdict.BAD)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)


def run_briefly(work: Any, within_s: float) -> None:
    """Run a coroutine to its end or its time; raises TimeoutError."""

    async def timed() -> None:
        async with asyncio.timeout(within_s):
            await work

    asyncio.run(timed())
