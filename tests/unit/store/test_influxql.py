"""Query text and answers of InfluxQL."""

from __future__ import annotations

import pytest

from healthmon.model.sample import Query, Series
from healthmon.store.influxql import identifier, series_of, statement, string


def test_raw_points() -> None:
    query = Query("icmp", "rtt", {"target": "it's"}, 1.5, 3.0)
    assert statement(query, 100) == (
        """SELECT "rtt" AS value FROM "icmp" WHERE time >= 1500000u AND time < 3000000u AND "target" = 'it\\'s' """
        "GROUP BY * LIMIT 101"
    )


def test_steps() -> None:
    query = Query("icmp", "rtt", {}, 0.0, 0.0, 60.0, "max")
    assert statement(query, 100) == (
        'SELECT max("rtt") AS value FROM "icmp" WHERE time >= 0u GROUP BY time(60000000u), * fill(none) LIMIT 101'
    )


def test_names_cannot_break_out() -> None:
    assert identifier('a" FROM "b\\') == '"a\\" FROM \\"b\\\\"'
    assert string("' OR 1=1 \\") == "'\\' OR 1=1 \\\\'"


def test_answers_become_series() -> None:
    body = {
        "results": [
            {
                "series": [
                    {"name": "icmp", "tags": {"target": "x", "area": ""}, "values": [[1500000, 2], [2000000, None]]},
                    {"name": "icmp", "tags": {"target": "y"}, "values": [[1000000, True], [3000000, "w"]]},
                ]
            }
        ]
    }
    assert series_of(body, Query("icmp", "rtt")) == [
        Series({"target": "x"}, [(1.5, 2.0)]),
        Series({"target": "y"}, [(1.0, True), (3.0, "w")]),
    ]


def test_a_canned_answer_is_told_from_a_real_one() -> None:
    canned = {"results": [{"series": [{"name": "databases", "columns": ["name"], "values": [["_internal"]]}]}]}
    with pytest.raises(ValueError, match="does not understand InfluxQL"):
        series_of(canned, Query("icmp", "rtt"))


def test_errors_keep_the_databases_words() -> None:
    with pytest.raises(ValueError, match="max-select-point"):
        series_of({"results": [{"error": "max-select-point limit"}]}, Query("icmp", "rtt"))
    with pytest.raises(ValueError, match="no dbrp mapping"):
        series_of({"error": "no dbrp mapping found"}, Query("icmp", "rtt"))
    assert series_of({"results": [{"error": "database not found: healthmon"}]}, Query("icmp", "rtt")) == []
    assert series_of({"results": [{}]}, Query("icmp", "rtt")) == []
