"""`pack: auto`: which packs a device gets, what is asked of it again and what is left alone."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import pytest

from daemons.snmpmemory import Memory
from healthmon.model.plan import Job
from healthmon.model.ports import Address
from healthmon.model.sample import Outcome, Reading
from healthmon.probes.snmp import SnmpProbe
from healthmon.probes.snmp_auto import lint_index, parse_index
from healthmon.probes.snmp_read import ABSENT_TIMES, KEEP_S
from healthmon.runtime.clock import ManualClock

UPTIME, DESCR, OBJECT_ID = (f"1.3.6.1.2.1.1.{n}.0" for n in (3, 1, 2))
LIFT, DOOR, LEVEL, NAME = (f"1.3.6.1.4.1.99999.{n}" for n in (1, 2, 3, 4))


def pack(slug: str, **parts: Any) -> dict[str, Any]:
    return {"slug": slug, "title": slug, "verified": "none", "source": "made up for this test", **parts}


def scalar(slug: str, oid: str, value: str = "value") -> dict[str, Any]:
    fields = {value: {"unit": "count", "read": oid}}
    return pack(slug, scalars=[{"family": "snmp_amount", "labels": {"amount": slug}, "fields": fields}])


LEVELS = pack(
    "levels",
    tables=[
        {
            "family": "snmp_amount",
            "rows": LEVEL,
            "label": {"name": "amount", "text": [NAME]},
            "fields": {"value": {"unit": "count", "read": LEVEL}},
        }
    ],
)

INDEX: dict[str, Any] = {
    "slug": "auto",
    "families": [
        {"name": "lift", "prefix": "1.3.6.1.4.1.99999", "packs": ["lift"]},
        {"name": "lift 2", "prefix": "1.3.6.1.4.1.99999.2", "packs": ["levels"]},
        {"name": "old lift", "prefix": "1.3.6.1.4.1.99999", "descr": "(?i)paternoster", "packs": ["levels", "lift"]},
    ],
    "markers": [{"oid": f"{DOOR}.0", "packs": ["door"]}],
    "standard": ["levels"],
}
AUTO = {**INDEX, "packs": {"lift": scalar("lift", f"{LIFT}.0"), "door": scalar("door", f"{DOOR}.0"), "levels": LEVELS}}


@pytest.mark.parametrize(
    ("object_id", "descr", "present", "packs"),
    [
        ("1.3.6.1.4.1.99999.1", "", [], ("lift",)),
        ("1.3.6.1.4.1.99999", "", [], ("lift",)),
        ("1.3.6.1.4.1.999991", "", [], ("levels",)),  # another number that begins alike
        ("1.3.6.1.4.1.99999.2.7", "", [], ("levels",)),
        ("1.3.6.1.4.1.99999.1", "Paternoster of 1906", [], ("levels", "lift")),
        ("1.3.6.1.4.1.99999.1", "", [f"{DOOR}.0"], ("lift", "door")),
        ("1.3.6.1.4.1.8072.3.2.10", "", [f"{DOOR}.0"], ("door", "levels")),
        ("", "", [], ("levels",)),
    ],
)
def test_the_nearest_family_is_chosen(object_id: str, descr: str, present: list[str], packs: tuple[str, ...]) -> None:
    assert parse_index(INDEX).choose(object_id, descr, present) == packs


def test_a_wrong_index_is_told_what_is_wrong() -> None:
    wrong = {"slug": "auto", "families": [{"name": "x", "prefix": "lift", "packs": "lift"}], "marker": []}
    said = " ".join(lint_index(wrong))
    for word in ("unknown key 'marker'", "needs 'standard'", "'lift' is not an OID", "must be a list"):
        assert word in said


class Sight:
    vantage = "poller"
    waited_s = 0.0

    def __init__(self) -> None:
        self.clock = ManualClock()

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        return [Address(socket.AF_INET, "192.0.2.7", port)]

    def trace(self, line: str) -> None:
        assert line


def values_of(reading: Reading) -> dict[str, Any]:
    return {next(iter(s.labels.values()), ""): s.value for s in reading.samples if s.family == "snmp_amount"}


class Poll:
    """The same job again and again; each poll says what was asked."""

    def __init__(self, memory: Memory, params: dict[str, Any] | None = None) -> None:
        self.memory, self.sight = memory, Sight()
        self.probe = SnmpProbe({"gufo": memory})
        self.job = Job("t", "snmp", "snmp", "t.example", 30.0, 5.0, params or {"pack": AUTO, "client": "gufo"})

    async def __call__(self, *, after_s: float = 30.0) -> tuple[dict[str, Any], list[str]]:
        await self.sight.clock.advance(after_s)
        if UPTIME in self.memory.values:
            self.memory.values[UPTIME] += int(after_s * 100)
        self.memory.asked.clear()
        reading = await self.probe.probe(self.job, self.sight)
        assert reading.outcome is Outcome.OK, reading.detail
        return values_of(reading), list(self.memory.asked)


def lift(**more: Any) -> dict[str, Any]:
    return {UPTIME: 100_000, OBJECT_ID: "1.3.6.1.4.1.99999.1", DESCR: b"Lift", f"{LIFT}.0": 3, **more}


async def test_a_device_is_asked_once_what_it_is() -> None:
    poll = Poll(Memory(lift()))
    found, asked = await poll()
    assert found == {"lift": 3.0}
    assert {OBJECT_ID, DESCR, f"{DOOR}.0"} <= set(asked)
    found, asked = await poll()
    assert found == {"lift": 3.0}
    assert sorted(set(asked)) == sorted([UPTIME, f"{LIFT}.0"])


async def test_a_device_that_was_replaced_is_asked_again() -> None:
    memory = Memory(lift())
    poll = Poll(memory)
    await poll()
    memory.values = {UPTIME: 0, OBJECT_ID: "1.3.6.1.4.1.99999.2", DESCR: b"Lift 2", f"{LEVEL}.1": 7, f"{NAME}.1": b"a"}
    found, asked = await poll(after_s=3600.0)
    assert found == {"a": 7.0}
    assert OBJECT_ID in asked


async def test_a_device_of_which_nothing_is_known_is_alive() -> None:
    found, _ = await Poll(Memory({UPTIME: 100}))()
    assert found == {}


async def test_what_is_absent_twice_rests_and_is_asked_for_again_later() -> None:
    memory = Memory({UPTIME: 100_000, OBJECT_ID: "1.3.6.1.4.1.1", DESCR: b"Somebody else's"})
    poll = Poll(memory)
    for _ in range(ABSENT_TIMES):
        _, asked = await poll()
        assert LEVEL in asked
    _, asked = await poll()
    assert LEVEL not in asked
    memory.values |= {f"{LEVEL}.1": 5, f"{NAME}.1": b"new"}
    found, asked = await poll(after_s=KEEP_S + 1)
    assert LEVEL in asked
    assert found == {"new": 5.0}


async def test_names_are_kept_until_a_row_is_new_or_they_are_old() -> None:
    memory = Memory(lift(**{f"{LEVEL}.1": 5, f"{NAME}.1": b"a"}))
    poll = Poll(memory, {"pack": LEVELS, "client": "gufo"})
    assert NAME in (await poll())[1]
    memory.values[f"{LEVEL}.1"] = 6
    found, asked = await poll()
    assert (found, NAME in asked) == ({"a": 6.0}, False)
    memory.values |= {f"{LEVEL}.2": 9, f"{NAME}.2": b"b"}
    found, asked = await poll()
    assert (found, NAME in asked) == ({"a": 6.0, "b": 9.0}, True)
    memory.values[f"{NAME}.2"] = b"c"
    assert set((await poll())[0]) == {"a", "b"}
    assert set((await poll(after_s=KEEP_S + 1))[0]) == {"a", "c"}


async def test_what_two_packs_know_is_said_once_by_the_nearer() -> None:
    near, far = scalar("near", f"{LIFT}.0"), scalar("far", f"{DOOR}.0")
    for one in (near, far):
        one["scalars"][0]["labels"] = {"amount": "same"}
    index = {"slug": "auto", "standard": ["near", "far"], "packs": {"near": near, "far": far}}
    found, _ = await Poll(Memory(lift(**{f"{DOOR}.0": 8})), {"pack": index, "client": "gufo"})()
    assert found == {"same": 3.0}
