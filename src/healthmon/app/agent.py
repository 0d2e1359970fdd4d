"""The agent and the poller: run jobs, spool readings, publish them. One class, since they differ in their jobs only.

A ward PC runs this: it imports what its jobs need and neither pydantic nor the configuration.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Protocol

from healthmon import __version__
from healthmon.app.clocksteps import ClockSteps, Timed, by_clock
from healthmon.app.lifemark import FIELDS as LIFE_FIELDS
from healthmon.app.lifemark import LifeMark
from healthmon.app.restraint import samples, with_restraint
from healthmon.app.runnote import RunNote
from healthmon.collectors import COLLECTORS, load_collector
from healthmon.model.about import About
from healthmon.model.ask import Ask
from healthmon.model.drill import CHECK as DRILL
from healthmon.model.drill import PREFIX
from healthmon.model.errors import ConfigError
from healthmon.model.plan import Plan
from healthmon.model.ports import Clock, Probe
from healthmon.model.sample import Family, Outcome, Reading, Sample
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.filelock import take_lock
from healthmon.runtime.queue import BoundedQueue, FullPolicy
from healthmon.runtime.supervise import spawn
from healthmon.transport import mqtt
from healthmon.transport.codec import Probing
from healthmon.transport.publisher import Publisher, last_will
from healthmon.transport.spool import Spool

log = logging.getLogger(__name__)

#: What an agent says of itself.
FAMILIES = {
    "agent": with_restraint(
        Family(
            "agent",
            frozenset(
                {
                    "spool_bytes",
                    "spool_batches",
                    "spool_dropped_readings_total",
                    "buffer_dropped_readings_total",
                    "late_runs_total",
                    "resident_bytes",
                    "cpu_seconds_total",
                }
            )
            | LIFE_FIELDS,
        )
    )
}
SELF_EVERY_S = 15.0
#: Marks a stop that came over the bus, so that only the bus releases it.
FROM_SERVER = "server: "
FLUSH_EVERY_S = 1.0


def load(kind: str) -> Probe:
    """The probe or collector of this kind."""
    return load_collector(kind) if kind in COLLECTORS else load_probe(kind)


class Source(Protocol):
    """Hears of targets instead of asking them; gives its readings to `agent.take`, until it is cancelled."""

    async def __call__(self, agent: AgentRuntime, clock: Clock) -> None: ...


class AgentRuntime:
    """Everything one agent runs. `run` returns when it is cancelled, with the spool flushed."""

    def __init__(self, plan: Plan, *, clock: Clock, sources: Sequence[Source] = ()) -> None:
        """`plan.spool_path` is made if it does not exist; an unusable one is a state, not a crash."""
        self.plan = plan
        self._sources = sources
        self._clock = clock
        self._lock = _lock_spool(Path(plan.spool_path))
        self.guard = Guard(plan.safety, clock, stop_file=Path(plan.stop_file) if plan.stop_file else None)
        self.note = RunNote(Path(f"{plan.spool_path}.run"))
        self._life = LifeMark(self.note.ended)
        self.spool = Spool(Path(plan.spool_path), agent=plan.agent, max_bytes=plan.spool_max_bytes, clock=clock)
        self.runner = Runner(vantage=plan.agent, guard=self.guard, clock=clock, probes=load, on_reading=self.take)
        self.publisher = Publisher(
            spool=self.spool,
            connect=mqtt.connector(
                plan.broker,
                client_id=f"healthmon-{plan.site}-{plan.agent}",
                will=last_will(plan.site, plan.agent, self.spool),
            ),
            site=plan.site,
            agent=plan.agent,
            clock=clock,
            on_ask=self._asked,
            on_probing=self._stop_or_resume,
            fleet_size=plan.fleet_size,
            about=self._about,
        )
        self._steps = ClockSteps(clock)
        self._buffer: BoundedQueue[Timed] = BoundedQueue(
            name="readings before the spool", limit=20_000, policy=FullPolicy.DROP_OLDEST
        )
        self._outcomes: dict[tuple[str, str], Outcome] = {}
        self._arrived = asyncio.Event()
        self._urgent = asyncio.Event()

    async def run(self) -> None:
        """Probe, spool and publish until cancelled; then what is left is spooled."""
        try:
            async with asyncio.TaskGroup() as group:
                spawn(group, f"{self.plan.agent} publisher", self.publisher.run())
                spawn(group, f"{self.plan.agent} spooling", self._spool_for_ever())
                spawn(group, f"{self.plan.agent} self", self._report_self())
                for source in self._sources:
                    spawn(group, f"{self.plan.agent} source", source(self, self._clock))
                spawn(group, f"{self.plan.agent} runner", self.runner.run(self.plan.jobs))
        except asyncio.CancelledError:
            self.note.close()
            raise
        finally:
            await self._spool_buffer()
            await self.spool.close()
            if self._lock:
                self._lock.close()

    def adopt(self, plan: Plan) -> None:
        """Other jobs and another safety block, at once; broker, spool and name stay as they are."""
        self.plan = replace(self.plan, jobs=plan.jobs, safety=plan.safety, target=plan.target)
        self.guard.adopt(plan.safety)
        self.runner.replace(plan.jobs)
        kept = {(job.target, job.check) for job in plan.jobs}
        self._outcomes = {key: outcome for key, outcome in self._outcomes.items() if key in kept}

    def take(self, reading: Reading, *, urgent: bool = False) -> None:
        """A change of outcome and what is urgent go out at once, the rest within a second."""
        self._buffer.offer(self._steps.timed(reading))
        self._arrived.set()
        key = (reading.target, reading.check)
        if urgent or reading.outcome is not Outcome.OK or self._outcomes.get(key) is not reading.outcome:
            self._urgent.set()
        self._outcomes[key] = reading.outcome

    async def _spool_for_ever(self) -> None:
        while True:
            await self._arrived.wait()
            try:
                async with asyncio.timeout(FLUSH_EVERY_S):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            self._arrived.clear()
            self._urgent.clear()
            await self._spool_buffer()

    async def _spool_buffer(self) -> None:
        while len(self._buffer):
            for clock, readings in by_clock(await self._buffer.take(200)):
                await self.spool.append(readings, clock=clock)
            self.publisher.wake()

    def _stop_or_resume(self, probing: Probing) -> None:
        """The server's stop button. A stop made on this machine by hand is not released from afar."""
        if probing.stopped and not self.guard.stopped:
            self.guard.stop(f"{FROM_SERVER}{probing.by}")
        elif not probing.stopped and (self.guard.stopped_by or "").startswith(FROM_SERVER):
            self.guard.resume(probing.by or "the server")

    def _asked(self, ask: Ask) -> None:
        if ask.check.startswith(PREFIX):  # a fire drill: nothing is probed, the answer goes the way of every reading
            said = Reading(ask.target, DRILL, self.plan.agent, self._clock.now(), 0.0, Outcome.OK, detail=ask.check)
            self.take(said, urgent=True)
        else:
            self.runner.ask(ask.target, ask.check or None)

    async def _report_self(self) -> None:
        while True:
            if self.plan.target is not None:
                self.take(self._self_reading(self.plan.target))
            elif not self._outcomes:  # nothing to look at, and still there: an empty batch says so
                await self.spool.append([])
                self.publisher.wake()
            await self._clock.sleep(SELF_EVERY_S)

    def _about(self) -> About:
        spool = self.spool.stats()
        started, booted = self.note.times()
        return About(
            started=started,
            booted=booted,
            ended=self.note.ended,
            spool=spool.state,
            why=spool.why,
            bytes=spool.bytes,
            batches=spool.batches,
            readings=spool.readings,
            dropped_readings=spool.dropped_readings,
            set_aside=spool.set_aside,
            version=__version__,
            run=self.note.run,
            boot=self.note.boot,
        )

    def _self_reading(self, target: str) -> Reading:
        spool = self.spool.stats()
        times = os.times()
        values = {
            "spool_bytes": float(spool.bytes),
            "spool_batches": float(spool.batches),
            "spool_dropped_readings_total": float(spool.dropped_readings),
            "buffer_dropped_readings_total": float(self._buffer.dropped),
            "late_runs_total": float(self.runner.stats()["late"]),
            "cpu_seconds_total": times.user + times.system,
        } | (_resident() | self._life.values())
        own = tuple(Sample("agent", name, value) for name, value in values.items())
        own += samples(self.guard, self.runner)
        return Reading(target, "agent", self.plan.agent, self._clock.now(), 0.0, Outcome.OK, samples=own)


def _resident() -> dict[str, float]:
    """Resident set of this process in bytes."""
    import psutil

    return {"resident_bytes": float(psutil.Process().memory_info().rss)}


def _lock_spool(spool: Path) -> IO[bytes] | None:
    """Two agents on one spool would take each other's numbers. None where the disk takes no lock file."""
    try:
        return take_lock(spool.with_name(f"{spool.name}.lock"))
    except BlockingIOError:
        raise ConfigError(
            [f"{spool}: another agent is running on this spool; stop it or give this one its own"]
        ) from None
    except OSError as error:
        log.warning("spool cannot be locked", extra={"error": str(error)})
        return None


def read_plan(path: Path) -> Plan:
    """The file `healthmon check --resolve` wrote; a relative spool lies beside it. Raises ConfigError in words."""
    import msgspec

    fix = "make it with `healthmon check --resolve AGENT -o FILE`"
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}; {fix}"]) from error
    except msgspec.MsgspecError as error:
        raise ConfigError([f"{path}: not a resolved agent file ({error}); {fix}"]) from error
    stop_file = plan.stop_file or str(path.parent / "stop-probing")
    return replace(plan, spool_path=str(path.parent / plan.spool_path), stop_file=stop_file)
