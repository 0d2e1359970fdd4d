"""Values to samples: labels, codes, alternatives, units, and what is not known stays away."""

from __future__ import annotations

from typing import Any

import pytest

from healthmon.probes.snmp_pack import parse_pack
from healthmon.probes.snmp_rows import Answers, Choices, bit_of, label_text, number, row_names, table_samples, wanted
from healthmon.probes.snmp_shapes import Table
from healthmon.runtime.rates import Counters

BASE = "1.3.6.1.4.1.99999.1"


def table(
    fields: dict[str, Any], *, text: list[Any] | None = None, states: dict[str, Any] | None = None, **more: Any
) -> Table:
    data = {"slug": "t", "title": "t", "verified": "none", "source": "test", "states": states or {}}
    label = {"name": "row", "text": text or [f"{BASE}.2"]}
    one = {"family": "snmp_t", "rows": f"{BASE}.1", "label": label, "fields": fields}
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


# -- what vendors do to numbers

SENSOR = {
    "celsius": {
        "unit": "celsius",
        "read": {"oid": f"{BASE}.3", "si": f"{BASE}.5", "precision": f"{BASE}.6"},
        "least": -999999999,
        "most": 999999999,
    }
}


@pytest.mark.parametrize(
    ("raw", "si", "precision", "celsius"),
    [
        (21625, 9, 3, 21.625),  # units, three decimals
        (21625, 8, 0, 21.625),  # milli
        (216, 8, -2, 0.216),  # below zero: how many digits are exact, no factor
        (2, 10, 0, 2000.0),  # kilo
        (5, 15, 0, 5e15),  # peta stands after exa in the MIB
        (42, None, None, 42.0),  # a device without these columns counts in ones
        (42, 99, 0, None),
        (42, 9, 77, None),
        (1_000_000_000, 9, 0, None),  # overflow
    ],
)
def test_entity_sensors_scale_by_two_columns(raw: int, si: int | None, precision: int | None, celsius: Any) -> None:
    columns = {"c3": {"1": raw}, "c5": {"1": si} if si else {}, "c6": {"1": precision} if precision is not None else {}}
    found = values(table(SENSOR), answers(**columns), "1")
    assert found == ({} if celsius is None else {"1.celsius": pytest.approx(celsius)})


def test_a_condition_chooses_rows_and_sources() -> None:
    fahrenheit = {"oid": f"{BASE}.3", "scale": 0.5555555556, "offset": -17.7777777778}
    fields = {
        "celsius": {
            "unit": "celsius",
            "read": [
                {"oid": f"{BASE}.3", "when": [{"oid": f"{BASE}.5", "is": [1]}]},
                {**fahrenheit, "when": [{"oid": f"{BASE}.5", "is": [2]}]},
            ],
        }
    }
    of = table(fields, when=[{"oid": f"{BASE}.6", "not": [0]}])
    found = answers(c3={"1": 20, "2": 68, "3": 20, "4": 20}, c5={"1": 1, "2": 2, "3": 3, "4": 1}, c6={"4": 0})
    assert values(of, found, "1", "2", "3", "4") == {"1.celsius": 20.0, "2.celsius": pytest.approx(20.0, abs=1e-6)}


STATES = {"fan": {"ok": {1: "normal", "Good": "good"}, "bad": {3: "critical"}, "none": {5: "notPresent"}}}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (1, {"state": "normal", "state_code": 1.0, "ok": 1.0}),
        (3, {"state": "critical", "state_code": 3.0, "ok": 0.0}),
        (5, {"state": "notPresent", "state_code": 5.0}),
        (77, {"state": "code 77", "state_code": 77.0}),  # a code that the pack does not know is no verdict
        (b"Good", {"state": "good", "ok": 1.0}),
        (b"1", {"state": "normal", "state_code": 1.0, "ok": 1.0}),
    ],
)
def test_states(raw: Any, said: dict[str, Any]) -> None:
    of = table({"state": {"states": f"{BASE}.3", "of": "fan"}}, states=STATES)
    assert values(of, answers(c3={"1": raw}), "1") == {f"1.{name}": value for name, value in said.items()}


