"""One reading with the memory of its series: what it adds, and what questions that remember say of it."""

from __future__ import annotations

import math

from healthmon.alerting.detect.cells import Cell, Last, Mask, Slots
from healthmon.alerting.detect.conditions import Answer, Facts, Labels, holds
from healthmon.alerting.detect.courses import Course, least_squares, seconds_to, theil_sen
from healthmon.alerting.detect.feeds import Feed, digest, judged_by, spanned
from healthmon.alerting.detect.figures import amount, span_text
from healthmon.alerting.detect.recall import Recall
from healthmon.alerting.detect.seasons import HourBook, Usual, unusual
from healthmon.model.condition import (
    Baseline,
    Changed,
    Condition,
    Delta,
    Forecast,
    Limit,
    OfLast,
    Rate,
    Ratio,
    Season,
    Slope,
    Take,
    Window,
)
from healthmon.model.sample import Reading

_UNKNOWN: Answer = (None, None, "")


def look_back(recall: Recall, reading: Reading, facts: Facts) -> None:
    """Answer from memory without remembering: the reading is known already."""
    facts.ask = Sight(recall, reading, facts).answer


def learn_late(recall: Recall, feeds: tuple[Feed, ...], reading: Reading, metrics: frozenset[str]) -> None:
    """Late data fills gaps of baselines; it is in no window and judges nothing."""
    facts = Facts.of(reading, metrics)
    sight = Sight(recall, reading, facts)
    for feed in feeds:
        for labels in facts.dimensions() if feed.kind == "b" else ():
            sight.tell(feed, labels)


