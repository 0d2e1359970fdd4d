"""What was stored can be put through the engine again: readings to rows to the store and back."""

from __future__ import annotations

from pathlib import Path

from healthmon.ingest.again import readings_of
from healthmon.ingest.rows import RowMaker
from healthmon.model.ports import History
from healthmon.model.sample import Outcome, Reading, Reason, Row, Sample
from healthmon.model.topology import Check, Estate, Organisation, Site, Target
from healthmon.store.embedded import EmbeddedStore

START = 1_790_000_000.0


def estate() -> Estate:
    checks = (Check("up", "icmp", 30.0, 5.0), Check("if", "snmp", 30.0, 5.0))
    targets = {name: Target(name, name, "switch", "192.0.2.1", "main", checks=checks) for name in ("sw-1", "sw-2")}
    return Estate(Organisation("o", "O", "UTC"), {"main": Site("main", "Main", "UTC")}, {}, {}, targets, {}, {})


def readings() -> list[Reading]:
    made = []
    for n in range(50):
        for target in ("sw-1", "sw-2"):
            failed = n % 7 == 0
            outcome, reason = (Outcome.FAILED, Reason.TIMEOUT) if failed else (Outcome.OK, None)
            rtt = () if failed else (Sample("icmp", "loss_ratio", 0.0), Sample("icmp", "rtt_avg_seconds", n / 7000))
            made.append(Reading(target, "up", "poller", START + n * 30.0, 0.01 * n, outcome, reason, "", rtt))
        ports = tuple(
            Sample("snmp_if", "up", number % 2 == 0, {"interface": f"Gi1/0/{number}"}) for number in range(1, 4)
        )
        made.append(Reading("sw-1", "if", "poller", START + n * 30.0 + 0.5, 0.1, Outcome.OK, None, "", ports))
    return made


async def replayed(history: History, start: float, end: float) -> list[Row]:
    return [row async for rows in history.replay(start, end) for row in rows]


async def test_readings_come_back_as_they_were_stored_in_time_order(tmp_path: Path) -> None:
    store, sent = EmbeddedStore(tmp_path / "s.sqlite"), readings()
    rows = RowMaker(estate()).rows_of(sent)
    await store.write(rows[40:])
    store._seal()
    await store.write(rows[:60])
    await store.write([Row("incidents", (("kind", "incident"), ("severity", "1")), (("open", 0.0),), START + 1)])
    assert list(readings_of(await replayed(store, START, START + 1e5))) == sent
    part = list(readings_of(await replayed(store, START + 30.0, START + 60.0)))
    assert part == [reading for reading in sent if START + 30.0 <= reading.started < START + 60.0]
    await store.close()


def test_a_look_without_its_outcome_is_left_out() -> None:
    tags = (("check", "up"), ("target", "sw-1"), ("vantage", "poller"))
    assert list(readings_of([Row("icmp", tags, (("loss_ratio", 0.0),), START)])) == []
    assert list(readings_of([Row("probe", tags, (("outcome", "of tomorrow"),), START)])) == []
