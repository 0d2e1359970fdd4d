"""Many probes at once beside the peers that are made for it: ICMP beside fping, plain HTTP beside blackbox_exporter.

ICMP: 10,000 addresses of 127/8, one echo request each, 1 s timeout. fping runs as fast as it can (`-i 0 -r 0`), and
once more with a pause of 10 us between packets. healthmon is measured as a user gets it (each echo is one run of one
check with safety block, deadline and reading) and as the bare socket below that.
HTTP: one nginx worker, a fresh connection for each probe, 50 lanes.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.measuring import child, free_port, need, nginx
from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.sample import Outcome
from healthmon.probes import load_probe
from healthmon.probes.echo import EchoSockets, Flight
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock

ROUNDS = 5
ADDRESSES = [str(IPv4Address("127.1.0.1") + number) for number in range(10_000)]
TIMEOUT_S = 1.0
HTTP_PROBES = 3_000
LANES = 50
ICMP_LANES = 500

#: One round of something: (wall s, CPU s, answers).
Round = tuple[float, float, int]


def main() -> None:
    fping = need("fping")
    if fping:
        report("fping -i 0 -r 0", [fping_once(fping, "0") for _ in range(ROUNDS)], len(ADDRESSES))
        report("fping -i 0.01 -r 0", [fping_once(fping, "0.01") for _ in range(ROUNDS)], len(ADDRESSES))
    asyncio.run(icmp())
    blackbox = need("prometheus-blackbox-exporter")
    if need("nginx"):
        with tempfile.TemporaryDirectory() as folder, nginx(Path(folder)) as port:
            asyncio.run(http(port))
            if blackbox:
                blackbox_http(blackbox, Path(folder), port)


def report(name: str, rounds: list[Round], wanted: int) -> None:
    wall, cpu = (statistics.median(one[part] for one in rounds) for part in (0, 1))
    lost = sum(wanted - answers for _, _, answers in rounds)
    print(f"{name:34} {wanted / wall:9,.0f} a second, {cpu / wanted * 1e6:6.1f} CPU-us each, {lost} without an answer")


# ICMP


def fping_once(binary: str, pause_ms: str) -> Round:
    argv = [binary, "-q", "-i", pause_ms, "-r", "0", "-t", str(int(TIMEOUT_S * 1000)), "-s", "-g"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*argv, ADDRESSES[0], ADDRESSES[-1]], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    alive = next(int(line.split()[0]) for line in done.stderr.splitlines() if line.endswith(" alive"))
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, alive


async def icmp() -> None:
    jobs = [Job(ip, "up", "icmp", ip, 30.0, TIMEOUT_S, {"count": 1, "wait_s": TIMEOUT_S}) for ip in ADDRESSES]
    checks = lanes(jobs, ICMP_LANES)
    report("healthmon icmp checks", [await timed(checks) for _ in range(ROUNDS)], len(ADDRESSES))
    report("healthmon echo socket alone", [await timed(icmp_socket) for _ in range(ROUNDS)], len(ADDRESSES))


async def timed(work: Callable[[], Awaitable[int]]) -> Round:
    cpu, began = time.process_time(), time.perf_counter()
    answers = await work()
    return time.perf_counter() - began, time.process_time() - cpu, answers


def lanes(jobs: list[Job], width: int) -> Callable[[], Awaitable[int]]:
    """Rounds of the same checks by the same runner, as a poller looks at its targets again and again."""
    probe, clock = load_probe(jobs[0].kind), SystemClock()
    guard = Guard(Safety(rates=Rates(1e6, 1e6, 1e6)), clock)
    runner = Runner(vantage="bench", guard=guard, clock=clock, probes=lambda _: probe, on_reading=lambda _: None)

    async def one_round() -> int:
        waiting, outcomes = iter(jobs), []

        async def lane() -> None:
            for job in waiting:
                outcomes.append((await runner.run_once(job)).outcome)

        await asyncio.gather(*(lane() for _ in range(width)))
        return outcomes.count(Outcome.OK)

    return one_round


async def icmp_socket() -> int:
    flights, clock = [Flight(ip) for ip in ADDRESSES], SystemClock()
    with EchoSockets().use(socket.AF_INET, clock) as echo:
        for flight in flights:
            await echo.send(flight, size_bytes=56)
        for flight in flights:
            await flight.landed(clock, TIMEOUT_S)
    return sum(flight.rtts_s != [None] for flight in flights)


# HTTP


async def http(port: int) -> None:
    jobs = [Job(f"t{n}", "up", "http", f"http://127.0.0.1:{port}/", 30.0, 5.0) for n in range(HTTP_PROBES)]
    checks = lanes(jobs, LANES)
    report("healthmon http checks", [await timed(checks) for _ in range(ROUNDS)], HTTP_PROBES)


def blackbox_http(binary: str, folder: Path, port: int) -> None:
    """Asked over kept connections, as Prometheus does; the CPU is the exporter's own."""
    listen, config = free_port(), folder / "blackbox.yml"
    config.write_text(yaml.safe_dump({"modules": {"http": {"prober": "http", "timeout": "5s"}}}))
    argv = [binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{listen}"]
    with ExitStack() as stack:
        ready = f"http://127.0.0.1:{listen}/metrics"
        process = stack.enter_context(child(argv, log=folder / "blackbox.log", url=ready))
        path = f"/probe?module=http&target=http%3A%2F%2F127.0.0.1%3A{port}%2F"
        report("blackbox_exporter http", [ask_all(process, listen, path) for _ in range(ROUNDS)], HTTP_PROBES)


def ask_all(process: psutil.Process, port: int, path: str) -> Round:
    before, began = process.cpu_times(), time.perf_counter()
    answers = asyncio.run(_ask_in_lanes(port, path))
    wall, after = time.perf_counter() - began, process.cpu_times()
    return wall, after.user + after.system - before.user - before.system, answers


async def _ask_in_lanes(port: int, path: str) -> int:
    return sum(await asyncio.gather(*(_lane(port, path, HTTP_PROBES // LANES) for _ in range(LANES))))


async def _lane(port: int, path: str, count: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    good = 0
    for _ in range(count):
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = await _body(reader, head)
        good += b"\nprobe_success 1\n" in body
    writer.close()
    return good


async def _body(reader: asyncio.StreamReader, head: str) -> bytes:
    fields: dict[str, Any] = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body
