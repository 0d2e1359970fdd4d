"""What a board's question must be answered with, worked out from the points: a third reader beside the databases."""

from __future__ import annotations

import operator
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable

from boards.ask import Ask, Fold, Over
from boards.states import StateAsk

from daemons.boardfill import END, START
from healthmon.model.sample import Row

Group = tuple[str, ...]
Points = list[tuple[float, float]]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def now(ask: Ask, rows: Iterable[Row], chosen: dict[str, str]) -> dict[Group, float]:
    """The value of each group at the end."""
    groups: dict[Group, list[float]] = defaultdict(list)
    for tags, points in _series(ask, rows, chosen):
        value = _over(ask, points)
        if value is not None:
            groups[tuple(tags.get(tag, "") for tag in ask.by)].append(value)
    found = {group: value for group, values in groups.items() if (value := _fold(ask, values)) is not None}
    if ask.most:
        found = dict(sorted(found.items(), key=lambda one: -one[1])[: ask.most])
    return found


def groups(ask: Ask, rows: Iterable[Row], chosen: dict[str, str]) -> set[Group]:
    """The lines of a chart."""
    return {tuple(tags.get(tag, "") for tag in ask.by) for tags, _ in _series(ask, rows, chosen)}


def states(ask: StateAsk, rows: Iterable[Row], chosen: dict[str, str]) -> dict[Group, str]:
    """The newest state of each."""
    found: dict[Group, tuple[float, str]] = {}
    for row in rows:
        tags, fields = dict(row.tags), dict(row.fields)
        if row.family != ask.family or ask.text_field not in fields or not _chosen(ask, tags, chosen):
            continue
        group = tuple(tags.get(tag, "") for tag in ask.by)
        found[group] = max(found.get(group, (0.0, "")), (row.at, str(fields[ask.text_field])))
    return {group: state for group, (_, state) in found.items()}


def _series(ask: Ask, rows: Iterable[Row], chosen: dict[str, str]) -> Iterable[tuple[dict[str, str], Points]]:
    series: dict[tuple[tuple[str, str], ...], Points] = defaultdict(list)
    for row in rows:
        fields = dict(row.fields)
        if row.family == ask.family and ask.field in fields and _chosen(ask, dict(row.tags), chosen):
            series[row.tags].append((row.at, float(fields[ask.field])))
    return [(dict(tags), sorted(points)) for tags, points in series.items()]


def _chosen(ask: Ask | StateAsk, tags: dict[str, str], chosen: dict[str, str]) -> bool:
    places = {tag: f"/{chosen[tag]}/" for tag in ask.place}
    return all(_matches(tags.get(tag, ""), value, chosen) for tag, value in [*places.items(), *ask.where.items()])


def _matches(text: str, value: str, chosen: dict[str, str]) -> bool:
    for name, choice in chosen.items():
        value = value.replace(f"${name}", choice)
    return bool(re.fullmatch(value.strip("/"), text))


def _over(ask: Ask, points: Points) -> float | None:
    values = [value for at, value in points if START <= at <= END]
    match ask.over:
        case Over.LAST:
            at, value = points[-1]
            return value if at > END - ask.fresh_s else None
        case Over.MEAN:
            return statistics.fmean(values)
        case Over.P50 | Over.P95:
            share = 0.5 if ask.over is Over.P50 else 0.95
            return sorted(values)[min(len(values) - 1, int(share * len(values)))]
        case _:
            raise NotImplementedError(ask.over)


def _fold(ask: Ask, values: list[float]) -> float | None:
    if ask.only:
        sign, number = ask.only.split()
        passed = [value for value in values if _COMPARE[sign](value, float(number))]
        if ask.fold is Fold.COUNT:
            return float(len(passed))
        values = passed
    if not values:
        return None
    folds: dict[Fold, Callable[[list[float]], float]] = {
        Fold.MEAN: statistics.fmean,
        Fold.MAX: max,
        Fold.MIN: min,
        Fold.SUM: sum,
        Fold.COUNT: lambda found: float(len(found)),
    }
    folded = folds[ask.fold](values)
    return 1 - folded if ask.share else folded
