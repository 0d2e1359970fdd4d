"""An `Ask` in PromQL."""

from __future__ import annotations

from boards.ask import CHOICES, Ask, Fold, Over, place_of

_FOLD = {Fold.MEAN: "avg", Fold.MAX: "max", Fold.MIN: "min", Fold.SUM: "sum", Fold.COUNT: "count"}


def promql(ask: Ask) -> str:
    """The query text; times and choices are Grafana's variables."""
    by = f" by ({', '.join(map(ask.label, ask.by))})" if ask.by else ""
    series = _series(ask) + (place_of(ask.joined) if ask.joined else "")
    if ask.fold is Fold.COUNT and ask.only:  # none of many is 0; none of none is no answer
        operator, number = ask.only.split()
        return f"sum{by} (({series}) {operator} bool {number})"
    only = f" {ask.only}" if ask.only else ""
    folded = f"{_FOLD[ask.fold]}{by} ({series}{only})"
    if ask.share:
        folded = f"1 - {folded}"
    return f"topk({ask.most}, {folded})" if ask.most else folded


def _series(ask: Ask) -> str:
    series = f"{ask.metric_name}{{{', '.join(_matchers(ask))}}}"
    span = "$__interval" if ask.chart else "$__range"
    match ask.over:
        case Over.LAST:
            return series
        case Over.MEAN | Over.MAX | Over.MIN:
            word = "avg" if ask.over is Over.MEAN else ask.over.value
            return f"{word}_over_time({series}[{span}])"
        case Over.P50 | Over.P95:
            return f"quantile_over_time(0.{ask.over.value[1:]}, {series}[{span}])"
        case Over.RATE:
            return f"rate({series}[$__rate_interval])"
        case Over.INCREASE:
            return f"increase({series}[{span}])"


def _matchers(ask: Ask) -> list[str]:
    places = [] if ask.joined else [f'{ask.label(tag)}=~"{CHOICES[tag]}"' for tag in ask.place]
    return [
        *places,
        *(_matcher(ask.label(tag), value) for tag, value in (ask.where if ask.match is None else ask.match).items()),
    ]


def _matcher(label: str, value: str) -> str:
    return f'{label}=~"{value.strip("/")}"' if value.startswith("/") else f'{label}="{value}"'


def values_of(metric: str, label: str, *, where: str = "") -> str:
    """The query of a variable: what a label may be."""
    return f"label_values({metric}{{{where}}}, {label})"