class Sight:
    """One reading with its memory: told once for each dimension, then asked."""

    __slots__ = ("_answers", "_cells", "_facts", "_judged", "_reading", "_recall")

    def __init__(self, recall: Recall, reading: Reading, facts: Facts) -> None:
        self._recall, self._reading, self._facts = recall, reading, facts
        self._answers: dict[tuple[int, Labels], Answer] = {}
        self._judged: dict[tuple[str, Labels], Answer] = {}
        self._cells: dict[tuple[str, str, Labels], Cell] = {}

    def remember(self, feeds: tuple[Feed, ...], dimensions: list[Labels]) -> None:
        """Tell every cell of one rule."""
        for labels in dimensions:
            for feed in feeds:
                self.tell(feed, labels)

    def tell(self, feed: Feed, labels: Labels) -> None:
        """Remember what the reading says to this cell."""
        if feed.kind == "n":
            self._tell_mask(feed, labels)
        elif feed.kind == "c":
            self._tell_word(feed, labels)
        else:
            value = self._facts.value(feed.metric, labels)
            if value is not None and math.isfinite(value):
                self._tell_value(feed, labels, value)

    def _tell_value(self, feed: Feed, labels: Labels, value: float) -> None:
        found = self._cell(feed.kind, feed.detail, labels, make=True)
        if found is None:
            return
        if isinstance(found, HourBook):
            self._learn(found, feed, labels, value)
        elif isinstance(found, Slots) and feed.kind == "r":
            found.count_up(self._reading.started, value, feed.bits)
        elif isinstance(found, Slots):
            found.put(self._reading.started, value)
        self._recall.touch(found)

    def _tell_mask(self, feed: Feed, labels: Labels) -> None:
        assert isinstance(feed.asked, OfLast)
        held = holds(feed.asked.condition, self._facts, labels)
        found = None if held is None else self._cell(feed.kind, feed.detail, labels, make=True)
        if isinstance(found, Mask):
            found.put(self._reading.started, held is True)
            self._recall.touch(found)

    def _tell_word(self, feed: Feed, labels: Labels) -> None:
        word = self._facts.word(feed.metric, labels)
        found = None if word is None else self._cell(feed.kind, feed.detail, labels, make=True)
        if word is not None and isinstance(found, Last):
            found.put(self._reading.started, word)
            self._recall.touch(found)

    def answer(self, asked: Condition, labels: Labels) -> Answer:
        """What a question that remembers says of this reading."""
        known = self._answers.get((id(asked), labels))
        if known is None:
            known = self._answers[(id(asked), labels)] = self._worked_out(asked, labels)
        return known

    def _worked_out(self, asked: Condition, labels: Labels) -> Answer:
        match asked:
            case Window():
                return self._window(asked, labels)
            case Rate():
                slots = self._slots("r", f"{spanned(asked.metric, asked.over_s)}@{asked.bits}", labels, asked.metric)
                return _limited(asked.limit, _per(slots, asked.per_s))
            case Slope():
                slots = self._slots("w", spanned(asked.metric, asked.over_s), labels, asked.metric)
                slope = least_squares(list(slots.points())) if slots else None
                return _limited(asked.limit, None if slope is None else slope * asked.per_s)
            case Delta():
                slots = self._slots("w", spanned(asked.metric, asked.over_s), labels, asked.metric)
                return _limited(asked.limit, slots.rise()[0] if slots else None)
            case Ratio():
                return self._ratio(asked, labels)
            case Changed():
                return self._changed(asked, labels)
            case OfLast():
                return self._of_last(asked, labels)
            case Baseline():
                return self._baseline(asked, labels)
            case Forecast():
                return self._forecast(asked, labels)
            case _:
                return _UNKNOWN

    def _cell(self, kind: str, detail: str, labels: Labels, *, make: bool = False) -> Cell | None:
        here = (kind, detail, labels)
        found = self._cells.get(here)
        if found is None:
            reading = self._reading
            key = (kind, detail, reading.target, reading.check, reading.vantage, labels)
            cell = self._recall.cell(key) if make else self._recall.known(key)
            if cell is None:
                return None
            found = self._cells[here] = cell
        return found

    def _slots(self, kind: str, detail: str, labels: Labels, metric: str, *, least: int = 2) -> Slots | None:
        """A full window that this reading belongs to."""
        if self._facts.value(metric, labels) is None:
            return None
        slots = self._cell(kind, detail, labels)
        return slots if isinstance(slots, Slots) and slots.full(least) else None

    def _window(self, asked: Window, labels: Labels) -> Answer:
        detail = spanned(asked.metric, asked.over_s)
        slots = self._slots("w", detail, labels, asked.metric, least=asked.least)
        return _limited(asked.limit, _taken(asked, slots) if slots else None)

    def _ratio(self, asked: Ratio, labels: Labels) -> Answer:
        if not asked.over_s:
            above, below = (self._facts.value(metric, labels) for metric in (asked.metric, asked.to))
        else:
            metrics = (asked.metric, asked.to)
            cells = (
                self._slots("r", f"{spanned(metric, asked.over_s)}@{asked.bits}", labels, metric) for metric in metrics
            )
            above, below = (cell.rise()[0] if cell else None for cell in cells)
        if above is None or below is None or below < asked.least or not below:
            return _UNKNOWN
        return _limited(asked.limit, above / below)

    def _changed(self, asked: Changed, labels: Labels) -> Answer:
        last = self._cell("c", asked.metric, labels)
        if not isinstance(last, Last) or self._facts.word(asked.metric, labels) is None:
            return _UNKNOWN
        did = last.at - last.changed_at <= asked.over_s
        return did, self._facts.value(asked.metric, labels), f"{last.was} became {last.word}" if did else ""

    def _of_last(self, asked: OfLast, labels: Labels) -> Answer:
        mask = self._cell("n", digest(asked.condition), labels)
        if not isinstance(mask, Mask) or holds(asked.condition, self._facts, labels) is None:
            return _UNKNOWN
        held = mask.held(asked.of)
        missing = max(0, asked.of - mask.seen)
        if held < asked.n <= held + missing:
            return _UNKNOWN
        return held >= asked.n, float(held), f"{held} of the last {asked.of} readings"

    def _baseline(self, asked: Baseline, labels: Labels) -> Answer:
        judged = self._judged.get((judged_by(asked), labels))
        if judged is not None:
            return judged
        book = self._cell("b", judged_by(asked), labels)
        value = self._facts.value(asked.metric, labels)
        if value is None or not isinstance(book, HourBook):
            return _UNKNOWN
        return _against(asked, book.usual(self._recall.hour(self._reading.target, self._reading.started)), value)

    def _learn(self, book: HourBook, feed: Feed, labels: Labels, value: float) -> None:
        """Judge by what was known before, then learn."""
        assert isinstance(feed.asked, Baseline)
        hour = self._recall.hour(self._reading.target, self._reading.started)
        answer = _against(feed.asked, book.usual(hour), value)
        self._judged[(feed.detail, labels)] = answer
        book.learn(hour, value, unusual=answer[0] is True)
        book.at = max(book.at, self._reading.started)

    def _forecast(self, asked: Forecast, labels: Labels) -> Answer:
        slots = self._slots("w", spanned(asked.metric, asked.over_s), labels, asked.metric, least=asked.least)
        course = _course(slots, asked) if slots else None
        limit = asked.limit.high if asked.limit.high is not None else asked.limit.low
        if course is None or limit is None:
            return _UNKNOWN
        rising = asked.limit.high is not None
        likely, soonest, latest = seconds_to(course, limit, self._reading.started, rising=rising)
        if not math.isfinite(likely):
            return False, None, ""
        text = f"reaches {limit:g} in {span_text(likely)} ({span_text(soonest)} to {span_text(latest)})"
        return latest <= asked.within_s, likely, text


