"""The facts of a truth file, each with the OIDs it was read from and its value in whole base units."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from healthmon.model.sample import Sample

IF = "1.3.6.1.2.1.2.2.1"
IFX = "1.3.6.1.2.1.31.1.1.1"
STORAGE = "1.3.6.1.2.1.25.2.3.1"

#: Class of a sensor -> how the field's name ends, and what one unit of the truth file is in base units.
CLASSES = {
    "temperature": ("celsius", 1.0),
    "humidity": ("humidity_ratio", 0.01),
    "charge": ("charge_ratio", 0.01),
    "load": ("_ratio", 0.01),
    "percent": ("_ratio", 0.01),
    "voltage": ("volts", 1.0),
    "current": ("amperes", 1.0),
    "power": ("watts", 1.0),
    "power_consumed": ("joules", 3.6e6),
    "power_factor": ("power_factor_ratio", 1.0),
    "frequency": ("hertz", 1.0),
    "fanspeed": ("speed_rpm", 1.0),
    "runtime": ("seconds", 60.0),
    "delay": ("seconds", 1.0),
    "dbm": ("dbm", 1.0),
    "airflow": ("flow_cubic_metres_per_second", 0.00047194745),
    "pressure": ("pascals", 1000.0),
    "count": ("", 1.0),
}
NOTHING = "(no value)"

COUNTERS = (
    ("in_octets", "in_bytes_total", (f"{IFX}.6", f"{IF}.10")),
    ("out_octets", "out_bytes_total", (f"{IFX}.10", f"{IF}.16")),
    ("in_errors", "in_errors_total", (f"{IF}.14",)),
    ("out_errors", "out_errors_total", (f"{IF}.20",)),
)


@dataclass(frozen=True, slots=True)
class Fact:
    """`ends`: how the name of the field ends ("" any number); `near`: how far off is still the same figure."""

    group: str
    name: str
    oids: tuple[str, ...]
    ends: str
    expected: float | str
    near: float = 0.0
    system: bool = False
    row: bool = False  # it may stand in another field of the same row
    also: tuple[float, ...] = ()  # where the truth file itself has two figures for the OID

    def verdict(self, candidates: Sequence[Sample]) -> str:
        """right, wrong or missing. One sample with the value is enough; a row has other fields beside it."""
        fitting = [sample for sample in candidates if self._fits(sample)]
        if self.expected == NOTHING:
            return "wrong" if fitting else "right"
        if any(self._same(sample) for sample in fitting):
            return "right"
        return "wrong" if fitting else "missing"

    def _fits(self, sample: Sample) -> bool:
        if self.ends == "":
            return not isinstance(sample.value, str) and sample.field not in ("ok", "state_code")
        return sample.field == self.ends.removeprefix("_") or sample.field.endswith(self.ends)

    def _same(self, sample: Sample) -> bool:
        if isinstance(self.expected, str) or isinstance(sample.value, str):
            return _plain(str(sample.value)) == _plain(str(self.expected))
        wanted = (self.expected, *self.also)
        value = sample.value
        if self.ends == "" and sample.field.endswith("seconds"):
            value *= 1000  # the files have latencies as counts, in milliseconds
        return any(math.isclose(value, one, rel_tol=1e-6, abs_tol=max(self.near, 1e-9)) for one in wanted)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def facts_of(truth: Mapping[str, Any], recorded: Container[str]) -> Iterator[Fact]:
    """All facts: what was expected of the device, and what its own standard MIBs say.

    A counter of a port that is expected to be 0 because the recording has no such counter is no fact of the device.
    """
    system = truth.get("system", {})
    if "sysUpTime" in system:
        ticks = float(system["sysUpTime"]["value"])
        yield Fact("system", "sysUpTime", (), "uptime_seconds", ticks / 100, system=True)
    yield from _ports(truth, recorded)
    for row in truth.get("processors", ()):
        yield Fact("processors", row["descr"], (row["oid"],), "utilisation_ratio", row["usage"] / 100, 0.005)
    for row in truth.get("mempools", ()):
        yield from _pool(row, truth)
    for row in truth.get("storage", ()):
        yield from _storage(row)
    for row in truth.get("sensors", ()):
        yield _sensor(row)
    for row in truth.get("printer_supplies", ()):
        yield _supply(row)
    for row in truth.get("wireless", ()):
        oids = tuple(oid.lstrip(".") for oid in json.loads(row["oids"]))
        yield Fact("wireless", row["descr"], oids, "", float(row["value"]))
    yield from _standard(truth.get("from_standard_mibs") or {})


def _ports(truth: Mapping[str, Any], recorded: Container[str]) -> Iterator[Fact]:
    ports = truth.get("ports_expected", {}).get("port", ())
    for port in ports:
        yield from _port(port, recorded)
    if not ports and "ports_by_oid" in truth:
        for index, counts in truth["ports_by_oid"].get("with_errors", {}).items():
            yield Fact("ports: counters", f"{index} in", (f"{IF}.14.{index}",), "in_errors_total", counts["in"])
            yield Fact("ports: counters", f"{index} out", (f"{IF}.20.{index}",), "out_errors_total", counts["out"])
    for index in truth.get("ports_by_oid", {}).get("admin_up_oper_down", ()):
        yield Fact("ports: state", f"{index} down", (f"{IF}.8.{index}",), "oper_up", 0.0)
        yield Fact("ports: state", f"{index} switched on", (f"{IF}.7.{index}",), "admin_up", 1.0)


def _port(port: Mapping[str, Any], recorded: Container[str]) -> Iterator[Fact]:
    index, name = port["ifIndex"], port["ifName"]
    rows = tuple(f"{column}.{index}" for column in (f"{IF}.8", f"{IF}.7", f"{IFX}.6", f"{IFX}.15"))
    for key, column, ends in (("admin", 7, "admin_up"), ("oper", 8, "oper_up")):
        if port[key] not in (None, "unknown"):
            yield Fact("ports: state", f"{name} {key}", (f"{IF}.{column}.{index}", *rows), ends,
                       float(port[key] == "up"), row=True)  # fmt: skip
    figures = (("speed_bps", "speed_bits_per_second"), ("mtu", "mtu_bytes"))
    for key, ends in figures:
        if port[key] is not None:
            yield Fact("ports: speed", f"{name} {key}", rows, ends, float(port[key]) or NOTHING, row=True)
    for key, ends, columns in COUNTERS:
        if port[key] is not None and any(f"{column}.{index}" in recorded for column in columns):
            yield Fact("ports: counters", f"{name} {key}", rows, ends, float(port[key]), row=True)


def _pool(row: Mapping[str, Any], truth: Mapping[str, Any]) -> Iterator[Fact]:
    """Memory. Where the file also has the row of hrStorage as it is, its figures are as true."""
    oids = tuple(row[key] for key in ("used_oid", "perc_oid", "free_oid") if row.get(key))
    twin = next((r for r in _hr(truth) if row.get("used_oid") == r["oids"]["used"]), None)
    twin = twin or {}
    name = row["descr"]
    also_total = (float(twin["size_bytes"]),) if twin else ()
    also_ratio = (twin["used_percent"] / 100,) if twin.get("used_percent") is not None else ()
    yield Fact("memory", f"{name} total", oids, "total_bytes", float(row["total"]), also=also_total, row=True)
    near = row["total"] / 100 if not row.get("used_oid") else 0.0
    yield Fact("memory", f"{name} used", oids, "used_bytes", float(row["used"]), near, row=True)
    yield Fact("memory", f"{name} %", oids, "used_ratio", row["used_percent"] / 100, 0.0051, also=also_ratio, row=True)


def _storage(row: Mapping[str, Any]) -> Iterator[Fact]:
    oids = tuple(row[key] for key in ("used_oid", "free_oid", "perc_oid") if row.get(key))
    yield Fact("storage", f"{row['descr']} total", oids, "total_bytes", float(row["size"]), row=True)
    yield Fact("storage", f"{row['descr']} used", oids, "used_bytes", float(row["used"]), row=True)
    yield Fact("storage", f"{row['descr']} %", oids, "used_ratio", row["used_percent"] / 100, 0.0051, row=True)


def _sensor(row: Mapping[str, Any]) -> Fact:
    kind, oids = row["class"], (row["oid"],)
    name = f"{row['descr']} [{row['type']}]"
    if kind == "state":
        return StateFact("states", name, oids, "state", row.get("text") or "", generic=str(row.get("generic")),
                         code=float(row["value"]))  # fmt: skip
    ends, factor = CLASSES.get(kind, (f"({kind})", 1.0))
    near = factor if kind == "runtime" else 1e-4 * factor
    return Fact(f"sensors: {kind}", name, oids, ends, row["value"] * factor, near)


@dataclass(frozen=True, slots=True)
class StateFact(Fact):
    """A state: its word or its code must be the same, and what is well may not be called bad."""

    generic: str = ""
    code: float = 0.0

    def verdict(self, candidates: Sequence[Sample]) -> str:
        words = [sample.value for sample in candidates if sample.field == "state"]
        codes = [sample.value for sample in candidates if sample.field == "state_code"]
        verdicts = [sample.value for sample in candidates if sample.field == "ok"]
        if not words:
            bits = [sample.value for sample in candidates]  # a string of bits has become a field for each
            return "right" if bits and self.code == 0 and not any(bits) else "missing"
        if _plain(str(words[0])) != _plain(str(self.expected)) and codes[:1] != [self.code]:
            return "wrong"
        contradicts = {"ok": 0.0, "critical": 1.0}.get(self.generic)
        return "wrong" if verdicts[:1] == [contradicts] else "right"


def _supply(row: Mapping[str, Any]) -> Fact:
    """A level below zero is no percentage, whatever the file makes of it."""
    oids = (row["level_oid"],)
    if int(row["level_raw"]) >= 0:
        return Fact("supplies", row["descr"], oids, "remaining_ratio", row["level_percent"] / 100, 0.0051, row=True)
    return Fact("supplies", f"{row['descr']} (no figure)", oids, "remaining_ratio", NOTHING, row=True)


def _hr(truth: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = (truth.get("from_standard_mibs") or {}).get("hrStorage", ())
    return rows


UPS_FIELDS = {
    "upsSecondsOnBattery": ("on_battery_seconds", 1.0),
    "upsEstimatedMinutesRemaining": ("remaining_seconds", 60.0),
    "upsEstimatedChargeRemaining": ("charge_ratio", 0.01),
    "upsBatteryVoltage": ("battery_volts", 0.1),
    "upsBatteryTemperature": ("battery_celsius", 1.0),
    "upsOutputPercentLoad": ("load_ratio", 0.01),
}


def _standard(said: Mapping[str, Any]) -> Iterator[Fact]:
    for row in said.get("hrProcessorLoad", {}).values():
        if "=" in str(row["value"]):  # a simulator's formula, not a reading
            continue
        yield Fact("standard MIBs", "hrProcessorLoad", (row["oid"],), "utilisation_ratio", float(row["value"]) / 100)
    for row in said.get("hrStorage", ()):
        if row["size_bytes"]:
            oids = (row["oids"]["size"], row["oids"]["used"])
            yield Fact("standard MIBs", f"{row['descr']} size", oids, "total_bytes", float(row["size_bytes"]))
            ends = "allocated_bytes" if row["type"] == "2" else "used_bytes"
            yield Fact("standard MIBs", f"{row['descr']} used", oids, ends, float(row["used_bytes"]))
    for name, row in said.get("ups_mib", {}).items():
        ends, factor = UPS_FIELDS.get(name.partition(".")[0], ("state_code", 1.0))
        near = 60.0 if ends == "remaining_seconds" else 0.0
        yield Fact("standard MIBs", name, (row["oid"],), ends, float(row["value"]) * factor, near)
    for row in said.get("prtMarkerSupplies", ()):
        expected = NOTHING if row["percent"] is None else row["percent"] / 100
        yield Fact("standard MIBs", row["descr"], (row["level_oid"],), "remaining_ratio", expected, 0.0006, row=True)
        if row.get("meaning") == "some remaining":
            yield Fact("standard MIBs", f"{row['descr']} some", (row["level_oid"],), "some_left", 1.0)
    for row in said.get("entPhySensor", ()):
        if row["type"] != "other" and row["value"] is not None:
            yield Fact("standard MIBs", f"sensor {row['index']} {row['type']}", (row["oid"],), "", float(row["value"]))
    for name, row in said.get("ucd", {}).items():
        yield _ucd(name, row)


def _ucd(name: str, row: Mapping[str, Any]) -> Fact:
    if name == "ssCpuIdle_pct":
        return Fact("standard MIBs", name, (row["oid"],), "utilisation_ratio", 1 - float(row["value"]) / 100)
    ends = "total_bytes" if "Total" in name else "available_bytes"
    return Fact("standard MIBs", name, (row["oid"],), ends, float(row["value"]) * 1024)
