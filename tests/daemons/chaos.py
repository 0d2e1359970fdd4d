"""Faults of every kind against one running site, drawn from a seed, and what must be true whatever was drawn."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from daemons.healthmon import api
from daemons.killing import AGENT, Rig, rig, soon
from daemons.relay import Relay
from healthmon.model.plan import Broker
from healthmon.model.sample import Query
from healthmon.store.looking import StoreFile
from healthmon.transport.mqtt import endpoint

#: Full for so long; the agent's spool keeps what the server cannot.
DISK_BYTES = 96 << 20
HOUR_S = 3600.0


class Between:
    """A relay in a thread of its own; every call is answered when it is done."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.relay = Relay(port)
        self.do(self.relay.up)

    def do(self, call: Callable[[], object]) -> None:
        async def run() -> None:
            if asyncio.iscoroutine(made := call()):
                await made

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(20)

    def close(self) -> None:
        self.do(self.relay.cut)
        self._loop.call_soon_threadsafe(self._loop.stop)


@dataclass
class ChaosRig(Rig):
    """A rig whose agent reaches the broker through a relay, and whose server has a small disk of its own.

    With a poller, which is missed otherwise in a storm of minutes.
    """

    ROLE: ClassVar[str] = "up"

    between: Between | None = None
    faults: Counter[str] = field(default_factory=Counter)
    disk: Path | None = None

    def near(self, broker: Broker) -> Broker:
        if self.between is None:
            self.between = Between(endpoint(broker.url).port)
        return replace(broker, url=f"mqtt://127.0.0.1:{self.between.relay.port}")

    def start(self) -> None:
        if can_mount():
            self.disk = self.folder / "data"
            self.disk.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(self.disk)], check=True)
            (
                self.folder / "broker"
            ).mkdir()  # a broker whose disk was full is another test: it comes back within minutes
            (self.disk / "broker").symlink_to(self.folder / "broker")
        super().start()

    def stop(self) -> None:
        super().stop()
        if self.between is not None:
            self.between.close()
        if self.disk is not None:
            subprocess.run(["umount", "-l", str(self.disk)], check=False, capture_output=True)

    # -- faults; each returns when it is over

    def kill_agent(self, chance: random.Random) -> None:
        self.kill("agent")

    def kill_server(self, chance: random.Random) -> None:
        self.kill("server")

    def kill_broker(self, chance: random.Random) -> None:
        self.kill("broker")

    def kill_store(self, chance: random.Random) -> None:
        self.kill("store")

    def kill_store_and_server(self, chance: random.Random) -> None:
        self.kill("store+server")

    def cut_network(self, chance: random.Random) -> None:
        assert self.between is not None
        self.between.do(self.between.relay.cut)
        time.sleep(chance.uniform(0.2, 5.0))
        self.between.do(self.between.relay.up)

    def half_open(self, chance: random.Random) -> None:
        """Both ends keep their connection and hear nothing; then it is reset."""
        assert self.between is not None
        self.between.relay.fall_silent()
        time.sleep(chance.uniform(0.5, 6.0))
        self.between.do(self.between.relay.cut)
        self.between.do(self.between.relay.up)

    def delay(self, chance: random.Random) -> None:
        """200 ms each way."""
        assert self.between is not None
        self.between.relay.delay_s = 0.2
        time.sleep(chance.uniform(1.0, 4.0))
        self.between.relay.delay_s = 0.0

    def lose_packets(self, chance: random.Random) -> None:
        """30 % of the packets between agent and relay are dropped by the kernel."""
        assert self.between is not None
        with lossy(self.between.relay.port, 30):
            time.sleep(chance.uniform(1.0, 4.0))

    def full_disk(self, chance: random.Random) -> None:
        """Journal and store find no room."""
        assert self.disk is not None
        ballast = self.disk / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"\0" * 65536):
                pass
        time.sleep(chance.uniform(0.5, 4.0))
        ballast.unlink()

    def step_clock(self, chance: random.Random) -> None:
        """The agent's wall clock jumps by up to an hour, either way; it stays there until the next step."""
        (self.folder / "clock").write_text(repr(round(chance.uniform(-HOUR_S, HOUR_S), 3)))
        time.sleep(chance.uniform(0.2, 2.0))

    def menu(self) -> list[Callable[[random.Random], None]]:
        """What can be done to this site on this machine."""
        faults = [self.kill_agent, self.kill_server, self.kill_broker, self.cut_network, self.half_open, self.delay]
        faults.append(self.step_clock)
        if self.influx is not None:
            faults += [self.kill_store, self.kill_store_and_server]
        if self.disk is not None and self.influx is None:
            faults.append(self.full_disk)
        if can_filter():
            faults.append(self.lose_packets)
        return faults

    def story(self) -> str:
        """What there is to see after a storm that went wrong."""
        try:
            items = api(self.base, "incidents?limit=500")["items"]
        except OSError as error:
            items = [{"id": "", "state": f"the server does not answer: {error}", "title": "", "opened_at": ""}]
        seen = [f"incident {one['id']} {one['state']} {one['opened_at']}: {one['title']}" for one in items]
        told = [f"page {page['why']} repeat={page['repeat']} of {page['incident_id']}" for page in self.pages()]
        logs = [f"--- {name}\n{(self.folder / name).read_text()[-3000:]}" for name in ("server.log", "agent.log")]
        return "\n".join([*seen, *told, *logs])

    # -- the oracle

    def marks_confirmed(self) -> set[tuple[str, str, float]]:
        """(target, check, mark) of every reading that the spool confirmed."""
        rows = (line.split("\t") for line in self.log.read_text().splitlines() if line.count("\t") == 3)
        return {(target, check, float(mark)) for target, check, _, mark in rows}

    def marks_stored(self) -> list[tuple[str, str, float]]:
        """The same from the store."""
        if self.influx is not None:
            query = f"SELECT duration_seconds FROM probe WHERE vantage = '{AGENT}' GROUP BY *"
            return [
                (s["tags"]["target"], s["tags"]["check"], v) for s in self.influx.sql(query) for _, v in s["values"]
            ]
        with StoreFile(self.folder / "data" / "store.sqlite") as file:
            found = file.query(Query("probe", "duration_seconds", {"vantage": AGENT}))
            return [(s.tags["target"], s.tags["check"], float(v)) for s in found for _, v in s.points]

    def check_marks(self, *, at_least: int) -> str:
        """Set equality of spool and store, but for what a killed agent had no time to write down."""
        confirmed, stored = self.marks_confirmed(), self.marks_stored()
        lost, doubled = confirmed - set(stored), len(stored) - len(set(stored))
        figures = f"{len(confirmed)} confirmed by the spool, {len(lost)} lost, {doubled} doubled"
        assert len(confirmed) >= at_least, figures
        assert not lost, f"{figures}: {sorted(lost)[:5]}"
        assert not doubled, figures
        assert len(set(stored) - confirmed) <= self.kills["agent"] * 200, figures
        return figures


