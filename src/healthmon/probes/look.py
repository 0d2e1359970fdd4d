"""One run of a check being timed, and the readings it can end in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

import msgspec

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Outcome, Reading, Sample, Value
from healthmon.probes.reasons import Fault

P = TypeVar("P")

#: Far more than the checks of one poller; ad hoc probes of ever new targets must not fill the memory.
_MOST_KNOWN = 50_000


def samples_of(family: str, fields: Mapping[str, Value], labels: Mapping[str, str] | None = None) -> list[Sample]:
    """Samples of one family with the same labels; numbers become float."""
    return [
        Sample(family, name, float(value) if type(value) is int else value, dict(labels) if labels else {})
        for name, value in fields.items()
    ]


class Look:
    """Starts the clock when made; `ok` and `bad` stop it. Time that the guard held the run back is not counted."""

    def __init__(self, job: Job, sight: Sight) -> None:
        self.job = job
        self._sight = sight
        self._started = sight.clock.now()
        self._begun = sight.clock.mono()
        self._waited_s = sight.waited_s

    def took_s(self) -> float:
        """Seconds so far."""
        held = self._sight.waited_s - self._waited_s
        return max(0.0, self._sight.clock.mono() - self._begun - held)

    def ok(self, samples: Iterable[Sample] = (), detail: str = "") -> Reading:
        """The target answered as it should."""
        return self._reading(Outcome.OK, None, detail, samples)

    def bad(self, fault: Fault, samples: Iterable[Sample] = ()) -> Reading:
        """It did not, or we could not see."""
        return self._reading(fault.outcome, fault, fault.detail, samples)

    def _reading(self, outcome: Outcome, fault: Fault | None, detail: str, samples: Iterable[Sample]) -> Reading:
        return Reading(
            target=self.job.target,
            check=self.job.check,
            vantage=self._sight.vantage,
            started=self._started,
            took=self.took_s(),
            outcome=outcome,
            reason=fault.reason if fault else None,
            detail=detail,
            samples=tuple(samples),
        )


class Settings(Generic[P]):
    """Decodes a job's params once; the same dict object is not decoded again."""

    def __init__(self, kind: type[P]) -> None:
        self._kind = kind
        self._known: dict[tuple[str, str], tuple[object, P]] = {}

    def of(self, job: Job) -> P:
        """The params of this job. Raises msgspec.ValidationError (unknown/bad_params)."""
        key = (job.target, job.check)
        known = self._known.get(key)
        if known is None or known[0] is not job.params:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = (job.params, msgspec.convert(job.params, self._kind))
            self._known[key] = known
        return known[1]
