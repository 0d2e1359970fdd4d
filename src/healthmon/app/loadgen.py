"""`healthmon loadgen`: a simulated fleet against a server of its own, or against one that was set up for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from healthmon.app.loadceiling import climb
from healthmon.app.loadfleet import Fleet
from healthmon.app.loadshape import CHECKS, Load, agent_name, host_name
from healthmon.config import SiteConfig
from healthmon.model.errors import ConfigError, TransportDown
from healthmon.model.plan import Broker
from healthmon.model.ports import Clock

#: The only organisation that a fleet of invented readings may speak to.
ORGANISATION = "loadgen"
CONNECTED_WITHIN_S = 300.0
CAUGHT_UP_WITHIN_S = 1800.0
START_S = 120.0
WARM_UP_S = 60.0
STOP_S = 60.0
SAY_EVERY_S = 10.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What to do. kill_broker and outage_s need a server of our own."""

    load: Load
    minutes: float
    kill_broker: bool = False
    outage_s: float = 0.0
    ceiling: bool = False


@dataclass(slots=True)
class Phase:
    """Some seconds of load: ages in seconds of live and of late batches, cores by process, counts."""

    wall_s: float = 0.0
    ages: list[float] = field(default_factory=list)
    late_ages: list[float] = field(default_factory=list)
    cores: dict[str, float] = field(default_factory=dict)
    acknowledged: int = 0
    made: int = 0

    def figures(self, points: int) -> dict[str, Any]:
        """As they are printed."""
        rate = self.acknowledged / self.wall_s if self.wall_s else 0.0
        ms = {name: 1000.0 * cores * self.wall_s / max(1, self.acknowledged) for name, cores in self.cores.items()}
        return {
            "seconds": round(self.wall_s, 1),
            "published": self.made,
            "acknowledged": self.acknowledged,
            "messages_per_s": round(rate, 1),
            "points_per_s": round(rate * points),
            "age_s": spread(self.ages),
            "late_age_s": spread(self.late_ages),
            "cores": {name: round(cores, 3) for name, cores in self.cores.items()},
            "cpu_ms_per_message": {name: round(cost, 3) for name, cost in ms.items()},
        }


