"""Values to samples: labels, codes, alternatives, units, and what is not known stays away."""

from __future__ import annotations

from typing import Any

import pytest

from healthmon.probes.snmp_pack import parse_pack
from healthmon.probes.snmp_rows import Answers, Choices, bit_of, label_text, number, row_names, table_samples, wanted
from healthmon.probes.snmp_shapes import Table
from healthmon.runtime.rates import Counters

BASE = "1.3.6.1.4.1.99999.1"


def table(fields: dict[str, Any], **more: Any) -> Table:
    data = {"slug": "t", "title": "t", "verified": "none", "source": "test"}
    one = {"family": "snmp_t", "rows": f"{BASE}.1", "label": {"name": "row", "text": [f"{BASE}.2"]}, "fields": fields}
    return parse_pack({**data, "tables": [one | more]}).tables[0]


def answers(**columns: dict[str, Any]) -> Answers:
    found = Answers()
    for name, rows in columns.items():
        found.put(f"{BASE}.{name.removeprefix('c')}", rows.items(), 0.0)
    return found


def values(of: Table, found: Answers, *indexes: str, counters: Counters | None = None) -> dict[str, Any]:
    known = Counters() if counters is None else counters
    samples = table_samples(of, indexes, found, known, Choices())
    return {f"{sample.labels['row']}.{sample.field}": sample.value for sample in samples}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Gi0/1", "Gi0/1"),
        (b"Software Loopback 1\x00", "Software Loopback 1"),
        (b"two\r\n lines", "two lines"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        (b"", ""),
        (None, ""),
        (b"x" * 200, "x" * 64),
        (7, "7"),
    ],
)
def test_label_text(raw: Any, text: str) -> None:
    assert label_text(raw) == text


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (5, 5.0),
        (b"12.5", 12.5),
        (b" 7\x00", 7.0),
        (b"-3", -3.0),
        (b"\x9fx\x04\x3f\x80\x00\x00", 1.0),
        (b"nan", None),
        (b"1e400", None),
        (b"up", None),
        (b"", None),
        ("1.3.6.1", None),
        (None, None),
    ],
)
def test_number(raw: Any, value: float | None) -> None:
    assert number(raw) == value


def test_bits_count_from_the_left() -> None:
    assert [bit_of(b"\x40\x01", bit) for bit in (0, 1, 15, 16)] == [0.0, 1.0, 1.0, 0.0]


def test_rows_of_one_name_are_told_apart() -> None:
    found = answers(c2={"1": b"eth", "2": b"eth", "3": b"lo", "4": b""})
    assert row_names(table({"up": {"unit": "state", "read": f"{BASE}.3"}}), ["1", "2", "3", "4"], found) == {
        "1": "eth#1",
        "2": "eth#2",
        "3": "lo",
        "4": "4",
    }


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        ((), ["Gi0/1", "Gi0/2", "Vlan1"]),
        (("Gi*",), ["Gi0/1", "Gi0/2"]),
        (("!Vlan*",), ["Gi0/1", "Gi0/2"]),
        (("Gi*", "!Gi0/2"), ["Gi0/1"]),
        (("!*", "Vlan1"), ["Vlan1"]),
    ],
)
def test_wanted(patterns: tuple[str, ...], kept: list[str]) -> None:
    assert [name for name in ("Gi0/1", "Gi0/2", "Vlan1") if wanted(name, patterns)] == kept


def test_the_first_source_that_knows_counts() -> None:
    speed = {
        "unit": "bits_per_second",
        "read": [{"oid": f"{BASE}.3", "scale": 1e6}, f"{BASE}.4"],
        "ignore": [0, 4294967295],
    }
    of = table({"speed_bits_per_second": speed})
    found = answers(c3={"1": 1000, "2": 0, "3": 0}, c4={"1": 5, "2": 64000, "3": 4294967295})
    assert values(of, found, "1", "2", "3") == {"1.speed_bits_per_second": 1e9, "2.speed_bits_per_second": 64000.0}


def test_codes_and_what_they_leave_out() -> None:
    spec = {"unit": "state", "read": f"{BASE}.3", "codes": {-3: 1, 0: 0}, "ignore": [-2], "other": 1}
    of = table({"some_left": spec})
    found = answers(c3={"1": -3, "2": 0, "3": -2, "4": 55})
    assert values(of, found, "1", "2", "3", "4") == {"1.some_left": 1.0, "2.some_left": 0.0, "4.some_left": 1.0}


def test_a_supply_level_that_is_no_percentage_gives_no_ratio() -> None:
    of = table(
        {
            "level": {"unit": "count", "read": f"{BASE}.3", "least": 0},
            "capacity": {"unit": "count", "read": f"{BASE}.4", "least": 0},
            "remaining_ratio": {"unit": "ratio", "ratio": {"of": "level", "to": "capacity"}},
        }
    )
    found = answers(c3={"1": -3, "2": 50, "3": 50}, c4={"1": 100, "2": 200, "3": 0})
    ratios = {key: value for key, value in values(of, found, "1", "2", "3").items() if key.endswith("ratio")}
    assert ratios == {"2.remaining_ratio": 0.25}


def test_allocation_units() -> None:
    of = table(
        {
            "used_bytes": {"unit": "bytes", "read": f"{BASE}.4", "times": "unit_bytes"},
            "unit_bytes": {"unit": "bytes", "read": f"{BASE}.3"},
        }
    )
    assert values(of, answers(c3={"1": 4096}, c4={"1": 10, "2": 10}), "1", "2") == {
        "1.unit_bytes": 4096.0,
        "1.used_bytes": 40960.0,
    }


RATE = {"in_per_second": {"unit": "per_second", "rate": [{"oid": f"{BASE}.3"}, {"oid": f"{BASE}.4", "bits": 32}]}}


def poll(of: Table, counters: Counters, mono: float, **columns: dict[str, Any]) -> dict[str, Any]:
    found = answers(**columns)
    found.read_at = dict.fromkeys(found.read_at, mono)
    counters.begin(mono)
    return values(of, found, "1", counters=counters)


def test_a_rate_needs_two_polls_and_prefers_the_wide_counter() -> None:
    of, counters = table(RATE), Counters()
    assert poll(of, counters, 0.0, c3={"1": 100}, c4={"1": 100}) == {}
    assert poll(of, counters, 10.0, c3={"1": 200}, c4={"1": 900}) == {"1.in_per_second": 10.0}


def test_a_device_that_gains_wide_counters_gives_no_wild_rate() -> None:
    of, counters = table(RATE), Counters()
    poll(of, counters, 0.0, c4={"1": 4_000_000_000})
    assert poll(of, counters, 10.0, c3={"1": 9_000_000_000}, c4={"1": 4_000_000_100}) == {}


def test_a_discontinuity_of_one_row_resets_that_row() -> None:
    of, counters = table(RATE, reset=f"{BASE}.5"), Counters()
    poll(of, counters, 0.0, c3={"1": 100}, c5={"1": 7})
    assert poll(of, counters, 10.0, c3={"1": 500}, c5={"1": 9}) == {}
    assert poll(of, counters, 20.0, c3={"1": 600}, c5={"1": 9}) == {"1.in_per_second": 10.0}
