"""What a batch costs the server that leads, stage by stage, with detection in it and with detection in the workers.

1,000 simulated PCs, batches of 20 points, steps of ten batches, in one process without sockets; CPU is this process's
own, without the garbage collector, which runs between the rounds. Both ways take the same batches by turns. The stock
rules first, then six more that remember.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from healthmon.alerting.detect.index import RuleIndex
from healthmon.alerting.detect.judge import Judge
from healthmon.alerting.detect.told import Findings
from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.alerting.journal import Journal
from healthmon.app.engineroom import EngineRoom, Intake
from healthmon.app.loadgen import site_yaml
from healthmon.app.loadshape import Load, agent_name, host_name, shape
from healthmon.app.wiring import pipeline_of
from healthmon.config import SiteConfig, load
from healthmon.impact.hours import Calendar
from healthmon.model.alert import Effect, NoData, Rule, Selector
from healthmon.model.condition import Baseline, Condition, Forecast, Limit, OfLast, OutcomeIs, Slope, Take, Window
from healthmon.model.journal import Epoch, Restored
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.runtime.memory import settle
from healthmon.transport.hands import NOTHING, Hand, Handed, decode_hand, encode_hand, encode_rows

AGENTS, POINTS, EVERY_S, TOGETHER, ROUNDS = 1_000, 20, 30.0, 10, 14
START = 1_790_000_000.0
METRIC = "host_cpu.utilisation_ratio"
REMEMBERING: dict[str, Condition] = {
    "average": Window(METRIC, 300.0, Take.AVG, Limit(high=0.95)),
    "often": OfLast(3, 5, OutcomeIs((Outcome.FAILED,))),
    "high": Window(METRIC, 300.0, Take.PERCENTILE, Limit(high=0.99), 0.95),
    "rises": Slope(METRIC, 300.0, Limit(high=100.0)),
    "odd": Baseline(METRIC, factor=3.0, mads=5.0, floor=0.5),
    "fills": Forecast(METRIC, Limit(high=5.0), 3600.0, 3600.0),
}
_NAMES = ("iowait_ratio", "utilisation_ratio", "load1", "load5", "load15", "steal_ratio", "cores")


@dataclass
class Leader:
    """One server's half: what came over the line goes through it. `spent`: CPU seconds by stage."""

    site: SiteConfig
    folder: Path
    judged: bool
    spent: dict[str, float] = field(default_factory=dict)
    batches: int = 0
    bytes: int = 0

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / f"{self.judged}.sqlite")
        self.pipeline = pipeline_of(self.site, {})
        self.room = EngineRoom(self._engine, self.journal.restore(), restore=self.journal.restore, set_aside=print)
        self._at = 0.0

    def _engine(self, restored: Restored) -> Engine:
        calendar = Calendar(self.site.estate, self.site.holidays)
        return Engine(estate=self.site.estate, rules=self.site.rules, policies=(), severity=self.site.severity,
                      settings=EngineSettings(),
                      staffed=calendar.staffed, restored=restored)  # fmt: skip

    def take(self, payload: bytes, now: float) -> None:
        """One hand: unpack, book, detect."""
        self._at = time.process_time()
        hand = decode_hand(payload)
        self._spent("decode")
        for handed in hand.batches:
            found = Findings.of(handed.readings, handed.judged) if handed.judged is not None else None
            self.pipeline.hear(handed.epoch, handed.seq, live=True)
            readings = self.pipeline.known(handed.readings)
            key = (handed.epoch.agent, handed.epoch.epoch, handed.seq)
            epoch = self.pipeline.epoch(*key[:2])
            intake = Intake(handed.epoch.agent, "up", now, key, epoch, readings, found=found)
            self._spent("book")
            self.room.take(intake)
            self._spent("detect")
        self.batches += len(hand.batches)
        self.bytes += len(payload)

    def step(self, now: float) -> None:
        """One step, and its commit."""
        self._at = time.process_time()
        decided = self.room.decide(now)
        self._spent("step")
        self.journal.commit(decided.changes)
        self.room.committed()
        self._spent("commit")

    def _spent(self, stage: str) -> None:
        now = time.process_time()
        self.spent[stage] = self.spent.get(stage, 0.0) + now - self._at
        self._at = now