def _limited(limit: Limit, value: float | None) -> Answer:
    return _UNKNOWN if value is None else (limit.beyond(value), value, "")


def _per(slots: Slots | None, per_s: float) -> float | None:
    if slots is None:
        return None
    change, seconds = slots.rise()
    return change / seconds * per_s if seconds > 0 else None


def _taken(asked: Window, slots: Slots) -> float:
    match asked.take:
        case Take.AVG:
            return sum(slots.column(3)) / sum(slots.column(2))
        case Take.MIN:
            return min(slots.column(4))
        case Take.MAX:
            return max(slots.column(5))
        case Take.SUM:
            return sum(slots.column(3))
        case Take.LAST:
            return slots.open[1]
        case Take.PERCENTILE:
            return quantile(
                [(total / n, n) for n, total in zip(slots.column(2), slots.column(3), strict=True)], asked.quantile
            )


def quantile(weighed: list[tuple[float, float]], share: float) -> float:
    """The least value below or at which this share of the readings lies (nearest rank). Pairs are (value, readings)."""
    ordered = sorted(weighed)
    left = math.ceil(share * sum(n for _, n in ordered))
    for value, n in ordered:
        left -= int(n)
        if left <= 0:
            return value
    return ordered[-1][0]


def _course(slots: Slots, asked: Forecast) -> Course | None:
    """The line through the settled slots, worked out once for each of them."""
    points = slots.settled()
    if len(points) < asked.least:
        return None
    if slots.fit_at != points[-1][0]:
        slots.fit_at, slots.fits = points[-1][0], {}
    if asked.confidence not in slots.fits:
        slots.fits[asked.confidence] = theil_sen(points, asked.confidence)
    return slots.fits[asked.confidence]


def _against(asked: Baseline, usual: Usual | None, value: float) -> Answer:
    if usual is None or usual.periods < asked.weeks:
        known = usual.periods if usual else 0
        return None, value, f"learning: {known} of {asked.weeks} earlier periods known"
    times = f"{value / usual.value:.1f} times the" if usual.value else f"{amount(asked.metric, value)} against a"
    periods = "weeks" if asked.season is Season.HOUR_OF_WEEK else "days"
    return (
        unusual(asked, usual, value),
        value,
        f"{times} usual {amount(asked.metric, usual.value)} of this hour ({usual.periods} {periods})",
    )
