"""Whether a rule could be bad on a reading: cheap, and never no where `holds` would say yes.

Most readings are good and open nothing. Of those a rule is told what it must remember, and asked no more than whether
it could be bad: an average lies between the least and the greatest reading of its window, a forecast between the
steepest slopes. Whatever could be bad is judged whole, by `Sight`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from healthmon.alerting.detect.cells import Last, Mask, Slots
from healthmon.alerting.detect.compiled import compiled
from healthmon.alerting.detect.conditions import Facts, Labels
from healthmon.alerting.detect.feeds import Feed, digest, spanned
from healthmon.alerting.detect.recall import Recall
from healthmon.alerting.detect.seasons import HourBook, unusual
from healthmon.model.alert import Rule
from healthmon.model.condition import (
    AllOf,
    AnyOf,
    Baseline,
    Changed,
    Condition,
    Delta,
    Forecast,
    Limit,
    Not,
    OfLast,
    Rate,
    Ratio,
    Slope,
    Take,
    Window,
    questions,
)
from healthmon.model.sample import Reading

#: One for each feed of the rule, None where nothing was ever told.
Cells = Sequence[Any]
#: (cells, facts, labels, time of the reading)
May = Callable[[Cells, Facts, Labels, float], bool]
_Tell = Callable[[Any, Facts, Labels, Reading], bool]
_REMEMBERS = (Baseline, Changed, Delta, Forecast, OfLast, Rate, Ratio, Slope, Window)


#: Tells the cells of a rule and says whether it must be judged whole: True, then tell it everything there, for what was
#: told here already changes nothing. (cells, facts, labels, reading, memory)
Quick = Callable[[Cells, Facts, Labels, Reading, Recall], bool]


def quick_of(rule: Rule, feeds: tuple[Feed, ...]) -> Quick | None:
    """None for rules that are always judged whole: what is counted there needs a memory of its own."""
    asked = [one for condition in (rule.condition, rule.clear) if condition is not None for one in questions(condition)]
    if any(isinstance(one, OfLast) and _remembers(one.condition) for one in asked):
        return None
    places = {(feed.kind, feed.detail): n for n, feed in enumerate(feeds)}
    usual = tuple((n, feed) for n, feed in enumerate(feeds) if feed.kind == "b")
    tells = tuple((n, _tell(feed)) for n, feed in enumerate(feeds) if feed.kind != "b")
    possible = _possible(rule.condition, places)
    if usual:
        return _with_usual(usual, tells, possible)
    return _with_one(tells[0][1], possible) if len(tells) == 1 else _with_many(tells, possible)


def _with_one(tell: _Tell, possible: May) -> Quick:
    def may(cells: Cells, facts: Facts, labels: Labels, reading: Reading, recall: Recall) -> bool:
        cell = cells[0]
        if tell(cell, facts, labels, reading):
            return True
        if cell is not None and not cell.queued:
            recall.touch(cell)
        return possible(cells, facts, labels, reading.started)

    return may


def _with_many(tells: Sequence[tuple[int, _Tell]], possible: May) -> Quick:
    def may(cells: Cells, facts: Facts, labels: Labels, reading: Reading, recall: Recall) -> bool:
        for n, tell in tells:
            cell = cells[n]
            if tell(cell, facts, labels, reading):
                return True
            if cell is not None and not cell.queued:
                recall.touch(cell)
        return possible(cells, facts, labels, reading.started)

    return may


def _with_usual(usual: Sequence[tuple[int, Feed]], tells: Sequence[tuple[int, _Tell]], possible: May) -> Quick:
    """A baseline learns last, and only what needs no second look: learning twice would count twice."""
    rest = _with_many(tells, possible)

    def may(cells: Cells, facts: Facts, labels: Labels, reading: Reading, recall: Recall) -> bool:
        hour = recall.hour(reading.target, reading.started)
        for n, feed in usual:
            if _unusual(cells[n], feed, facts, labels, hour):
                return True
        if rest(cells, facts, labels, reading, recall):
            return True
        for n, feed in usual:
            _learn(cells[n], feed, facts, labels, hour, reading.started)
            if cells[n] is not None:
                recall.touch(cells[n])
        return False

    return may


def _remembers(condition: Condition) -> bool:
    return any(isinstance(one, _REMEMBERS) for one in questions(condition))


# --- telling; True: there is something to tell and no cell


def _tell(feed: Feed) -> _Tell:
    match feed.kind:
        case "n":
            return _tell_mask(feed)
        case "c":
            return _tell_word(feed)
        case _:
            return _tell_value(feed)


def _tell_value(feed: Feed) -> _Tell:
    metric, flat, bits, counts = feed.metric, (feed.metric, ()), feed.bits, feed.kind == "r"

    def tell(cell: Any, facts: Facts, labels: Labels, reading: Reading) -> bool:
        value = facts.value(metric, labels) if labels else facts.values.get(flat)
        if value is None or not math.isfinite(value):
            return False
        if not isinstance(cell, Slots):
            return True
        if counts:
            cell.count_up(reading.started, value, bits)
        else:
            cell.put(reading.started, value)
        return False

    return tell


def _tell_mask(feed: Feed) -> _Tell:
    assert isinstance(feed.asked, OfLast)
    test = compiled(feed.asked.condition)

    def tell(cell: Any, facts: Facts, labels: Labels, reading: Reading) -> bool:
        held = test(facts, labels)
        if held is None:
            return False
        if not isinstance(cell, Mask):
            return True
        cell.put(reading.started, held is True)
        return False

    return tell


def _tell_word(feed: Feed) -> _Tell:
    metric = feed.metric

    def tell(cell: Any, facts: Facts, labels: Labels, reading: Reading) -> bool:
        word = facts.word(metric, labels)
        if word is None:
            return False
        if not isinstance(cell, Last):
            return True
        cell.put(reading.started, word)
        return False

    return tell


def _unusual(book: Any, feed: Feed, facts: Facts, labels: Labels, hour: int) -> bool:
    """Whether this is not what is usual at this hour, or there is no book to say so."""
    asked, value = feed.asked, facts.value(feed.metric, labels)
    if value is None or not math.isfinite(value):
        return False
    if not isinstance(book, HourBook) or not isinstance(asked, Baseline):
        return True
    usual = book.usual(hour)
    return usual is not None and usual.periods >= asked.weeks and unusual(asked, usual, value)


def _learn(book: Any, feed: Feed, facts: Facts, labels: Labels, hour: int, at: float) -> None:
    value = facts.value(feed.metric, labels)
    if value is not None and math.isfinite(value) and isinstance(book, HourBook):
        book.learn(hour, value, unusual=False)
        book.at = max(book.at, at)


# --- whether a condition could be bad


def _possible(condition: Condition, places: Mapping[tuple[str, str], int]) -> May:
    match condition:
        case AllOf(of=parts):
            every = tuple(_possible(part, places) for part in parts)
            return lambda cells, facts, labels, at: all(may(cells, facts, labels, at) for may in every)
        case AnyOf(of=parts):
            some = tuple(_possible(part, places) for part in parts)
            return lambda cells, facts, labels, at: any(may(cells, facts, labels, at) for may in some)
        case Window(metric=metric, over_s=over, limit=limit) if condition.take is not Take.SUM:
            return _between(places["w", spanned(metric, over)], limit)
        case Rate(metric=metric, over_s=over, bits=bits):
            return _rate(places["r", f"{spanned(metric, over)}@{bits}"], condition)
        case Delta(metric=metric, over_s=over):
            return _delta(places["w", spanned(metric, over)], condition)
        case Changed(metric=metric, over_s=over):
            return _changed(places["c", metric], over)
        case OfLast(n=n, of=of):
            return _of_last(places["n", digest(condition.condition)], n, of)
        case Forecast(metric=metric, over_s=over):
            return _forecast(places["w", spanned(metric, over)], condition)
        case Baseline():
            return lambda _cells, _facts, _labels, _at: False  # compared before it was told
        case Slope() | Window() | Ratio():
            return lambda _cells, _facts, _labels, _at: True
        case Not() if _remembers(condition):
            return lambda _cells, _facts, _labels, _at: True
        case _:
            test = compiled(condition)
            return lambda _cells, facts, labels, _at: test(facts, labels) is True


def _between(place: int, limit: Limit) -> May:
    """Mean, least, greatest, last and quantile of a window lie between its least and its greatest reading."""
    low = -math.inf if limit.low is None else limit.low
    high = math.inf if limit.high is None else limit.high

    def may(cells: Cells, _facts: Facts, _labels: Labels, _at: float) -> bool:
        slots = cells[place]
        if slots is None or (slots.least >= low and slots.most <= high):
            return False
        slots.tighten()
        return bool(slots.least < low or slots.most > high)

    return may


def _rate(place: int, asked: Rate) -> May:
    limit, per_s = asked.limit, asked.per_s

    def may(cells: Cells, _facts: Facts, _labels: Labels, _at: float) -> bool:
        slots = cells[place]
        if slots is None or not slots.open:
            return False
        change, seconds = slots.rise()
        return seconds > 0 and limit.beyond(change / seconds * per_s)

    return may


def _delta(place: int, asked: Delta) -> May:
    limit = asked.limit

    def may(cells: Cells, _facts: Facts, _labels: Labels, _at: float) -> bool:
        slots = cells[place]
        return bool(slots is not None and slots.open and limit.beyond(slots.rise()[0]))

    return may


def _changed(place: int, over_s: float) -> May:
    def may(cells: Cells, _facts: Facts, _labels: Labels, _at: float) -> bool:
        last = cells[place]
        return bool(last is not None and last.at - last.changed_at <= over_s)

    return may


def _of_last(place: int, n: int, of: int) -> May:
    def may(cells: Cells, _facts: Facts, _labels: Labels, _at: float) -> bool:
        mask = cells[place]
        return bool(mask is not None and mask.held(of) >= n)

    return may


def _forecast(place: int, asked: Forecast) -> May:
    """No line through the points is steeper than the steepest two neighbours, nor begins beyond the outermost one."""
    rising = asked.limit.high is not None
    bound = asked.limit.high if rising else asked.limit.low

    def may(cells: Cells, _facts: Facts, _labels: Labels, at: float) -> bool:
        slots = cells[place]
        if slots is None or bound is None or not slots.closed:
            return False
        down, up = slots.steepest()
        fastest = max(0.0, up if rising else -down)
        reached = (slots.most if rising else -slots.least) + fastest * (at - slots.closed[0])
        left = (bound if rising else -bound) - reached
        return bool(left <= fastest * asked.within_s)

    return may
