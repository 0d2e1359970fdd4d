"""A worker's findings in the place of memory: the leader asks them what it would have asked its own windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from healthmon.alerting.detect.conditions import Answer, Labels
from healthmon.alerting.detect.feeds import Feed, digest
from healthmon.model.condition import Condition
from healthmon.model.judged import Judged
from healthmon.model.sample import Reading

#: (target, check, vantage, started)
Look = tuple[str, str, str, float]


class Told:
    """One reading as a worker judged it. quiet: no condition of a rule holds."""

    __slots__ = ("_answers", "_usual", "quiet")

    def __init__(self, judged: Judged) -> None:
        self.quiet = not judged.bad
        self._usual: Answer = (judged.usual, None, "")
        self._answers = {(one.question, one.labels): (one.says, one.value, one.word) for one in judged.answers}

    def remember(self, feeds: tuple[Feed, ...], dimensions: list[Labels]) -> None:
        """The worker has remembered it."""

    def answer(self, asked: Condition, labels: Labels) -> Answer:
        """What the worker's memory says."""
        return self._answers.get((digest(asked), labels), self._usual) if self._answers else self._usual


#: What nobody has listed: nothing holds.
GOOD = Told(Judged(-1, bad=False, usual=False))
#: Nobody has judged it: what needs memory stays open, which is never good.
UNJUDGED = Told(Judged(-1, bad=True, usual=None))


class Findings:
    """The findings of one batch; None of all of them: they were made by other rules than ours."""

    __slots__ = ("_listed", "_rest", "ours")

    def __init__(self, listed: Mapping[Look, Told] | None) -> None:
        self.ours = listed is not None
        self._listed = listed or {}
        self._rest = UNJUDGED if listed is None else GOOD

    @classmethod
    def of(cls, readings: Sequence[Reading], judged: Iterable[Judged]) -> Findings:
        """As a worker sent them."""
        listed = {}
        for one in judged:
            if not 0 <= one.number < len(readings):
                return cls(None)
            reading = readings[one.number]
            listed[(reading.target, reading.check, reading.vantage, reading.started)] = Told(one)
        return cls(listed)

    def told(self, reading: Reading) -> Told:
        """What is found of this reading."""
        if not self._listed:
            return self._rest
        return self._listed.get((reading.target, reading.check, reading.vantage, reading.started), self._rest)
