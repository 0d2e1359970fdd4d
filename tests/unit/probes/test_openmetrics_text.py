"""Pages of exporters: both text formats, what is no page, and how series become samples."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.model.sample import Family, Reason
from healthmon.probes.openmetrics import Rates, kept
from healthmon.probes.openmetrics_pack import Mapped, lint_pack, pack_families, parse_metrics, with_scraped
from healthmon.probes.openmetrics_text import Page, Series, parse_page
from healthmon.probes.reasons import Finding

CLASSIC = """\
# HELP up Whether it is.
# TYPE up gauge
up 1
queue{ward="7",path="C:\\\\spool\\nnext",odd="a } b # c, d=\\"e\\""} 2.5e3 1395066363000

queue{ward="8",} +Inf
temp NaN
"""
OPEN = """\
# TYPE requests counter
# UNIT latency_seconds seconds
requests_total{code="200"} 17 1395066363.123 # {trace_id="abc"} 0.67 1395066363.0
latency_seconds_bucket{le="0.1"} 8 # {} 0.05
# EOF
"""


def page(text: str, *wanted: str, openmetrics: bool = False, most_series: int = 100) -> Page:
    return parse_page(text, frozenset(wanted), openmetrics=openmetrics, most_series=most_series)


def test_the_classic_format() -> None:
    found = page(CLASSIC, "up", "queue")
    assert found.all_series == 4
    assert found.series[0] == Series("up", {}, 1.0)
    assert found.series[1].labels == {"ward": "7", "path": "C:\\spool\nnext", "odd": 'a } b # c, d="e"'}
    assert [series.value for series in found.series[1:]] == [2500.0, float("inf")]


def test_openmetrics_with_exemplars_and_an_end() -> None:
    found = page(OPEN, "requests_total", "latency_seconds_bucket", openmetrics=True)
    assert [(s.name, s.labels, s.value) for s in found.series] == [
        ("requests_total", {"code": "200"}, 17.0),
        ("latency_seconds_bucket", {"le": "0.1"}, 8.0),
    ]


@pytest.mark.parametrize(
    ("text", "openmetrics", "reason", "detail"),
    [
        ("<html>no</html>", False, Reason.BAD_RESPONSE, "line 1 is not a metric"),
        ("up 1\nup yes", False, Reason.BAD_RESPONSE, "line 2 is not a metric"),
        ('up{a="b} 1', False, Reason.BAD_RESPONSE, "line 1 is not a metric"),
        ('up{a="b" c="d"} 1', False, Reason.BAD_RESPONSE, "the labels of line 1 cannot be read"),
        ("up 1 2 3", False, Reason.BAD_RESPONSE, "line 1 is not a metric"),
        ("up 1_0", False, Reason.BAD_RESPONSE, "line 1 is not a metric"),
        ("up 1", True, Reason.BAD_RESPONSE, "the page ends without # EOF"),
        ("# EOF\nup 1", True, Reason.BAD_RESPONSE, "line 2 comes after the end"),
        ("up 1\n" * 101, False, Reason.TOO_LARGE, "more than 100 series of the metrics that are wanted"),
        ("up" + " " * 70_000 + "1", False, Reason.BAD_RESPONSE, "line 1 is not a metric"),
    ],
)
def test_what_is_no_page(text: str, openmetrics: bool, reason: Reason, detail: str) -> None:
    with pytest.raises(Finding) as caught:
        page(text, "up", openmetrics=openmetrics)
    assert (caught.value.fault.reason, caught.value.fault.detail) == (reason, detail)


@given(st.text(alphabet='ab{}="\\,# \n1.eE+-_:', max_size=300), st.booleans())
def test_any_text_is_a_page_or_a_finding(text: str, openmetrics: bool) -> None:
    with suppress(Finding):
        found = page(text, "a", "b", "ab", openmetrics=openmetrics)
        assert len(found.series) <= found.all_series


def samples(series: list[Series], *items: dict[str, Any], rates: Rates | None = None, mono: float = 0.0) -> Any:
    mapped = parse_metrics(items)
    found = kept(Page(tuple(series), len(series)), mapped, rates or Rates(), mono)
    return [(s.family, s.field, s.value, s.labels) for s in found]


FREE = {
    "metric": "free",
    "family": "disk",
    "field": "used_ratio",
    "labels": {"mount": "m"},
    "over": "size",
    "one_minus": True,
}


def test_a_share_of_another_metric() -> None:
    series = [
        Series("free", {"m": "/", "t": "ext4"}, 25.0),
        Series("size", {"m": "/", "t": "ext4"}, 100.0),
        Series("free", {"m": "/empty", "t": "x"}, 0.0),
        Series("size", {"m": "/empty", "t": "x"}, 0.0),
    ]
    assert samples(series, FREE) == [("disk", "used_ratio", 0.75, {"mount": "/"})]


def test_series_that_look_alike_need_a_word() -> None:
    series = [Series("load", {"cpu": "0"}, 1.0), Series("load", {"cpu": "1"}, 3.0)]
    item = {"metric": "load", "family": "host", "field": "load"}
    with pytest.raises(Finding, match="2 series of load look alike") as caught:
        samples(series, item)
    assert caught.value.fault.reason is Reason.BAD_PARAMS
    for combine, value in {"sum": 4.0, "min": 1.0, "max": 3.0, "avg": 2.0}.items():
        assert samples(series, {**item, "combine": combine}) == [("host", "load", value, {})]
    assert samples(series, {**item, "where": {"cpu": "1"}, "scale": 0.5}) == [("host", "load", 1.5, {})]
    assert samples(series, {**item, "where_not": {"cpu": "[1-9]"}}) == [("host", "load", 1.0, {})]


def test_rates_need_two_looks_and_survive_a_reset() -> None:
    item = {"metric": "n", "family": "f", "field": "per_second", "rate": True}
    rates = Rates()
    assert samples([Series("n", {}, 100.0)], item, rates=rates, mono=0.0) == []
    assert samples([Series("n", {}, 160.0)], item, rates=rates, mono=30.0) == [("f", "per_second", 2.0, {})]
    assert samples([Series("n", {}, 5.0)], item, rates=rates, mono=60.0) == []
    assert samples([Series("n", {}, 35.0)], item, rates=rates, mono=90.0) == [("f", "per_second", 1.0, {})]
    assert samples([Series("n", {}, float("nan"))], item, rates=rates, mono=120.0) == []


@pytest.mark.parametrize(
    "item",
    [
        {"metric": "1x", "family": "f", "field": "x"},
        {"metric": "x", "family": "F", "field": "x"},
        {"metric": "x", "family": "f", "field": "x_count"},
        {"metric": "x", "family": "f", "field": "x", "labels": {"target": "t"}},
        {"metric": "x", "family": "f", "field": "x", "where": {"a": "("}},
        {"metric": "x", "family": "f", "field": "x", "combine": "first"},
        {"metric": "x", "family": "f"},
        {"metric": "x", "family": "f", "field": "x", "labls": {}},
        "x",
    ],
)
def test_a_pack_that_is_wrong_is_told_where(item: Any) -> None:
    good = {"metric": "x", "family": "f", "field": "x"}
    (problem,) = lint_pack({"description": "d", "source": "s", "metrics": [good, item]})
    assert problem.startswith("metrics[1]: ")


def test_families_are_declared_and_widen_ours() -> None:
    assert pack_families({"metrics": [FREE]}) == (Family("disk", frozenset({"used_ratio"}), frozenset({"mount"})),)
    known = {"disk": Family("disk", frozenset({"free_bytes"}))}
    params = {"pack": {"metrics": [FREE]}, "metrics": [{"metric": "x", "family": "f", "field": "x"}]}
    found = with_scraped(known, [params, params, {}])
    assert found["disk"] == Family("disk", frozenset({"free_bytes", "used_ratio"}), frozenset({"mount"}))
    assert found["f"].fields == {"x"}
    assert isinstance(parse_metrics([FREE])[0], Mapped)
