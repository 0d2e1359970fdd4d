"""host_waits: starts of programs, reconnects and opened records, as a script in the session timed them. No text."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from healthmon.collectors.look import Unseen, look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample

#: What may be timed, and the fields of its number and of its seconds together.
KINDS = {
    "app_start": ("app_starts", "app_start_seconds"),
    "reconnect": ("reconnects", "reconnect_seconds"),
    "record_open": ("record_opens", "record_open_seconds"),
}
FAMILIES = (Family("host_waits", frozenset(field for pair in KINDS.values() for field in pair)),)
#: More than this of a file is not read; a wait longer than a day is a fault of the script.
MOST_BYTES, MOST_S = 1 << 20, 86_400.0


@dataclass(frozen=True, slots=True)
class Params:
    """`file`: one line for each wait: Unix time of its end, kind, seconds."""

    file: str

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class WaitsCollector:
    """Reads the end of the file that the script writes; nothing but a kind and two numbers leaves the machine."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[int, int]] = {}

    async def probe(self, job: Job, sight: Sight) -> Reading:
        now = sight.clock.now()

        def see() -> list[Sample]:
            since = 0.0 if job.check in self._read else now - job.every_s
            text = self._new(job.check, Path(params_of(job, Params).file))
            waits = [(kind, took) for at, kind, took in parse_waits(text) if at > since]
            return [Sample("host_waits", field, value) for field, value in summed(waits).items()]

        return await look(job, sight, see)

    def _new(self, check: str, path: Path) -> str:
        """Whole lines that were not read before; a file that was begun again is read from its beginning."""
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            known, at = self._read.get(check, (state.st_ino, 0))
            if known != state.st_ino or at > state.st_size:
                at = 0
            from_at = max(at, state.st_size - MOST_BYTES)
            file.seek(from_at)
            data = file.read(MOST_BYTES)
        if from_at > at:  # too much at once: begin at a whole line
            cut = data.find(b"\n") + 1
            from_at, data = from_at + cut, data[cut:]
        whole = data[: data.rfind(b"\n") + 1]
        self._read[check] = state.st_ino, from_at + len(whole)
        return whole.decode("utf-8", "replace")


def parse_waits(text: str) -> Iterator[tuple[float, str, float]]:
    """Raises Unseen at a line that is none, with its number and never its words."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            at, kind, took = float(words[0]), words[1], float(words[2])
        except (IndexError, ValueError):
            raise Unseen(Reason.NO_ANSWER, f"line {number} is not TIME KIND SECONDS") from None
        if len(words) != 3 or kind not in KINDS or not (math.isfinite(at) and 0.0 <= took <= MOST_S):
            raise Unseen(Reason.NO_ANSWER, f"line {number} is not TIME KIND SECONDS (kinds: {', '.join(KINDS)})")
        yield at, kind, took


def summed(waits: list[tuple[str, float]]) -> dict[str, float]:
    """Number and seconds of each kind; 0 where nobody waited."""
    found: dict[str, float] = {}
    for kind, (count, seconds) in KINDS.items():
        mine = [took for name, took in waits if name == kind]
        found |= {count: float(len(mine)), seconds: math.fsum(mine)}
    return found
