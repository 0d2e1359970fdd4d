"""Many probes at once beside peers made for it: ICMP beside fping, HTTP and HTTPS beside blackbox_exporter.

ICMP: 10,000 addresses of 127/8, one echo request each, 56 bytes, 1 s timeout, no retry. fping runs as fast as it can
(`-i 0 -r 0`), with a pause of 10 us between packets, and as it comes (`-i 10`, 300 addresses). healthmon is measured as
a user gets it (each echo is one run of one check with safety block, deadline and reading) and as the bare socket below
that. HTTP and HTTPS: one nginx worker, a fresh connection and a full handshake (TLS 1.3) for each probe, the
certificate verified by both, 50 lanes. The right answer is "up" for every target; what is not is counted as lost.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import quote

import yaml

from benchmarks.asking import ask_all
from benchmarks.lanes import lanes
from benchmarks.measuring import certificate, child, free_port, need, nginx
from benchmarks.pairs import Contender, Round, compare, timed
from healthmon.model.plan import Job
from healthmon.probes.echo import EchoSockets, Flight
from healthmon.runtime.clock import SystemClock

ADDRESSES = [str(IPv4Address("127.1.0.1") + number) for number in range(10_000)]
FEW = 300
TIMEOUT_S = 1.0
PROBES = {"http": 3_000, "https": 1_000}
LANES = 50
ICMP_LANES = 500


def main() -> None:
    asyncio.run(icmp())
    if need("nginx"):
        for scheme in PROBES:
            asyncio.run(web(scheme))


# ICMP


async def icmp() -> None:
    count = len(ADDRESSES)
    jobs = [Job(ip, "up", "icmp", ip, 30.0, TIMEOUT_S, {"count": 1, "wait_s": TIMEOUT_S}) for ip in ADDRESSES]
    checks = lanes(jobs, ICMP_LANES)
    contenders = [
        Contender("healthmon icmp checks", lambda: timed(checks), count),
        Contender("healthmon echo socket alone", lambda: timed(icmp_socket), count),
    ]
    fping = need("fping")
    if fping:
        for name, pause_ms, some in (("-i 0 -r 0", "0", count), ("-i 0.01 -r 0", "0.01", count), ("-r 0", "10", FEW)):
            contenders.append(Contender(f"fping {name}", _fping(fping, pause_ms, some), some))
    await compare("icmp", contenders, rival="fping -i 0 -r 0")


def _fping(binary: str, pause_ms: str, some: int) -> Callable[[], Awaitable[Round]]:
    async def once() -> Round:
        argv = [binary, "-q", "-i", pause_ms, "-r", "0", "-t", str(int(TIMEOUT_S * 1000)), "-s", "-g"]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*argv, ADDRESSES[0], ADDRESSES[some - 1], stderr=pipe)
        said = (await process.communicate())[1].decode()
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        alive = next(int(line.split()[0]) for line in said.splitlines() if line.endswith(" alive"))
        return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, alive

    return once


async def icmp_socket() -> int:
    flights, clock = [Flight(ip) for ip in ADDRESSES], SystemClock()
    with EchoSockets().use(socket.AF_INET, clock) as echo:
        for flight in flights:
            await echo.send(flight, size_bytes=56)
        for flight in flights:
            await flight.landed(clock, TIMEOUT_S)
    return sum(flight.rtts_s != [None] for flight in flights)


# HTTP and HTTPS


async def web(scheme: str) -> None:
    """The peer answers with probe_success 1 and, for HTTPS, with the certificate's end, as ours does."""
    count, peer = PROBES[scheme], need("prometheus-blackbox-exporter")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cert = certificate(folder) if scheme == "https" else None
        with nginx(folder, cert=cert) as port:
            url = f"{scheme}://127.0.0.1:{port}/"
            params = {"ca_file": str(cert[0])} if cert else {}
            jobs = [Job(f"t{n}", "up", "http", url, 30.0, 5.0, params) for n in range(count)]
            checks = lanes(jobs, LANES)
            ours = Contender(f"healthmon {scheme} checks", lambda: timed(checks), count)
            if not peer:
                await compare(scheme, [ours])
                return
            listen, config = free_port(), folder / "blackbox.yml"
            secured = {"http": {"tls_config": {"ca_file": str(cert[0])}}} if cert else {}
            config.write_text(yaml.safe_dump({"modules": {"m": {"prober": "http", "timeout": "5s", **secured}}}))
            argv = [peer, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{listen}", "--log.level=error"]
            paths = [f"/probe?module=m&target={quote(url, safe='')}"] * count
            with child(argv, log=folder / "blackbox.log", url=f"http://127.0.0.1:{listen}/metrics") as process:
                theirs = f"blackbox_exporter {scheme}"
                rival = Contender(
                    theirs, lambda: ask_all(process, listen, paths, lanes=LANES, right=_up(scheme)), count
                )
                await compare(scheme, [ours, rival], rival=theirs)


def _up(scheme: str) -> Callable[[bytes], bool]:
    wanted = b"\nprobe_ssl_earliest_cert_expiry " if scheme == "https" else b""
    return lambda body: b"\nprobe_success 1\n" in body and wanted in body
