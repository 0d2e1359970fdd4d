"""What is left to judge of a good reading of a series on which nothing is open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from healthmon.alerting.detect.conditions import Facts, Labels
from healthmon.alerting.detect.groups import Groups
from healthmon.alerting.detect.index import Bound, Slate
from healthmon.alerting.detect.recall import Recall
from healthmon.model.sample import Reading

Series = tuple[str, str, str]
#: A rule, and the dimensions in which it is to be judged; None: all that there are.
Left = tuple[Bound, list[Labels] | None]
_FLAT: list[Labels] = [()]


@dataclass(slots=True)
class _Step:
    """One rule about one series in one dimension, with the cells that it keeps there; `whole`: every cell is there."""

    bound: Bound
    labels: Labels
    cells: list[Any]
    whole: bool


class Tracks:
    """The cells of every series by its rules, found once and again when the memory has dropped any."""

    def __init__(self, recall: Recall, groups: Groups) -> None:
        self._recall = recall
        self._groups = groups
        self._flat: dict[Series, dict[int, _Step]] = {}
        self._labelled: dict[tuple[Series, int, Labels], _Step] = {}
        self._drops = recall.drops

    def left(self, slate: Slate, series: Series, reading: Reading, facts: Facts) -> list[Left]:
        """Tell every rule; those that could be bad remain. One that fails here is judged whole, and set aside there."""
        if self._drops != self._recall.drops:
            self._drops = self._recall.drops
            self._flat.clear()
            self._labelled.clear()
        if not facts.flat:
            return self._left_of_labelled(slate, series, reading, facts)
        left: list[Left] = []
        if not slate.good(facts):
            left += [(bound, _FLAT) for bound in slate.screened if speaks(bound, facts)]
        for n, bound in slate.asked(facts):
            try:
                if bound.group is not None:
                    self._note(bound, reading, facts, left)
                elif self._may(self._alone(n, bound, series), series, reading, facts):
                    left.append((bound, _FLAT))
            except Exception:  # boundary: one rule on one reading
                left.append((bound, None))
        return left

    def _left_of_labelled(self, slate: Slate, series: Series, reading: Reading, facts: Facts) -> list[Left]:
        left: list[Left] = []
        for n, bound in slate.asked(facts):
            try:
                if bound.group is not None:
                    self._note(bound, reading, facts, left)
                    continue
                dimensions = [
                    labels
                    for labels in facts.dimensions(bound.metrics)
                    if self._may(self._under(n, bound, series, labels), series, reading, facts)
                ]
            except Exception:  # boundary: one rule on one reading
                left.append((bound, None))
                continue
            if dimensions:
                left.append((bound, dimensions))
        return left

    def _note(self, bound: Bound, reading: Reading, facts: Facts, left: list[Left]) -> None:
        """What a group counts needs no judge, unless it is counted of what is remembered."""
        assert bound.group is not None
        if bound.remembers:
            left.append((bound, None))
        else:
            self._groups.note(bound, bound.group, reading, facts)

    def _may(self, step: _Step, series: Series, reading: Reading, facts: Facts) -> bool:
        if not step.whole:
            step.cells, step.whole = self._cells(step.bound, series, step.labels)
        quick = step.bound.quick
        return quick is None or quick(step.cells, facts, step.labels, reading, self._recall)

    def _alone(self, n: int, bound: Bound, series: Series) -> _Step:
        steps = self._flat.get(series)
        if steps is None:
            steps = self._flat[series] = {}
        return steps.get(n) or steps.setdefault(n, self._step(bound, series, ()))

    def _under(self, n: int, bound: Bound, series: Series, labels: Labels) -> _Step:
        place = (series, n, labels)
        return self._labelled.get(place) or self._labelled.setdefault(place, self._step(bound, series, labels))

    def _step(self, bound: Bound, series: Series, labels: Labels) -> _Step:
        return _Step(bound, labels, *self._cells(bound, series, labels))

    def _cells(self, bound: Bound, series: Series, labels: Labels) -> tuple[list[Any], bool]:
        cells = [self._recall.known((feed.kind, feed.detail, *series, labels)) for feed in bound.feeds]
        return cells, None not in cells


def speaks(bound: Bound, facts: Facts) -> bool:
    """Whether a plain limit has anything to say of a reading without labels."""
    assert bound.screen is not None
    metric, low, high = bound.screen
    seen = facts.values.get(metric)
    return seen is not None and not low <= seen <= high