def main() -> None:
    for name, more in (("stock rules", ()), ("stock rules and six that remember", REMEMBERING.items())):
        measure(name, [Rule(id_, Selector(), condition, Effect.WARNING, NoData.HOLD, "x", confirm=3)
                       for id_, condition in more])  # fmt: skip


def measure(name: str, more: Sequence[Rule]) -> None:
    """Both ways over the same batches, by turns; medians over the rounds after the first few."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "site.yaml"
        file.write_text(site_yaml(Load("loadgen", AGENTS, EVERY_S, POINTS), Path(folder)))
        site = load(file)
        site = replace(site, rules=(*site.rules, *more))
        judge = Judge(site.estate, RuleIndex(site.estate, site.rules), {}, {})
        leaders = {judged: Leader(site, Path(folder), judged) for judged in (False, True)}
        settle()
        rounds: dict[bool, list[dict[str, float]]] = {False: [], True: []}
        judging: list[float] = []
        for round_ in range(ROUNDS):
            gc.collect()
            gc.disable()
            judging.append(_round(round_, judge, leaders))
            gc.enable()
            for judged, leader in leaders.items():
                rounds[judged].append({stage: spent / AGENTS * 1e6 for stage, spent in leader.spent.items()})
                leader.spent = {}
        _say(name, rounds, judging, leaders)


def _round(round_: int, judge: Judge, leaders: dict[bool, Leader]) -> float:
    """A batch of every agent, ten to a step; CPU us a batch of what a worker pays to judge."""
    spent = 0.0
    for first in range(0, AGENTS, TOGETHER):
        now = START + round_ * EVERY_S + first / AGENTS * EVERY_S
        handed = [_handed(number, round_ + 1, now) for number in range(first, first + TOGETHER)]
        began = time.process_time()
        found = [msgspec.structs.replace(one, judged=judge.judge(one.readings, now=now, live=True)) for one in handed]
        rows = encode_rows(judge.recall.written())
        spent += time.process_time() - began
        for judged, leader in leaders.items():
            for number, one in enumerate(found if judged else handed):
                memory = rows if judged and not number else NOTHING
                leader.take(encode_hand(Hand("worker-1", (one,), memory=memory)), now)
            leader.step(now + 0.01)
    return spent / AGENTS * 1e6


def _handed(number: int, seq: int, now: float) -> Handed:
    agent = agent_name(number)
    readings = tuple(
        Reading(host_name(agent), f"cpu-{n}" if n else "cpu", agent, now - 0.2, 0.01, Outcome.OK,
                samples=tuple(Sample("host_cpu", one, (1 + (7 * seq + number + n) % 9) / 20) for one in _NAMES[:some]))
        for n, some in enumerate(shape(POINTS))
    )  # fmt: skip
    return Handed(Epoch(agent, "e", 0.0, START, now, received=((1, seq),)), seq, now, now - 0.1, True, readings)


def _say(name: str, rounds: dict[bool, list[dict[str, float]]], judging: Iterable[float],
         leaders: dict[bool, Leader]) -> None:  # fmt: skip
    print(f"{name}, CPU-us a batch of {POINTS} points, n = {ROUNDS - 4} rounds of {AGENTS:,} batches")
    sums = {}
    for judged, some in rounds.items():
        stages = {stage: statistics.median(one[stage] for one in some[4:]) for stage in some[-1]}
        sums[judged] = sum(stages.values())
        words = ", ".join(f"{stage} {us:.0f}" for stage, us in stages.items())
        size = leaders[judged].bytes / leaders[judged].batches
        print(f"  detection in {'the workers' if judged else 'the server '}: {words}; together {sums[judged]:.0f}; "
              f"{size:.0f} B on the line")  # fmt: skip
    worker = statistics.median(list(judging)[4:])
    print(f"  ratio {sums[True] / sums[False]:.2f}; a worker judges for {worker:.0f}")