def test_used_memory_is_less_what_caches_hold() -> None:
    fields = {"used_bytes": {"unit": "bytes", "read": f"{BASE}.3", "minus_rows": ["Cached memory", "Memory buffers"]}}
    names = {"1": b"Physical memory", "6": b"Memory buffers", "7": b"Cached memory"}
    of = table(fields, when=[{"oid": f"{BASE}.5", "is": [2]}])
    found = answers(c2=names, c3={"1": 100, "6": 5, "7": 60}, c5={"1": 2, "6": 1, "7": 1})
    assert values(of, found, "1", "6", "7") == {"Physical memory.used_bytes": 35.0}
    windows = answers(c2={"4": b"Physical Memory"}, c3={"4": 100}, c5={"4": 2})
    assert values(of, windows, "4") == {"Physical Memory.used_bytes": 100.0}


def test_a_part_that_is_more_than_its_whole_is_not_believed() -> None:
    fields = {
        "total_bytes": {"unit": "bytes", "read": f"{BASE}.3"},
        "used_bytes": {"unit": "bytes", "read": f"{BASE}.4"},
        "free_bytes": {"unit": "bytes", "sum": ["total_bytes"], "less": ["used_bytes"]},
        "used_ratio": {"unit": "ratio", "ratio": {"of": "used_bytes", "to": "total_bytes", "part": True}},
    }
    found = answers(c3={"1": 100, "2": 100}, c4={"1": 25, "2": 700})
    assert values(table(fields), found, "1", "2") == {
        "1.total_bytes": 100.0,
        "1.used_bytes": 25.0,
        "1.free_bytes": 75.0,
        "1.used_ratio": 0.25,
    }


def test_a_number_is_found_in_a_text_and_nonsense_is_no_number() -> None:
    fields = {
        "inches": {"unit": "count", "read": f"{BASE}.3", "find": "^([0-9]+) INCHES"},
        "speed_bits_per_second": {"unit": "bits_per_second", "read": {"oid": f"{BASE}.4", "step": 100}},
    }
    found = answers(c3={"1": b"1920 INCHES, 4876 CENTIMETERS", "2": b"none"}, c4={"1": 770586626, "2": 9600})
    assert values(table(fields), found, "1", "2") == {"1.inches": 1920.0, "2.speed_bits_per_second": 9600.0}


def test_a_name_may_stand_at_another_index() -> None:
    of = table({"value": {"unit": "count", "read": f"{BASE}.3"}}, text=[{"oid": f"{BASE}.2", "via": f"{BASE}.5"}])
    found = answers(c2={"1001": b"Supervisor"}, c3={"1": 7, "2": 8}, c5={"1": 1001})
    assert values(of, found, "1", "2") == {"Supervisor.value": 7.0, "2.value": 8.0}
    of = table({"value": {"unit": "count", "read": f"{BASE}.3"}}, text=[{"oid": f"{BASE}.2", "arcs": [1]}])
    found = answers(c2={"5": b"Gi0/5"}, c3={"0.5.1": 1})
    assert values(of, found, "0.5.1") == {"Gi0/5.value": 1.0}


def test_what_a_site_names_is_said_again_for_rules() -> None:
    port = parse_pack(
        {
            "slug": "p",
            "title": "p",
            "verified": "none",
            "source": "made up",
            "tables": [
                {
                    "family": "snmp_if",
                    "rows": f"{BASE}.3",
                    "label": {"name": "interface", "text": [f"{BASE}.2"]},
                    "fields": {"oper_up": {"unit": "state", "read": f"{BASE}.3", "codes": {1: 1, 2: 0}}},
                }
            ],
        }
    ).tables[0]
    found = answers(c2={"1": b"Gi0/1", "49": b"Te1/1/1"}, c3={"1": 2, "49": 2})
    choices = Choices(uplinks=("Te*",))
    samples = table_samples(port, ("1", "49"), found, Counters(), choices)
    assert [(s.field, s.labels["interface"]) for s in samples] == [
        ("oper_up", "Gi0/1"),
        ("oper_up", "Te1/1/1"),
        ("uplink_up", "Te1/1/1"),
    ]
    found_here: dict[str, Any] = {"celsius": 31.0}
    Choices(inlets=("*inlet*",)).mark("System Board Inlet Temp", found_here)
    assert found_here == {"celsius": 31.0, "inlet_celsius": 31.0}
