"""Asking for states: text in InfluxDB, a state set in Prometheus (exactly one series is 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from boards.ask import CHOICES, place_of
from boards.words import State


@dataclass(frozen=True, slots=True)
class StateAsk:
    """The state of each member of `family`. joined: metric and label through which Prometheus learns the place."""

    name: str
    family: str
    by: tuple[str, ...]
    states: tuple[State, ...]
    metric: str
    text_field: str = "state"
    chart: bool = False
    place: tuple[str, ...] = ("site", "area")
    renamed: Mapping[str, str] = field(default_factory=dict)
    fresh_s: int = 300
    joined: tuple[str, str] | None = None
    where: Mapping[str, str] = field(default_factory=dict)

    def label(self, tag: str) -> str:
        """A tag as Prometheus' label."""
        return self.renamed.get(tag, tag)


def state_influxql(ask: StateAsk) -> str:
    """The text of the newest point, by the tags."""
    by = ", ".join(f'"{tag}"' for tag in ask.by)
    places = "".join(f' AND "{tag}" =~ /^{CHOICES[tag]}$/' for tag in ask.place)
    places += "".join(f' AND "{tag}" =~ /^{value}$/' for tag, value in ask.where.items())
    if ask.chart:
        step = f" GROUP BY time($__interval), {by} fill(null)"
        return f'SELECT last("{ask.text_field}") AS "{ask.name}" FROM "{ask.family}" WHERE $timeFilter{places}{step}'
    window = f"time > ${{__to}}ms - {ask.fresh_s}s AND time <= ${{__to}}ms"
    group = f" GROUP BY {by}" if by else ""
    return f'SELECT last("{ask.text_field}") AS "{ask.name}" FROM "{ask.family}" WHERE {window}{places}{group}'


def state_promql(ask: StateAsk) -> str:
    """Now: the label of the series that is 1. Chart: 1, 2, 3 in the order of `states`, which words are put on."""
    labels = [ask.label(tag) for tag in ask.by]
    if not ask.chart:
        return f"max by ({', '.join([*labels, ask.text_field])}) ({_series(ask, '')} == 1{_join(ask)})"
    by = f" by ({', '.join(labels)})" if labels else ""
    parts = [
        f"{number} * max{by} ({_series(ask, state)} == 1{_join(ask)})"
        for number, (state, _, _) in enumerate(ask.states, 1)
    ]
    return " or ".join(parts)


def _series(ask: StateAsk, state: str) -> str:
    matchers = [f'{ask.label(tag)}=~"{value}"' for tag, value in ask.where.items()]
    if state:
        matchers.append(f'{ask.text_field}="{state}"')
    return f"{ask.metric}{{{', '.join(matchers)}}}"


def _join(ask: StateAsk) -> str:
    return place_of(ask.joined) if ask.joined else ""
