"""Who is on call at a moment, and the shifts of a stretch of time. Pure; all edges are half open, in Unix seconds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from healthmon.alerting.oncall.localtime import days_between, local_day, moment
from healthmon.model.oncall import Handover, Layer, Override, Rota, Shift

#: How far ahead the next handover of an open-ended shift is looked for.
AHEAD_S = 35 * 86_400.0
_DAY_S = 86_400.0


def on_call(rota: Rota, at: float, overrides: Iterable[Override] = ()) -> Shift:
    """Who answers now and by which layer or override; the shift's edges are `at`. `user` None: a gap."""
    user, via = _by_layers(rota, at)
    for override in _of(rota, overrides):
        if override.start <= at < override.end and override.replaces in (None, user):
            user, via = override.user, f"override {override.id}"
    return Shift(at, at, user, via)


def shifts(rota: Rota, start: float, end: float, overrides: Iterable[Override] = ()) -> list[Shift]:
    """Every shift and gap of [start, end) without a seam between them; neighbours differ."""
    mine = _of(rota, overrides)
    edges = {start, *(at for at in _edges(rota, mine, start, end) if start < at < end)}
    found: list[Shift] = []
    for at in sorted(edges):
        now = on_call(rota, at, mine)
        if not found or (found[-1].user, found[-1].via) != (now.user, now.via):
            found.append(now)
    ends = [shift.start for shift in found[1:]] + [end]
    return [replace(shift, end=until) for shift, until in zip(found, ends, strict=True)]


def gaps(rota: Rota, start: float, end: float, overrides: Iterable[Override] = ()) -> list[Shift]:
    """When nobody answers."""
    return [shift for shift in shifts(rota, start, end, overrides) if shift.user is None]


def shift_at(rota: Rota, at: float, overrides: Iterable[Override] = ()) -> Shift:
    """The whole shift of whoever answers now, by any number of layers, as far as five weeks to either side."""
    around = shifts(rota, at - AHEAD_S, at + AHEAD_S, overrides)
    here = next(number for number, shift in enumerate(around) if shift.start <= at < shift.end)
    low = high = here
    while low > 0 and around[low - 1].user == around[here].user:
        low -= 1
    while high + 1 < len(around) and around[high + 1].user == around[here].user:
        high += 1
    return Shift(around[low].start, around[high].end, around[here].user, around[here].via)


def next_in_turn(rota: Rota, at: float, overrides: Iterable[Override] = ()) -> str | None:
    """Who is asked when whoever is on call does not answer: the next person in the same layer's turns.

    Where the layer has nobody else, whoever else is next on call within five weeks.
    """
    now = on_call(rota, at, overrides)
    layer = _layer_at(rota, at)
    if layer is not None and layer.people:
        turn = _turn(rota, layer, at)
        people = [layer.people[(turn + step) % len(layer.people)] for step in range(1, len(layer.people) + 1)]
        others = [person for person in people if person != now.user]
        if others:
            return others[0]
    later = (shift.user for shift in shifts(rota, at, at + AHEAD_S, overrides))
    return next((user for user in later if user not in (None, now.user)), None)


def _of(rota: Rota, overrides: Iterable[Override]) -> list[Override]:
    return [one for one in overrides if one.rota == rota.id and not one.ended]


def _by_layers(rota: Rota, at: float) -> tuple[str | None, str]:
    for layer in reversed(rota.layers):
        user = _of_layer(rota, layer, at)
        if user is not None:
            return user, f"layer {layer.id}"
    return None, ""


def _layer_at(rota: Rota, at: float) -> Layer | None:
    return next((layer for layer in reversed(rota.layers) if _of_layer(rota, layer, at) is not None), None)


def _of_layer(rota: Rota, layer: Layer, at: float) -> str | None:
    if layer.fixed:
        return next((span.user for span in reversed(layer.fixed) if span.start <= at < span.end), None)
    if not layer.people or not _works(rota, layer, at):
        return None
    turn = _turn(rota, layer, at)
    return layer.people[turn % len(layer.people)] if turn >= 0 else None


def _works(rota: Rota, layer: Layer, at: float) -> bool:
    """Whether this layer is about this moment: its hours and what it does on bank holidays."""
    if layer.hours is None and layer.holidays == "any":
        return True
    zone = ZoneInfo(rota.timezone)
    today = local_day(zone, at)
    return any(start <= at < end for start, end in _open(rota, layer, zone, today - timedelta(days=1), today))


def _open(rota: Rota, layer: Layer, zone: ZoneInfo, first: date, last: date) -> Iterator[tuple[float, float]]:
    for day in days_between(first, last):
        holiday = day in rota.holidays
        if (layer.holidays == "only" and not holiday) or (layer.holidays == "never" and holiday):
            continue
        if layer.hours is None:
            yield moment(zone, day, 0), moment(zone, day, 24 * 60)
        elif not (holiday and layer.hours.closed_on_holidays):
            for weekday, start, end in layer.hours.spans:
                if weekday == day.weekday():
                    yield moment(zone, day, start), moment(zone, day, end)


def _turn(rota: Rota, layer: Layer, at: float) -> int:
    """The number of the turn that a moment falls into; negative before the first."""
    zone = ZoneInfo(rota.timezone)
    first_week = layer.first - timedelta(days=layer.first.weekday())
    week = (local_day(zone, at) - first_week).days // 7
    passed = _handovers(rota.timezone, layer.handovers, first_week, week)
    index = (week - 1) * len(layer.handovers) + bisect_right(passed, at) - 1
    start = bisect_right(_handovers(rota.timezone, layer.handovers, first_week, 0), moment(zone, layer.first, 0) - 0.5)
    return (index - (start - len(layer.handovers))) // layer.turns


@lru_cache(maxsize=4096)
def _handovers(timezone: str, handovers: tuple[Handover, ...], first_week: date, week: int) -> tuple[float, ...]:
    """The moments of all handovers of a local week, the one before and the one after, in order."""
    zone = ZoneInfo(timezone)
    return tuple(
        moment(zone, first_week + timedelta(days=7 * number + one.weekday), one.minute)
        for number in (week - 1, week, week + 1)
        for one in handovers
    )


def _edges(rota: Rota, overrides: Sequence[Override], start: float, end: float) -> Iterator[float]:
    """Every moment at which the answer may change."""
    zone = ZoneInfo(rota.timezone)
    first, last = local_day(zone, start - _DAY_S), local_day(zone, end + _DAY_S)
    for layer in rota.layers:
        yield from (edge for span in layer.fixed for edge in (span.start, span.end))
        if layer.hours is not None or layer.holidays != "any":
            yield from (edge for pair in _open(rota, layer, zone, first, last) for edge in pair)
        yield moment(zone, layer.first, 0)
        for day in days_between(first, last):
            yield from (moment(zone, day, one.minute) for one in layer.handovers if one.weekday == day.weekday())
    yield from (edge for override in overrides for edge in (override.start, override.end))
