"""Runs checks: one at a time each, many at once, every one with an end, and exactly one reading for each run."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

from healthmon.model.plan import Job
from healthmon.model.ports import Address, Clock, Probe
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes.guard import Guard, GuardedSight, Trace
from healthmon.probes.limits import Pace
from healthmon.probes.look import Look
from healthmon.probes.reasons import Fault, explain, timed_out
from healthmon.probes.rests import Rests
from healthmon.probes.route import RouteCheck
from healthmon.probes.silence import Ages
from healthmon.runtime.deadline import Deadline
from healthmon.runtime.schedule import Schedule, stable_offset_s
from healthmon.runtime.supervise import spawn

log = logging.getLogger(__name__)

#: A probe that keeps its own time (and so can say in which phase it ran out) ends before the runner steps in.
GRACE_S = 0.25

_IDLE_S = 3600.0

#: What a look can end in because we were late: nothing was heard in time, or the peer gave us up.
_BY_TIME = frozenset(
    {Reason.TIMEOUT, Reason.PARTIAL, Reason.PACKET_LOSS, Reason.RESET, Reason.CLOSED, Reason.TLS_HANDSHAKE}
)

Key = tuple[str, str]


class Runner:
    """The shell around probes. A probe that hangs holds one slot of the gate until its timeout, nothing else."""

    def __init__(
        self,
        *,
        vantage: str,
        guard: Guard,
        clock: Clock,
        probes: Callable[[str], Probe],
        on_reading: Callable[[Reading], None],
        concurrency: int = 500,
        recheck_hz: float = 20.0,
        local_fault: Callable[[Address], str | None] | None = None,
    ) -> None:
        self._vantage = vantage
        self._guard = guard
        self._clock = clock
        self._probes = probes
        self._on_reading = on_reading
        self._gate = asyncio.Semaphore(concurrency)
        self._budget = Pace(recheck_hz, burst=2 * recheck_hz)
        self._local_fault = local_fault or RouteCheck(clock).fault
        self._ages = Ages()
        self._rests = Rests()
        self._schedule = Schedule()
        self._group: asyncio.TaskGroup | None = None
        self._driver: asyncio.Task[None] | None = None
        self._jobs: dict[Key, Job] = {}
        self._looking: set[Key] = set()
        self._failing: set[Key] = set()
        self._bugs: set[tuple[str, str]] = set()
        self._counts: Counter[str] = Counter()

    async def run_once(self, job: Job, trace: Trace | None = None) -> Reading:
        """One run of one check. Never raises for what a probe does; cancellation passes."""
        counts = self._counts
        if self._gate.locked():
            counts["gate_waits"] += 1
        async with self._gate:
            with self._clock.standstill.watching():
                reading = await self._seen(job, trace)
        counts["runs"] += 1
        counts[reading.outcome] += 1
        if trace is not None:
            trace(_last_line(reading))
        return reading

    async def _seen(self, job: Job, trace: Trace | None) -> Reading:
        sight = self._guard.sight(job, self._vantage, trace)
        try:
            reading = self._ours(await self._bounded(job, sight), sight)
        finally:
            sight.close()
        return self._ages.complete(reading, self._clock.mono())

    async def run(self, jobs: Iterable[Job]) -> None:
        """Run all jobs on their schedules until cancelled."""
        self._plan(jobs)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._driver = spawn(group, "schedule", self._drive(group))
        finally:
            self._group = self._driver = None

    def replace(self, jobs: Iterable[Job]) -> None:
        """Run these jobs from now on. One that stays keeps its turn; one that changed is asked anew next time."""
        self._plan(jobs)
        if self._group is not None and self._driver is not None:
            self._driver.cancel()
            self._driver = spawn(self._group, "schedule", self._drive(self._group))

    def _plan(self, jobs: Iterable[Job]) -> None:
        before, known = self._schedule, self._jobs
        self._jobs = {(job.target, job.check): job for job in jobs}
        self._schedule = Schedule()
        self._failing.intersection_update(self._jobs)
        start = self._clock.mono()
        for key, job in self._jobs.items():
            if key in known and known[key].every_s == job.every_s and self._schedule.take_over(before, key):
                continue
            # The vantage is part of the key: forty agents that look at one server must not look together.
            offset_s = stable_offset_s(f"{self._vantage}/{key[0]}/{key[1]}", job.every_s)
            self._schedule.add(key, every_s=job.every_s, start=start, offset_s=offset_s)

    def ask(self, target: str, check: str | None = None) -> bool:
        """Probe this now (all checks of the target without `check`); the readings come out as usual.

        False when this runner has no such check. One that is being probed at this moment is not probed twice.
        """
        wanted = [key for key in self._jobs if key[0] == target and check in (None, key[1])]
        if self._group is None or not wanted:
            return False
        for key in wanted:
            self._counts["asked"] += 1
            spawn(self._group, f"asked {key[0]}/{key[1]}", self._look(self._jobs[key]))
        return True

    def stats(self) -> dict[str, int]:
        """Counts since the start: runs, ok, failed, unknown, timeouts, starved, probe_bugs, late, rechecks, ...

        `resting` is how many checks are asked less at this moment because they time out, `rested` the runs left out.
        """
        names = ("runs", "ok", "failed", "unknown", "timeouts", "starved", "probe_bugs", "gate_waits", "asked")
        rechecks = ("rechecks", "rechecks_skipped", "woken")
        counts = {name: self._counts[name] for name in (*names, *rechecks)}
        counts |= {"resting": len(self._rests), "rested": self._schedule.rested()}
        return counts | {"late": self._schedule.late(), "in_flight": len(self._looking), "jobs": len(self._jobs)}

    # the schedule

    async def _drive(self, group: asyncio.TaskGroup) -> None:
        while True:
            for key in self._schedule.due(self._clock.mono()):
                job = self._jobs[cast(Key, key)]
                spawn(group, f"check {job.target}/{job.check}", self._turn(job))
            next_at = self._schedule.next_at()
            wait_s = _IDLE_S if next_at is None else next_at - self._clock.mono()
            await self._clock.sleep(max(0.0, wait_s))

    async def _turn(self, job: Job) -> None:
        """One scheduled run, and the rechecks that a first failure brings."""
        key = (job.target, job.check)
        begun = self._clock.mono()
        was_failing = key in self._failing
        try:
            reading = await self._look(job, scheduled=True)
            if reading is not None and _asks_again(reading) and not was_failing:
                await self._recheck(job, begun=begun)
        finally:
            self._schedule.done(key)

    async def _recheck(self, job: Job, *, begun: float) -> None:
        """Confirm a first failure quickly; ends at the first good answer or when the next run is due and will come.

        What we could not hear because we stood still is looked at again in the same way. From one beginning to the next
        it is at least the gap: a look that waited for its timeout has waited enough, and where it took so long that the
        next run was left out, the recheck stands in for that.
        """
        gap_s, next_at = max(1.0, job.every_s / 4.0) / max(1, job.recheck), begun + job.every_s
        for _ in range(job.recheck):
            now = self._clock.mono()
            begun = max(now, begun + gap_s)
            if now < next_at <= begun:
                return
            await self._clock.sleep(begun - now)
            if self._budget.wait_s(self._clock.mono()) > 0.0:
                self._counts["rechecks_skipped"] += 1
                return
            self._budget.take(self._clock.mono())
            self._counts["rechecks"] += 1
            reading = await self._look(job, extra=True)
            if reading is None or not _asks_again(reading):
                return

    async def _look(self, job: Job, *, scheduled: bool = False, extra: bool = False) -> Reading | None:
        """Run and hand on; None when the check is being run already or an extra look was held back by the rates."""
        key = (job.target, job.check)
        if key in self._looking:
            return None
        self._looking.add(key)
        try:
            reading = await self.run_once(job)
        finally:
            self._looking.discard(key)
        if extra and reading.reason is Reason.RATE_LIMITED:
            return None  # our own extra look did not fit: that is not news about the target
        if reading.outcome is Outcome.FAILED:
            self._failing.add(key)
        elif reading.outcome is Outcome.OK:
            self._failing.discard(key)
        reading = self._rest(job, reading, scheduled=scheduled)
        self._on_reading(reading)
        return reading

    def _rest(self, job: Job, reading: Reading, *, scheduled: bool) -> Reading:
        """Back off from what times out, and stop doing so at the first sign of life; the reading says how long."""
        key = (job.target, job.check)
        if self._rests.returned(reading):
            self._wake(key)
        elif scheduled:
            self._schedule.rest(key, self._rests.after(reading, job.every_s))
        rest_s = self._rests.rest_s(key)
        return replace(reading, rest_s=rest_s) if rest_s else reading

    def _wake(self, answered: Key) -> None:
        """The target's other checks need not wait for their time: as many as the budget has are looked at now."""
        for key in self._rests.wake(answered[0]):
            self._schedule.rest(key, 0)
            if key != answered and self._group is not None and self._budget.wait_s(self._clock.mono()) <= 0.0:
                self._budget.take(self._clock.mono())
                self._counts["woken"] += 1
                spawn(self._group, f"woken {key[0]}/{key[1]}", self._look(self._jobs[key], extra=True))

    # one run

    async def _bounded(self, job: Job, sight: GuardedSight) -> Reading:
        look = Look(job, sight)
        task = cast("asyncio.Task[object]", asyncio.current_task())
        cancelling = task.cancelling()
        deadline = Deadline(self._clock, job.timeout_s + GRACE_S, task.cancel, held=lambda: sight.held_s)
        try:
            return await self._attempt(job, sight, look)
        except asyncio.CancelledError:
            if not deadline.passed or task.uncancel() > cancelling:
                raise
            return look.bad(timed_out(sight.dns_s, job.timeout_s, resolving=sight.resolving))
        finally:
            deadline.cancel()

    async def _attempt(self, job: Job, sight: GuardedSight, look: Look) -> Reading:
        try:
            return await self._probes(job.kind).probe(job, sight)
        except Exception as error:  # boundary: one run of one probe becomes one reading, whatever it raises
            fault = explain(error)
            if fault is None:
                fault = self._bug(job, error)
            return look.bad(fault)

    def _bug(self, job: Job, error: Exception) -> Fault:
        self._counts["probe_bugs"] += 1
        seen = (job.kind, repr(error)[:200])
        if seen not in self._bugs and len(self._bugs) < 1000:
            self._bugs.add(seen)
            log.error("probe bug", exc_info=error, extra={"kind": job.kind, "target": job.target, "check": job.check})
        return Fault(Reason.PROBE_BUG, type(error).__name__)

    def _ours(self, reading: Reading, sight: GuardedSight) -> Reading:
        """Without a route or a link of our own, and while we stood still, silence says nothing about the target."""
        if reading.reason in _BY_TIME and sight.stood_long:
            self._counts["starved"] += 1
            detail = f"this machine let us stand still during the look ({reading.detail or reading.reason})"
            return replace(reading, outcome=Outcome.UNKNOWN, reason=Reason.STARVED, detail=detail)
        if reading.reason is Reason.TIMEOUT:
            self._counts["timeouts"] += 1
        if reading.reason not in (Reason.TIMEOUT, Reason.UNREACHABLE) or sight.last is None:
            return reading
        fault = self._local_fault(sight.last)
        if fault is None:
            return reading
        return replace(reading, outcome=Outcome.UNKNOWN, reason=Reason.NO_ROUTE, detail=fault)


def _asks_again(reading: Reading) -> bool:
    """A failure, or what we could not hear because we stood still."""
    return reading.outcome is Outcome.FAILED or reading.reason is Reason.STARVED


def _last_line(reading: Reading) -> str:
    reason = f" ({reading.reason.value}: {reading.detail})" if reading.reason else ""
    return f"{reading.outcome.value}{reason} in {reading.took * 1000.0:.1f} ms"
