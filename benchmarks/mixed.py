"""10,000 mixed checks at 30 s on one core: is every check on time?

40 % ICMP, 30 % SNMP GET of 10 OIDs and 5 % bulk walks of 1,000 varbinds (half v2c, half v3 SHA/AES), 15 % HTTP (a third
of it HTTPS, certificate verified), 5 % TCP, 5 % DNS. Runner, safety block (its stock rates), probes and readings of one
process, which keeps to one core (as `taskset` does); real daemons (snmpd, nginx, unbound) answer on the others. A check
is late by the time from its place in the schedule to the moment its look began. The first interval warms up; the next
ones count; nothing is rechecked, as a recheck has no place in the schedule. A stall need not be ours where others share
the core: how much CPU we had in the longest is printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from benchmarks.measuring import certificate, child, free_port, listens, need, nginx, wait_for
from benchmarks.pairs import results
from benchmarks.snmp import WHO, pack
from benchmarks.snmp_agent import snmpd
from healthmon.model.plan import Job, Safety
from healthmon.model.sample import Reading
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.schedule import stable_offset_s

CHECKS = 10_000
EVERY_S, TIMEOUT_S = 30.0, 5.0
INTERVALS = 3
VANTAGE = "bench"


def main() -> None:
    if not all(need(binary) for binary in ("snmpd", "nginx", "unbound")):
        return
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[1:])  # inherited by the daemons
        jobs = _jobs(Path(name), stack)
        os.sched_setaffinity(0, cores[:1])
        try:
            asyncio.run(_watch(jobs))
        finally:
            os.sched_setaffinity(0, cores)


def _jobs(folder: Path, stack: contextlib.ExitStack) -> list[Job]:
    (folder / "tls").mkdir()
    cert = certificate(folder / "tls")
    plain, secured = stack.enter_context(nginx(folder)), stack.enter_context(nginx(folder / "tls", cert=cert))
    _, agent = stack.enter_context(snmpd(folder))
    names = stack.enter_context(_unbound(folder))
    kinds: list[tuple[str, str, str, dict[str, Any]]] = [  # the same 20 again and again: kind, check, address, params
        *[("icmp", "icmp", "{ip}", {"count": 1})] * 8,
        *[("snmp", f"get v{v}", f"{{ip}}:{agent}", _snmp("get", v)) for v in ("2c", "3") for _ in range(3)],
        ("snmp", "walk", f"{{ip}}:{agent}", _snmp("walk", "2c")),
        *[("http", "http", f"http://127.0.0.1:{plain}/", {})] * 2,
        ("http", "https", f"https://127.0.0.1:{secured}/", {"ca_file": str(cert[0])}),
        ("tcp", "tcp", f"127.0.0.1:{plain}", {}),
        ("dns", "dns", f"127.0.0.1:{names}", {"name": "host.bench"}),
    ]
    walks = _snmp("walk", "3")
    jobs = []
    for number in range(CHECKS):
        kind, check, address, params = kinds[number % len(kinds)]
        if check == "walk" and number // len(kinds) % 2:
            params = walks
        ip = str(IPv4Address("127.3.0.1") + number)
        jobs.append(Job(ip, check, kind, address.format(ip=ip), EVERY_S, TIMEOUT_S, params, recheck=0))
    return jobs


def _snmp(what: str, version: str) -> dict[str, Any]:
    return {"pack": pack(what), "version": version, "max_repetitions": 25, **WHO[version]}


@contextlib.contextmanager
def _unbound(folder: Path) -> Any:
    port, config = free_port(), folder / "unbound.conf"
    config.write_text(
        'server:\n chroot: ""\n username: ""\n do-daemonize: no\n use-syslog: no\n pidfile: ""\n'
        f' directory: "{folder}"\n interface: 127.0.0.1@{port}\n module-config: "iterator"\n ip-ratelimit: 0\n'
        ' local-zone: "bench." static\n local-data: "host.bench. A 192.0.2.1"\n'
    )
    with child([shutil.which("unbound") or "unbound", "-d", "-c", str(config)], log=folder / "unbound.log"):
        wait_for(lambda: listens(port), what="unbound")
        yield port


async def _watch(jobs: list[Job]) -> None:
    clock, readings = SystemClock(), list[Reading]()
    guard = Guard(Safety(), clock)
    keep = partial(_keep, readings)
    runner = Runner(vantage=VANTAGE, guard=guard, clock=clock, probes=load_probe, on_reading=keep)
    began, wall, cpu = clock.now(), time.perf_counter(), time.process_time()
    task = asyncio.create_task(runner.run(jobs))
    await asyncio.sleep(EVERY_S)
    warm_s, warm_cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    wall, cpu = time.perf_counter(), time.process_time()
    stalled_s, worked_s = await _longest_stall(EVERY_S * INTERVALS)
    share = (time.process_time() - cpu) / (time.perf_counter() - wall)
    late = runner.stats()["late"]
    await asyncio.sleep(TIMEOUT_S)
    task.cancel()
    await asyncio.wait([task])
    print(f"the longest stall: {stalled_s:.2f} s, {worked_s:.2f} s of them on the CPU")
    print(f"the first interval: {warm_cpu_s / warm_s:.0%} of a core")
    _say(readings, began, share, late)


def _keep(readings: list[Reading], reading: Reading) -> None:
    """Without its values: a poller hands them on, and a million of them would be our own burden."""
    readings.append(replace(reading, samples=()))


async def _longest_stall(for_s: float) -> tuple[float, float]:
    """How long the event loop was held up, and this process's CPU time in that while."""
    longest, end, step_s = (0.0, 0.0), time.perf_counter() + for_s, 0.05
    while (began := time.perf_counter()) < end:
        cpu = time.process_time()
        await asyncio.sleep(step_s)
        longest = max(longest, (time.perf_counter() - began - step_s, time.process_time() - cpu))
    return longest


def _say(readings: list[Reading], began: float, share: float, skipped: int) -> None:
    lateness: dict[str, list[float]] = {}
    outcomes: Counter[str] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    for reading in readings:
        after_s = reading.started - began - stable_offset_s(f"{VANTAGE}/{reading.target}/{reading.check}", EVERY_S)
        interval = int((after_s + 0.1) // EVERY_S)
        if not 1 <= interval <= INTERVALS:
            continue
        lateness.setdefault(reading.check, []).append(after_s - interval * EVERY_S)
        outcomes[f"{reading.outcome.value} {reading.reason or ''}".strip()] += 1
        seen[reading.target, reading.check] += 1
    everything = sorted(late for one in lateness.values() for late in one)
    for check, one in [*sorted(lateness.items()), ("all", everything)]:
        one.sort()
        p50, p99, most = (one[min(len(one) - 1, int(len(one) * part))] * 1000.0 for part in (0.5, 0.99, 1.0))
        print(f"{check:10} {len(one):6} looks; late by p50 {p50:6.1f} ms, p99 {p99:6.1f} ms, max {most:6.1f} ms")
    whole = sum(count == INTERVALS for count in seen.values())
    print(f"{share:.0%} of a core; outcomes {dict(outcomes)}; {whole} of {CHECKS} checks looked in every interval;")
    print(f"{skipped} runs skipped; {sum(late > 1.0 for late in everything)} looks more than 1 s late", flush=True)
    p99_s = everything[int(len(everything) * 0.99)]
    results.append({"contest": "mixed", "cores": share, "late_p99_s": p99_s, "late_max_s": everything[-1],
                    "outcomes": dict(outcomes), "whole": whole, "skipped": skipped})  # fmt: skip
