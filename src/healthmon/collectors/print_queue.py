"""host_print_queue: queues of this host's spooler: stopped, refusing, piling up. Jobs and people have no names here."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.collectors.commands import run
from healthmon.collectors.look import Unseen, look, params_of
from healthmon.collectors.windows import powershell_json, service_status
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample

FAMILIES = (
    Family("host_print_spooler", frozenset({"running", "queues", "stopped_queues", "queued_jobs"})),
    Family(
        "host_print_queue",
        frozenset({"enabled", "accepting", "queued_jobs", "job_errors", "oldest_job_age_seconds"}),
        frozenset({"queue"}),
    ),
)
_STATE = re.compile(r"printer (\S+) (disabled|is|now)\b")
_ACCEPTS = re.compile(r"(\S+) (not )?accepting requests")
_MOST_QUEUES = 300


@dataclass(frozen=True, slots=True)
class Params:
    """`only`: these queues (default: all, the first 300 by name)."""

    only: tuple[str, ...] = ()

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(slots=True)
class Queue:
    """One queue."""

    enabled: bool = True
    accepting: bool = True
    jobs: int = 0
    errors: float | None = None
    oldest_at: float | None = None


class PrintQueueCollector:
    """CUPS through lpstat; the Windows spooler through its performance counters and WMI."""

    def __init__(self, server: str | None = None) -> None:
        self._server = ["-h", server] if server else []

    async def probe(self, job: Job, sight: Sight) -> Reading:
        def see() -> list[Sample]:
            params = params_of(job, Params)
            queues = ask_windows() if sys.platform == "win32" else self._ask_cups()
            return samples_of_queues(queues, params, sight.clock.now())

        return await look(job, sight, see)

    def _ask_cups(self) -> dict[str, Queue] | None:
        if "not running" in run(["lpstat", *self._server, "-r"], codes=None):
            return None
        states = run(["lpstat", *self._server, "-p", "-a"], codes=None)  # 1: there is no queue
        return parse_lpstat(states, run(["lpstat", *self._server, "-o"], codes=None))


def parse_lpstat(states: str, jobs: str) -> dict[str, Queue]:
    """`lpstat -p -a` and `lpstat -o` under LC_ALL=C. Of a job only its queue and its time are read."""
    queues: dict[str, Queue] = {}
    for line in states.splitlines():
        state, accepts = _STATE.match(line), _ACCEPTS.match(line)
        if state:
            queues.setdefault(state.group(1), Queue()).enabled = state.group(2) != "disabled"
        elif accepts:
            queues.setdefault(accepts.group(1), Queue()).accepting = accepts.group(2) is None
    for line in jobs.splitlines():
        name, dash, number = line.split(" ", 1)[0].rpartition("-")
        if dash and number.isdigit():
            queue = queues.setdefault(name, Queue())
            queue.jobs += 1
            at = _job_time(line)
            if at is not None:
                queue.oldest_at = at if queue.oldest_at is None else min(at, queue.oldest_at)
    return queues


def _job_time(line: str) -> float | None:
    """The last columns in the C locale's form: `Sun Nov 22 01:40:00 2026`, or with the year before the clock."""
    columns = line.split()
    for width, form in ((5, "%a %b %d %H:%M:%S %Y"), (7, "%a %d %b %Y %I:%M:%S %p %Z"), (6, "%a %d %b %Y %H:%M:%S %Z")):
        try:
            return time.mktime(time.strptime(" ".join(columns[-width:]), form))
        except (ValueError, OverflowError):
            continue
    return None


def ask_windows() -> dict[str, Queue] | None:
    """Blocking; None when the spooler does not run. Raises Unseen."""
    state = service_status("Spooler")
    if state is None or state[0] != "running":
        return None
    counters = powershell_json(
        "Get-CimInstance Win32_PerfFormattedData_Spooler_PrintQueue | Select-Object Name,Jobs,JobErrors"
    )
    printers = powershell_json("Get-CimInstance Win32_Printer | Select-Object Name,PrinterState,WorkOffline")
    return parse_windows_queues(counters, printers)


def parse_windows_queues(counters: Iterable[dict[str, Any]], printers: Iterable[dict[str, Any]]) -> dict[str, Queue]:
    """Counters by queue (`_Total` left out), states by printer: bit 1 paused, 2 error, or offline."""
    queues: dict[str, Queue] = {}
    for row in printers:
        state = row.get("PrinterState")
        stopped = bool(state & 3) if isinstance(state, int) else False
        queues[str(row.get("Name", ""))] = Queue(enabled=not stopped and not row.get("WorkOffline"))
    for row in counters:
        name, jobs, errors = str(row.get("Name", "")), row.get("Jobs"), row.get("JobErrors")
        if name and name != "_Total" and isinstance(jobs, int):
            queue = queues.setdefault(name, Queue())
            queue.jobs = jobs
            queue.errors = float(errors) if isinstance(errors, int) else None
    queues.pop("", None)
    return queues


def samples_of_queues(queues: dict[str, Queue] | None, params: Params, now: float) -> list[Sample]:
    """The spooler as a whole, then each queue. Raises Unseen for a queue that is named and not there."""
    if queues is None:
        return [Sample("host_print_spooler", "running", 0.0)]
    missing = [name for name in params.only if name not in queues]
    if missing:
        raise Unseen(Reason.BAD_PARAMS, f"there is no queue {missing[0]!r}")
    kept = {name: queues[name] for name in (params.only or sorted(queues)[:_MOST_QUEUES])}
    whole = {
        "running": 1.0,
        "queues": float(len(kept)),
        "stopped_queues": float(sum(not queue.enabled for queue in kept.values())),
        "queued_jobs": float(sum(queue.jobs for queue in kept.values())),
    }
    samples = [Sample("host_print_spooler", name, value) for name, value in whole.items()]
    for name, queue in kept.items():
        facts = {"enabled": float(queue.enabled), "accepting": float(queue.accepting), "queued_jobs": float(queue.jobs)}
        if queue.errors is not None:
            facts["job_errors"] = queue.errors
        if queue.oldest_at is not None:
            facts["oldest_job_age_seconds"] = max(0.0, now - queue.oldest_at)
        elif not queue.jobs:
            facts["oldest_job_age_seconds"] = 0.0
        samples += [Sample("host_print_queue", one, value, {"queue": name}) for one, value in facts.items()]
    return samples
