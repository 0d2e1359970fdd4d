"""The rates of the safety block, the spacing and the back-off, seen from the other end of a real socket."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psutil
import pytest

from daemons.fleet import until
from healthmon.app.restraint import counters, samples
from healthmon.model.plan import Job, MedicalAllow, MedicalNetwork, Rates, Safety
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

#: What a loaded machine may add to or take from the moment in which a connection is seen.
SLACK_S = 0.5


class Doorkeeper:
    """Listens on all of 127.0.0.0/8 and notes who knocked when."""

    def __init__(self) -> None:
        self.knocks: list[tuple[float, str]] = []
        self.port = 0

    async def __call__(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.knocks.append((time.monotonic(), writer.get_extra_info("sockname")[0]))
        writer.close()

    def span_s(self) -> float:
        """From the first knock to the last."""
        times = sorted(at for at, _ in self.knocks)
        return times[-1] - times[0]


@asynccontextmanager
async def doorkeeper() -> AsyncIterator[Doorkeeper]:
    keeper = Doorkeeper()
    server = await asyncio.start_server(keeper, "0.0.0.0", 0, backlog=1000)
    keeper.port = server.sockets[0].getsockname()[1]
    async with server:
        yield keeper


class Site:
    """One guard and one runner, and what came of their runs."""

    def __init__(self, safety: Safety) -> None:
        clock = SystemClock()
        self.guard = Guard(safety, clock)
        self.readings: list[Reading] = []
        self.runner = Runner(
            vantage="poller", guard=self.guard, clock=clock, probes=load_probe, on_reading=self.readings.append
        )

    async def all_at_once(self, jobs: Sequence[Job]) -> Counter[str]:
        """Outcomes, or reasons where there are any."""
        readings = await asyncio.gather(*map(self.runner.run_once, jobs))
        return Counter(str(reading.reason or reading.outcome) for reading in readings)

    def counts(self, word: str) -> dict[str, float]:
        """As `/metrics` of the server shows them."""
        return {key: value for key, value in counters("poller", self.guard, self.runner).items() if word in key}


def own_address() -> str:
    """An IPv4 address of this machine that is not loopback."""
    found = [a.address for card in psutil.net_if_addrs().values() for a in card if a.family is socket.AF_INET]
    outside = [ip for ip in found if not ip.startswith("127.")]
    if not outside:
        pytest.skip("this machine has no IPv4 address but loopback")
    return outside[0]


def job(host: str, port: int, *, target: str = "", timeout_s: float = 30.0, kind: str = "tcp") -> Job:
    return Job(target or host, "c", kind, f"{host}:{port}", 60.0, timeout_s)


async def test_one_target_is_asked_no_oftener_than_its_rate() -> None:
    site = Site(Safety(rates=Rates(per_target_hz=10.0)))
    async with doorkeeper() as door:
        outcomes = await site.all_at_once([job("127.0.0.1", door.port) for _ in range(11)])
    assert outcomes == {"ok": 11}
    assert door.span_s() >= 10 / 10.0 - SLACK_S
    assert site.counts("waited") == {"probes_waited_total{prober=poller,limit=target}": 10.0}
    assert site.counts("admitted") == {"probes_admitted_total{prober=poller}": 11.0}


async def test_a_subnet_is_asked_no_oftener_than_its_rate_and_another_one_does_not_wait() -> None:
    """By the address of this machine's card, since loopback is no link to spare."""
    here = own_address()
    site = Site(Safety(rates=Rates(per_subnet_hz=10.0)))
    async with doorkeeper() as door:
        jobs = [job(here, door.port, target=f"t{n}") for n in range(11)] + [job("127.0.1.1", door.port)]
        assert await site.all_at_once(jobs) == {"ok": 12}
    near = sorted(at for at, ip in door.knocks if ip == here)
    assert near[-1] - near[0] >= 10 / 10.0 - SLACK_S
    assert next(at for at, ip in door.knocks if ip == "127.0.1.1") < near[-1]
    assert site.counts("waited") == {"probes_waited_total{prober=poller,limit=subnet}": 10.0}


async def test_all_together_are_asked_no_oftener_than_the_global_rate() -> None:
    site = Site(Safety(rates=Rates(global_hz=10.0)))
    async with doorkeeper() as door:
        assert await site.all_at_once([job(f"127.0.{n}.1", door.port) for n in range(11)]) == {"ok": 11}
    assert door.span_s() >= 10 / 10.0 - SLACK_S
    assert site.counts("waited") == {"probes_waited_total{prober=poller,limit=global}": 10.0}


@pytest.mark.parametrize(
    ("rates", "limit"),
    [
        (Rates(per_target_hz=0.01), "target"),
        (Rates(per_subnet_hz=0.01), "subnet"),
        (Rates(global_hz=0.01), "global"),
    ],
)
async def test_what_would_wait_too_long_is_not_sent_and_says_which_limit(rates: Rates, limit: str) -> None:
    site = Site(Safety(rates=rates))
    async with doorkeeper() as door:
        names = ["t"] * 4 if limit == "target" else [f"t{n}" for n in range(4)]
        outcomes = await site.all_at_once([job(own_address(), door.port, target=t, timeout_s=1.0) for t in names])
        assert outcomes == {"ok": 1, "rate_limited": 3}
        assert len(door.knocks) == 1
    assert site.counts("refused") == {f"probes_refused_total{{prober=poller,why={limit}}}": 3.0}
    told = {tuple(sample.labels.items()): sample.value for sample in samples(site.guard, site.runner)}
    assert told[(("why", limit),)] == 3.0


async def test_denied_and_medical_networks_get_no_packet() -> None:
    allow = (MedicalAllow("icmp", "clinical engineering", "2026-11-01"),)
    site = Site(Safety(("127.0.5.0/24",), (MedicalNetwork("127.0.6.0/24", allow),)))
    async with doorkeeper() as door:
        outcomes = await site.all_at_once([job("127.0.5.1", door.port), job("127.0.6.1", door.port)])
        assert outcomes == {"not_allowed": 2}
        assert door.knocks == []
    assert site.counts("refused") == {
        "probes_refused_total{prober=poller,why=denied}": 1.0,
        "probes_refused_total{prober=poller,why=medical_denied}": 1.0,
    }


async def test_a_listener_that_never_answers_is_asked_less_and_at_once_again_when_it_does() -> None:
    site, says, came = Site(Safety(rates=Rates(per_target_hz=100.0))), asyncio.Event(), list[float]()

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(time.monotonic())
        if says.is_set():
            writer.write(b"ready\r\n")
        else:
            await says.wait()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    asked = Job("host", "c", "tcp", f"127.0.0.1:{port}", 0.3, 0.05, {"expect": "ready"}, recheck=0)
    async with server, asyncio.timeout(60.0), asyncio.TaskGroup() as group:
        running = group.create_task(site.runner.run([asked]))
        await until(lambda: len(site.readings) >= 7)
        assert site.runner.stats()["resting"] == 1
        assert {reading.reason for reading in site.readings} == {Reason.TIMEOUT}
        rests = [round(reading.rest_s, 3) for reading in site.readings[:7]]
        assert rests == [0.0, 0.0, 0.0, 0.0, 0.3, 0.9, 0.9]
        assert came[-1] - came[-2] >= 1.2 - SLACK_S
        says.set()
        await until(lambda: site.readings[-1].outcome is Outcome.OK)
        assert site.readings[-1].rest_s == 0.0
        assert site.runner.stats()["resting"] == 0
        running.cancel()
    assert site.counts("rested")["runs_rested_total{prober=poller}"] >= 1 + 3
