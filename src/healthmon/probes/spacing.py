"""How often a clinical system may be asked: a floor under `every`, and a budget that rechecks and asks draw on too."""

from __future__ import annotations

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Reason
from healthmon.probes.limits import Pace
from healthmon.probes.reasons import Forbidden

#: One look and two rechecks may follow each other quickly; from then on one look in `min_every_s`.
_BURST = 3.0
#: A schedule at exactly `min_every_s` jitters by milliseconds; that must not cost it a look.
_JITTER = 0.9
_MOST_KNOWN = 20_000


def check_spacing(min_every_s: float, least_s: float) -> None:
    """Raises ValueError for a `min_every` under what the kind allows at all."""
    if not least_s <= min_every_s <= 86_400.0:
        raise ValueError(f"min_every: {min_every_s:g} s (allowed: {least_s:g}s to 1d)")


class Spacing:
    """One for each kind of probe: counts every look at a check, whatever asked for it."""

    def __init__(self) -> None:
        self._paces: dict[tuple[str, str, str], Pace] = {}

    def enter(self, job: Job, sight: Sight, min_every_s: float) -> None:
        """Book one look now. Raises Forbidden(rate_limited) when there were too many."""
        now, key = sight.clock.mono(), (job.target, job.check, job.address)
        pace = self._paces.get(key)
        if pace is None:
            if len(self._paces) >= _MOST_KNOWN:
                self._paces = {known: kept for known, kept in self._paces.items() if not kept.idle(now)}
            pace = self._paces[key] = Pace(1.0 / (min_every_s * _JITTER), burst=_BURST)
        if pace.wait_s(now) > 0.0:
            raise Forbidden(Reason.RATE_LIMITED, f"asked too often: one look in {min_every_s:g} s and two rechecks")
        pace.take(now)