def cycle(site: ChaosRig, chance: random.Random, told: list[str]) -> int:
    """A fault of the hospital with three of ours: as it is noticed, while it lasts, as it goes. How many ours were."""
    opened, recovered = site.told("opened"), site.told("mitigated")
    site.flaky.greets = False
    time.sleep(chance.uniform(0.3, 1.5))
    strike(site, chance, told)
    soon(lambda: site.told("opened") == opened + 1, "a page", 60.0)
    site.settles("open", timeout_s=60.0)
    strike(site, chance, told)
    time.sleep(chance.uniform(0.5, 2.0))
    assert site.told("mitigated") == recovered, "an all-clear while it is still down"
    site.settles("open", timeout_s=60.0)
    site.flaky.greets = True
    time.sleep(chance.uniform(0.1, 1.0))
    strike(site, chance, told)
    site.settles("mitigated", timeout_s=60.0)
    soon(lambda: site.told("mitigated") > recovered, "an all-clear", 60.0)
    assert (site.told("opened"), site.told("mitigated")) == (opened + 1, recovered + 1)
    return 3


def strike(site: ChaosRig, chance: random.Random, told: list[str]) -> None:
    fault = chance.choice(site.menu())
    told.append(fault.__name__)
    site.faults[fault.__name__] += 1
    fault(chance)


@contextlib.contextmanager
def chaotic(folder: Path, *, outside: bool = False, checks: int = 20) -> Iterator[ChaosRig]:
    """A site for chaos; outside: mosquitto and InfluxDB instead of what healthmon brings."""
    with rig(folder, mosquitto=outside, influx=outside, kind=ChaosRig, checks=checks) as made:
        assert isinstance(made, ChaosRig)
        yield made


def can_mount() -> bool:
    return os.geteuid() == 0 and sys.platform == "linux" and shutil.which("mount") is not None


def can_filter() -> bool:
    return os.geteuid() == 0 and shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None


@contextlib.contextmanager
def lossy(port: int, percent: int) -> Iterator[None]:
    """The kernel drops so many of the packets to this port and from it, on loopback, in a table of our own."""
    table = f"healthmon_chaos_{os.getpid()}"
    rules = (
        f"table inet {table} {{\n chain loss {{\n type filter hook input priority 0;\n"
        f"iif lo tcp dport {port} numgen random mod 100 < {percent} drop\n"
        f"iif lo tcp sport {port} numgen random mod 100 < {percent} drop\n }}\n}}\n"
    )
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=False, capture_output=True)