def spread(ages: list[float]) -> dict[str, float]:
    """p50, p99 and the most, in seconds."""
    ordered = sorted(ages)
    if not ordered:
        return {}
    at = {"p50": ordered[len(ordered) // 2], "p99": ordered[int(len(ordered) * 0.99)], "max": ordered[-1]}
    return {name: round(age, 3) for name, age in at.items()}


def site_yaml(load: Load, folder: Path, broker: str | None = None) -> str:
    """A configuration whose fleet this is: wards of 50 PCs, one switch each. JSON, which is YAML too."""
    wards = range((load.agents + 49) // 50)
    names = [agent_name(number) for number in range(load.agents)]
    site = {
        "organisation": {"id": ORGANISATION, "name": "Load generator", "timezone": "UTC"},
        "sites": [{"id": "main", "name": "Main"}],
        "areas": [
            {"id": f"ward-{ward}", "name": f"Ward {ward}", "kind": "ward", "acuity": "inpatient", "beds": 28,
             "needs": [f"sw-{ward}"]} for ward in wards
        ],
        "targets": [
            *({"id": f"sw-{ward}", "kind": "switch", "address": "192.0.2.1", "area": f"ward-{ward}"} for ward in wards),
            *({"id": host_name(name), "kind": "ward-workstation", "address": "192.0.2.2",
               "area": f"ward-{number // 50}", "needs": [f"sw-{number // 50}"]} for number, name in enumerate(names)),
        ],
        "agents": [{"id": name, "target": host_name(name), "roles": ["ward-workstation"]} for name in names],
        "data_dir": str(folder / "data"),
        "web": {"listen": "127.0.0.1:0"},
        **({"broker": {"url": broker}} if broker else {}),
    }  # fmt: skip
    return json.dumps(site, indent=0)


def refuse_strangers(site: SiteConfig) -> None:
    """Invented readings must never reach a real hospital's board. Raises ConfigError."""
    if site.estate.organisation.id != ORGANISATION:
        raise ConfigError(
            [
                f"loadgen: organisation {site.estate.organisation.id!r} is not a load test; write a configuration "
                f"with `healthmon loadgen --write FOLDER` and start a server with it (allowed: {ORGANISATION})"
            ]
        )


class OwnServer:
    """A child `healthmon server` with its embedded broker, which may be killed and started again."""

    def __init__(self, folder: Path, mosquitto: Mosquitto | None = None) -> None:
        self.folder = folder
        self.config = folder / "healthmon.yaml"
        self.mosquitto = mosquitto
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Raises TransportDown when it does not come up."""
        with (self.folder / "server.log").open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "healthmon", "server", "--json", "-c", str(self.config),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=out,
            )  # fmt: skip
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_S):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            await self.stop()
            tail = (self.folder / "server.log").read_text(errors="replace")[-600:]
            raise TransportDown(f"the server did not start: {tail.strip()}")

    def broker(self) -> Broker:
        """Where it listens; the same port at each start."""
        if self.mosquitto is not None:
            return Broker(self.mosquitto.url)
        return Broker(**json.loads((self.folder / "data" / "broker.json").read_text()))

    def processes(self) -> dict[str, psutil.Process]:
        """Server and broker."""
        if self._process is None:
            return {}
        found = {"server": psutil.Process(self._process.pid)}
        if self.mosquitto is not None and self.mosquitto.pid:
            found["broker"] = psutil.Process(self.mosquitto.pid)
        for child in found["server"].children(recursive=True):
            if "nats-server" in child.name():
                found["broker"] = child
        return found

    async def kill_broker(self) -> None:
        """SIGKILL; whoever started it starts it again."""
        self.processes()["broker"].kill()
        if self.mosquitto is not None:
            await self.mosquitto.start()

    async def kill(self) -> None:
        """SIGKILL the server; the broker dies with it."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """End it politely, then surely."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()


class Mosquitto:
    """A mosquitto of our own on loopback, as a whole trust would run one: nothing on disk, no limit on its queue."""

    def __init__(self, folder: Path, agents: int) -> None:
        binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if binary is None:
            raise TransportDown("mosquitto is not installed (Debian: apt-get install mosquitto)")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_connections {agents + 64}\n"
            f"set_tcp_nodelay true\npersistence false\nlog_dest file {folder / 'mosquitto.log'}\nuser root\n"
        )
        self._argv = [binary, "-c", str(self._config)]
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"mqtt://127.0.0.1:{port}"

    @property
    def pid(self) -> int | None:
        """Its process, while it is there."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Also after it was killed."""
        if self._process is not None:
            await self._process.wait()
        self._process = await asyncio.create_subprocess_exec(*self._argv, stdin=asyncio.subprocess.DEVNULL)

    async def stop(self) -> None:
        """End it."""
        if self.pid and self._process is not None:
            self._process.terminate()
            await self._process.wait()


class Run:
    """One load test; `report` holds what was found so far."""

    def __init__(self, options: Options, *, broker: Broker, own: OwnServer | None, clock: Clock, say: Say) -> None:
        self.options = options
        self.own = own
        self.clock = clock
        self.say = say
        self.fleet = Fleet(options.load, broker=broker, clock=clock)
        self.report: dict[str, Any] = {
            "agents": options.load.agents,
            "every_s": options.load.every_s,
            "points": options.load.points,
        }

    async def go(self) -> dict[str, Any]:
        """All phases; the report."""
        self.fleet.start()
        began = self.clock.mono()
        if not await self.until(self._all_up, CONNECTED_WITHIN_S, "connecting"):
            raise TransportDown(f"only {self.fleet.up} of {self.options.load.agents} agents could connect")
        self.report["connect_s"] = round(self.clock.mono() - began, 1)
        await self.until(lambda: False, min(WARM_UP_S, 2 * self.options.load.every_s), "warming up")
        self.report["steady"] = await self.figures(60.0 * self.options.minutes, "steady")
        self.report["rss_mib"] = self._sizes()
        if self.options.ceiling:
            self.report["ceiling"] = await climb(self)
            await self.until(self._caught_up, CAUGHT_UP_WITHIN_S, "catching up")
        if self.own is not None and self.options.kill_broker:
            self.report["broker_kill"] = await self._broker_kill(self.own)
        if self.own is not None and self.options.outage_s:
            self.report["outage"] = await self._outage(self.own)
        await self.until(lambda: self.fleet.oldest_s() < 2.0, 60.0, "settling")
        self.report |= {"unacknowledged": self.fleet.backlog, "counts": dict(sorted(self.fleet.counts.items()))}
        self.report["load_average"] = [round(one, 1) for one in os.getloadavg()] if hasattr(os, "getloadavg") else []
        self.fleet.stop()
        return self.report

    @property
    def _points(self) -> int:
        return self.options.load.points

    def _all_up(self) -> bool:
        return self.fleet.up == self.options.load.agents

    async def _broker_kill(self, own: OwnServer) -> dict[str, Any]:
        await own.kill_broker()
        began = self.clock.mono()
        await self.until(lambda: self.fleet.up < self.options.load.agents // 2, 30.0, "broker killed")
        back = await self.until(self._all_up, CONNECTED_WITHIN_S, "reconnecting")
        connected_s = self.clock.mono() - began
        caught = await self.until(self._caught_up, CAUGHT_UP_WITHIN_S, "catching up")
        seconds = {"all_connected_s": connected_s, "caught_up_s": self.clock.mono() - began}
        return {name: round(one, 1) for name, one in seconds.items()} | {"complete": back and caught}

    async def _outage(self, own: OwnServer) -> dict[str, Any]:
        await own.kill()
        await self.until(lambda: False, self.options.outage_s, "server down")
        backlog, began, moments = self.fleet.backlog, self.clock.mono(), dict[str, float]()
        await own.start()
        moments["server_answers_s"] = self.clock.mono() - began

        def over() -> bool:
            if self._all_up():
                moments.setdefault("all_connected_s", self.clock.mono() - began)
            return self._caught_up()

        phase = await self._phase(CAUGHT_UP_WITHIN_S, "catching up", until=over)
        moments["caught_up_s"] = self.clock.mono() - began
        rounded = {name: round(one, 1) for name, one in moments.items()}
        complete = {"backlog": backlog, "complete": self._caught_up(), "after": phase.figures(self._points)}
        return {"outage_s": self.options.outage_s} | rounded | complete

    def _caught_up(self) -> bool:
        """Nothing waits that is older than the last interval."""
        return self._all_up() and self.fleet.oldest_s() < self.options.load.every_s

    async def figures(self, seconds: float, name: str) -> dict[str, Any]:
        """So long under load, as it is printed."""
        return (await self._phase(seconds, name)).figures(self._points)

    async def _phase(self, seconds: float, name: str, *, until: Callable[[], bool] = lambda: False) -> Phase:
        fleet, before, counts = self.fleet, self._cpu(), self.fleet.counts.copy()
        fleet.ages, fleet.late_ages, began = [], [], self.clock.mono()
        await self.until(until, seconds, name)
        wall_s, after = self.clock.mono() - began, self._cpu()
        cores = {role: (after[role] - before[role]) / wall_s for role in after if role in before}
        made = fleet.counts["made"] - counts["made"]
        return Phase(wall_s, fleet.ages, fleet.late_ages, cores, fleet.counts["acknowledged"] - counts["acknowledged"],
                     made)  # fmt: skip

    async def until(self, condition: Callable[[], bool], seconds: float, name: str) -> bool:
        """Wait until true, or for so long; says how it goes."""
        end, said_at = self.clock.mono() + seconds, self.clock.mono()
        while not condition() and self.clock.mono() < end:
            await self.clock.sleep(min(0.5, max(0.0, end - self.clock.mono())))
            if self.clock.mono() - said_at >= SAY_EVERY_S:
                said_at = self.clock.mono()
                self.say(self._line(name))
        return condition()

    def _line(self, name: str) -> str:
        fleet = self.fleet
        age = spread(fleet.ages[-5000:])
        return (
            f"{name}: {fleet.up} of {fleet.load.agents} connected, {fleet.counts['acknowledged']} acknowledged, "
            f"{fleet.backlog} waiting, live age p50 {age.get('p50', 0.0):.2f} s p99 {age.get('p99', 0.0):.2f} s"
        )

    def _cpu(self) -> dict[str, float]:
        """CPU seconds so far, by process."""
        found = {"loadgen": psutil.Process()} | (self.own.processes() if self.own else {})
        spent: dict[str, float] = {}
        for role, process in found.items():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                spent[role] = float(times.user + times.system)
        return spent

    def _sizes(self) -> dict[str, float]:
        sizes: dict[str, float] = {}
        for role, process in (self.own.processes() if self.own else {}).items():
            with contextlib.suppress(psutil.Error):
                sizes[role] = round(process.memory_info().rss / 2**20, 1)
        return sizes


@contextlib.asynccontextmanager
async def own_server(load: Load, folder: Path, *, mosquitto: bool = False) -> AsyncIterator[OwnServer]:
    """A server for this fleet while the block runs, on the embedded broker or on a mosquitto beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = Mosquitto(folder, load.agents) if mosquitto else None
    own = OwnServer(folder, beside)
    own.config.write_text(site_yaml(load, folder, beside.url if beside else None))
    try:
        if beside is not None:
            await beside.start()
        await own.start()
        yield own
    finally:
        await own.stop()
        if beside is not None:
            await beside.stop()


def allow_connections(wanted: int) -> None:
    """Raise the limit of open files as far as this user may. Raises ConfigError when that is too little."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + 256
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < needed:
        raise ConfigError([f"loadgen: {wanted} connections need {needed} open files; raise `ulimit -n` above {hard}"])


def stored_points(folder: Path) -> int:
    """Points of the fleet's looks in the embedded store; checks of other names are healthmon's own."""
    from healthmon.store.looking import StoreFile

    with StoreFile(folder / "data" / "store.sqlite") as file:
        return sum(len(column.times) for entry, column in file.columns() if entry.tags.get("check") in CHECKS)
