"""What one vantage point reaches: how late it last reached anything, and what it could not reach since."""

from __future__ import annotations

from collections.abc import Mapping

from healthmon.model.sample import Outcome, Reading, Reason

#: (target, check, vantage)
Series = tuple[str, str, str]

#: The target's host spoke, if not as it should: the way to it works.
ANSWERED = frozenset(
    {
        Reason.REFUSED,
        Reason.RESET,
        Reason.CLOSED,
        Reason.BAD_STATUS,
        Reason.BAD_BODY,
        Reason.BAD_RESPONSE,
        Reason.TOO_LARGE,
        Reason.AUTH_FAILED,
        Reason.CERT_EXPIRED,
        Reason.CERT_UNTRUSTED,
        Reason.CERT_WRONG_HOST,
    }
)
#: Unknown for want of a way out of this machine; the other unknowns say nothing about the network.
NO_WAY_OUT = frozenset({Reason.NO_ROUTE, Reason.NAME_SERVICE, Reason.NO_ANSWER})


def reached(reading: Reading) -> bool:
    """The reading proves that the looker can reach the target."""
    return reading.outcome is Outcome.OK or reading.reason in ANSWERED


def cut_off(reading: Reading) -> bool:
    """The reading fits a looker that is cut off."""
    if reading.outcome is Outcome.FAILED:
        return reading.reason not in ANSWERED
    return reading.outcome is Outcome.UNKNOWN and reading.reason in NO_WAY_OUT


class Reach:
    """Its newest looks at everything but its own machine, summed up as they come: asking costs what fails, not what is.

    latest: the newest reading of every series, kept by whoever tells us; targets: everything that it has looked at.
    """

    def __init__(self, host: str | None, latest: Mapping[Series, Reading]) -> None:
        self._host = host
        self._latest = latest
        self._seen: set[Series] = set()
        self._cut: set[Series] = set()
        self._reached_at = float("-inf")
        self._by: Series | None = None  # whose look that was
        self._targets: frozenset[str] | None = frozenset()

    def note(self, series: Series, reading: Reading) -> None:
        """The newest look of a series."""
        if series[0] == self._host:
            return
        if series not in self._seen:
            self._seen.add(series)
            self._targets = None
        well = reading.outcome is Outcome.OK
        if reading.started >= self._reached_at and (well or reached(reading)):
            self._reached_at, self._by = reading.started, series
        if not well and cut_off(reading):
            self._cut.add(series)
        else:
            self._cut.discard(series)

    @property
    def reached_at(self) -> float:
        """When the last of all looks that ever reached something began; -inf: none did."""
        return self._reached_at

    def remember(self, at: float) -> None:
        """It reached something then, as it was written down."""
        if at > self._reached_at:
            self._reached_at, self._by = at, None

    def to_remember(self) -> float | None:
        """`reached_at`, when no newest look shows it any more."""
        shown = self._by is not None and reached(self._latest[self._by])
        return None if shown or self._reached_at == float("-inf") else self._reached_at

    @property
    def targets(self) -> frozenset[str]:
        if self._targets is None:
            self._targets = frozenset(series[0] for series in self._seen)
        return self._targets

    def unreached(self) -> dict[str, Reading]:
        """By target, the first of the newest looks that reached nothing since something was reached."""
        bad: dict[str, Reading] = {}
        since = self.reached_at
        late = [series for series in self._cut if self._latest[series].started > since]
        for series in sorted(late):
            reading = self._latest[series]
            bad[series[0]] = min(bad.get(series[0], reading), reading, key=lambda one: one.started)
        return bad
