"""What things that went at once share, beside those of their kinds that are known to be well."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Container, Mapping, Set

from healthmon.impact.graph import NeedGraph
from healthmon.impact.sharedfate import FALSE_RATE, Fate, FateTest, attributes_of
from healthmon.model.topology import Estate

#: Who is well is counted anew so often: with 10,000 PCs it takes some milliseconds.
_COUNTED_S = 10.0
#: Rows of the journal: who was well when that was counted last, by kinds.
_WELL, _SEPARATOR = "*well", "\x1f"


class Fates:
    """The test for shared fates by kinds. `hosts`: what an agent runs on; `well`: whether a thing works now.

    What is switched off, asleep or not heard of is no counter-example: it may have the same fault.
    """

    def __init__(
        self, estate: Estate, graph: NeedGraph, hosts: Container[str], well: Callable[[str, float], bool]
    ) -> None:
        self._estate = estate
        self._graph = graph
        self._hosts = hosts
        self._seen_well = well
        #: Planned work that was open at a moment, and the targets that it is on.
        self.worked_on: Callable[[float], Mapping[str, Set[str]]] = lambda _: {}
        self._tests: dict[frozenset[str], FateTest] = {}
        self._ids: dict[frozenset[str], tuple[str, ...]] = {}
        self._well: dict[frozenset[str], tuple[float, frozenset[str]]] = {}
        self._fresh: set[frozenset[str]] = set()  # counted and not written down yet
        self._on_disk: dict[frozenset[str], bytes] = {}  # of a run before

    def find(
        self, broken: Collection[str], now: float, *, since: float, false_rate: float = FALSE_RATE
    ) -> tuple[Fate, ...]:
        """What these share beyond chance, the least likely by chance first; `since`: when the first of them went."""
        kinds, changes = self._kinds(broken), self.worked_on(since)
        test = self._test(kinds)
        return test.find(broken, well=self._well_now(kinds, now), changes=changes, false_rate=false_rate)

    def hints(self, broken: Collection[str], now: float) -> tuple[tuple[str, str, int, int], ...]:
        """What all of these share and few others have, too few for a test."""
        kinds = self._kinds(broken)
        return self._test(kinds).hints(broken, well=self._well_now(kinds, now))

    def written(self) -> dict[str, bytes]:
        """Rows for the journal that have changed."""
        rows = {}
        for kinds in sorted(self._fresh, key=sorted):
            counted, well = self._well[kinds]
            marks = bytes(id_ in well for id_ in self._ids[kinds])
            body = b"%d %d %s" % (counted, _digest(self._ids[kinds]), zlib.compress(marks))
            rows[_SEPARATOR.join((_WELL, *sorted(kinds)))] = body
        self._fresh.clear()
        return rows

    def restore(self, memory: Mapping[str, bytes]) -> dict[str, bytes]:
        """Take up what a run before has written; what is not ours is handed back."""
        mine = {key: body for key, body in memory.items() if key.split(_SEPARATOR)[0] == _WELL}
        self._on_disk = {frozenset(key.split(_SEPARATOR)[1:]): body for key, body in mine.items()}
        return {key: body for key, body in memory.items() if key not in mine}

    def _kinds(self, broken: Collection[str]) -> frozenset[str]:
        targets = self._estate.targets
        return frozenset(targets[id_].kind for id_ in broken if id_ in targets)

    def _test(self, kinds: frozenset[str]) -> FateTest:
        known = self._tests.get(kinds)
        if known is None:
            targets = self._estate.targets.values()
            watched = [t for t in targets if t.kind in kinds and (t.checks or t.id in self._hosts)]
            self._ids[kinds] = tuple(t.id for t in watched)
            known = self._tests[kinds] = FateTest(attributes_of(self._estate, self._graph, watched))
        return known

    def _well_now(self, kinds: frozenset[str], now: float) -> frozenset[str]:
        counted, known = self._well.get(kinds) or self._counted_before(kinds)
        if counted != now // _COUNTED_S:
            known = frozenset(id_ for id_ in self._ids[kinds] if self._seen_well(id_, now))
            self._well[kinds] = (now // _COUNTED_S, known)
            self._fresh.add(kinds)
        return known

    def _counted_before(self, kinds: frozenset[str]) -> tuple[float, frozenset[str]]:
        """As a run before has counted, if it was the same estate."""
        body = self._on_disk.pop(kinds, None)
        if body is None:
            return 0.0, frozenset()
        at, of, marks = body.split(b" ", 2)
        if int(of) != _digest(self._ids[kinds]):
            return 0.0, frozenset()
        well = zlib.decompress(marks)
        return float(at), frozenset(id_ for id_, mark in zip(self._ids[kinds], well, strict=True) if mark)


def _digest(ids: tuple[str, ...]) -> int:
    return zlib.crc32("\n".join(ids).encode())
