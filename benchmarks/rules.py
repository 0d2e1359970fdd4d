"""What rules cost: a reading by kind of condition, and 2,000 rules over 30,000 targets with 10,000 readings a second.

The estate and its readings are ours. One core: readings come in batches of a tenth of a second, each batch is observed
and a tick follows; a batch waits while the one before is worked on. Latency is from the end of a batch's tenth to its
verdicts, in CPU time, the garbage collector's included.
CPU is this process's own. Disk is not part of it: what would be written is packed, and counted in bytes.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Sequence

from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.impact.hours import Calendar
from healthmon.impact.severity import SeverityTable
from healthmon.model.alert import Effect, NoData, Rule, Selector
from healthmon.model.condition import (
    Above,
    AllOf,
    Baseline,
    Below,
    Condition,
    Forecast,
    Group,
    Limit,
    OfLast,
    OutcomeIs,
    Rate,
    Take,
    Window,
)
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.model.topology import Acuity, Area, AreaKind, Check, Estate, Organisation, Site, Target
from healthmon.runtime.memory import settle

START = 1_790_000_000.0
BATCH_S = 0.1
LOAD_HZ = 10_000
SECONDS = 12.0
METRIC, COUNTER = "http.duration_seconds", "snmp_if.in_bytes_total"
FAILS = OutcomeIs((Outcome.FAILED,))
#: Conditions alone, each over every series, for the cost of a kind.
KINDS: dict[str, Condition] = {
    "above": Above(METRIC, 5.0),
    "all of three": AllOf((Above(METRIC, 5.0), Below(METRIC, 9.0), FAILS)),
    "of_last": OfLast(3, 5, FAILS),
    "window avg": Window(METRIC, 300.0, Take.AVG, Limit(high=5.0)),
    "window p95": Window(METRIC, 300.0, Take.PERCENTILE, Limit(high=5.0), 0.95),
    "rate": Rate(COUNTER, 300.0, Limit(high=1e12), bits=64),
    "baseline": Baseline(METRIC, factor=3.0, mads=5.0, floor=0.5),
    "forecast": Forecast(METRIC, Limit(high=50.0), 3600.0, 3600.0),
    "group": Group(FAILS, by="area", share=0.2),
}


def main() -> None:
    for name, condition in KINDS.items():
        rules = [_rule("one", Selector(), condition)]
        print(f"{name:14} {_cost(_estate(1_000), rules):6.1f} CPU-us a reading with this rule alone")
    for targets, count in ((3_000, 200), (3_000, 2_000), (30_000, 200), (30_000, 2_000)):
        stream(targets, count)


def _rule(id_: str, on: Selector, condition: Condition) -> Rule:
    return Rule(id_, on, condition, Effect.WARNING, NoData.HOLD, "x", confirm=3)


def _estate(targets: int) -> Estate:
    """A ward for each hundred targets, twenty kinds, two hundred groups by label."""
    wards = {
        f"w{n}": Area(f"w{n}", f"W{n}", AreaKind.WARD, Acuity.INPATIENT, "main") for n in range(max(1, targets // 100))
    }
    check = (Check("up", "http", max(3.0, targets / LOAD_HZ), 2.0),)
    made = (
        Target(
            f"t{n}",
            f"t{n}",
            f"k{n % 20}",
            "192.0.2.1",
            "main",
            f"w{n % len(wards)}",
            checks=check,
            labels={"ring": f"r{n % 200}"},
        )
        for n in range(targets)
    )
    where = Site("main", "Main", "Europe/London")
    return Estate(Organisation("b", "B", "Europe/London"), {"main": where}, wards, {}, {t.id: t for t in made}, {}, {})


def _rules(count: int) -> list[Rule]:
    """Of ten on each ring: six limits, an average, n of m, a rate, and a baseline, a forecast or a group in turn."""
    rare = itertools.cycle([KINDS["baseline"], KINDS["forecast"], KINDS["group"]])
    common = [Above(METRIC, 5.0 + n) for n in range(6)]
    ten: list[Condition] = [*common, KINDS["window avg"], KINDS["of_last"], KINDS["rate"]]
    return [
        _rule(
            f"r{n}", Selector(labels={"ring": f"r{n % 200}"}), ten[n // 200 % 10] if n // 200 % 10 < 9 else next(rare)
        )
        for n in range(count)
    ]


def _engine(estate: Estate, rules: Sequence[Rule]) -> Engine:
    return Engine(
        estate=estate,
        rules=rules,
        policies=(),
        severity=SeverityTable(),
        settings=EngineSettings(),
        staffed=Calendar(estate).staffed,
    )


def _reading(number: int, at: float, round_: int) -> Reading:
    samples = (
        Sample("http", "duration_seconds", 0.2 + number % 7 / 10),
        Sample("snmp_if", "in_bytes_total", 1e6 * round_),
    )
    return Reading(f"t{number}", "up", "poller", at, 0.01, Outcome.OK, samples=samples)


def _readings(targets: int, batches: int, size: int) -> Iterator[tuple[float, list[Reading]]]:
    number = 0
    for batch in range(batches):
        now = START + (batch + 1) * BATCH_S
        part = [
            _reading((number + n) % targets, now - BATCH_S + n / size * 0.09, 1 + (number + n) // targets)
            for n in range(size)
        ]
        number += size
        yield now, part


def _cost(estate: Estate, rules: Sequence[Rule]) -> float:
    """CPU us a reading, median of rounds over all series, 30 s apart, after a warm-up that fills windows."""
    core, costs = _engine(estate, rules), []
    for round_ in range(16):
        at = START + 30.0 * round_
        looks = [_reading(n, at, 1 + round_) for n in range(len(estate.targets))]
        began = time.process_time()
        core.observe(looks, now=at + 0.1)
        core.tick(at + 0.1)
        costs.append((time.process_time() - began) / len(looks) * 1e6)
    return statistics.median(costs[11:])


def stream(targets: int, count: int) -> None:
    estate = _estate(targets)
    core = _engine(estate, _rules(count))
    size = int(LOAD_HZ * BATCH_S)
    free, written, spent = START, 0, 0.0
    waits: list[float] = []
    first_round = targets // size + 1
    for batch, (now, part) in enumerate(_readings(targets, first_round + int(SECONDS / BATCH_S), size)):
        if batch == first_round:
            settle()  # as a server does once it has started
        began = time.process_time()
        core.observe(part, now=now)
        step = core.tick(now)
        took = time.process_time() - began
        if batch < first_round:
            free = now  # every series is met for the first time: its rules are found once
            continue
        free = max(free, now) + took
        waits.append(free - now)
        spent += took
        written += sum(map(len, step.changes.memory.values()))
    waits.sort()
    p50, p99 = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    print(
        f"{targets:6,} targets, {count:5,} rules ({count // 200} a series), {LOAD_HZ:,} readings/s: "
        f"p50 {p50 * 1e3:5.0f} ms, p99 {p99 * 1e3:5.0f} ms, {spent / SECONDS * 100:3.0f} % of a core, "
        f"{spent / (SECONDS * LOAD_HZ) * 1e6:5.1f} CPU-us a reading, memory {written / SECONDS / 1e6:4.1f} MB/s to disk"
    )
