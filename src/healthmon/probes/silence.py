"""How long an interface has been silent, from a counter of messages: for feeds that count but tell no age."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from healthmon.model.sample import Family, Reading, Sample

FAMILY, COUNTER, AGE = "interface", "messages_total", "last_message_age_seconds"
#: What an interface engine counts of itself; fed by SNMP, a scrape, a plugin or a push (docs/probes.md).
INTERFACE_FAMILY = Family(
    FAMILY, frozenset({COUNTER, AGE, "rejected_total", "queued", "oldest_queued_seconds"}), frozenset({"interface"})
)
#: Counters whose last rise is worth an age: (family, counter) -> (the age's field, the label that tells them apart).
COUNTERS: Mapping[tuple[str, str], tuple[str, str]] = {
    (FAMILY, COUNTER): (AGE, "interface"),
    ("snmp_printer_counter", "pages_total"): ("last_page_age_seconds", "marker"),
}
_COUNTED = frozenset(family for family, _ in COUNTERS)
_MOST_KNOWN = 20_000


@dataclass(frozen=True, slots=True)
class _Seen:
    count: float
    moved_at: float


class Ages:
    """Remembers when each counter last rose. Before it has risen once, the age is the time since the first look."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], _Seen] = {}

    def complete(self, reading: Reading, now: float) -> Reading:
        """The reading with an age beside every counter that has none; `now` is monotonic."""
        if _COUNTED.isdisjoint(sample.family for sample in reading.samples):
            return reading
        added = tuple(self._ages(reading, now))
        return replace(reading, samples=(*reading.samples, *added)) if added else reading

    def _ages(self, reading: Reading, now: float) -> Iterator[Sample]:
        told = {(one.family, one.field, *sorted(one.labels.items())) for one in reading.samples}
        for sample in reading.samples:
            known = COUNTERS.get((sample.family, sample.field))
            if known is None or (sample.family, known[0], *sorted(sample.labels.items())) in told:
                continue
            if isinstance(sample.value, float):
                age, label = known
                key = (reading.target, reading.check, f"{sample.family} {sample.labels.get(label, '')}")
                yield Sample(sample.family, age, self._age_s(key, sample.value, now), dict(sample.labels))

    def _age_s(self, key: tuple[str, str, str], count: float, now: float) -> float:
        """A counter that fell was reset: that is no message."""
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= _MOST_KNOWN:
                self._seen.clear()
            seen = _Seen(count, now)
        moved_at = now if count > seen.count else seen.moved_at
        self._seen[key] = _Seen(count, moved_at)
        return max(0.0, now - moved_at)
