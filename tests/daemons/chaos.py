"""A site that faults of every kind are done to, and whether it holds every reading that the agent's spool confirmed."""

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from daemons.healthmon import api
from daemons.killing import AGENT, Rig, greeting, rig, soon
from daemons.natscluster import NODES
from daemons.relay import Relay
from healthmon.model.plan import Broker
from healthmon.model.sample import Query
from healthmon.store.looking import StoreFile
from healthmon.transport.mqtt import endpoint

#: Full for so long; the agent's spool keeps what the server cannot.
DISK_BYTES = 96 << 20
HOUR_S = 3600.0
#: VictoriaMetrics keeps about twelve; the agent gives its marks nine.
VICTORIA_DIGITS = 9

Mark = tuple[str, str, float]  # target, check, the number that tells a reading from any other


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

    between: list[Between] = field(default_factory=list)  # one for each node of the broker
    faults: Counter[str] = field(default_factory=Counter)
    disk: Path | None = None
    brief: Any = None  # a second service, which storms leave alone

    def furnish(self, site: dict[str, Any], check: Mapping[str, Any]) -> None:
        served = {**check, "port": self.brief.server_address[1]}
        site["targets"].append({"id": "brief", "kind": "server", "address": "127.0.0.1", "checks": [served]})
        second = {"id": "second", "name": "Second greeting", "tier": 1, "used_in": ["ward-1"], "needs": ["brief"]}
        site["services"].append(second)

    def near(self, broker: Broker) -> Broker:
        if not self.between:
            self.between = [Between(endpoint(url).port) for url in broker.url.split(",")]
        return replace(broker, url=",".join(f"mqtt://127.0.0.1:{one.relay.port}" for one in self.between))

    def cut(self) -> None:
        """Connections between agent and broker are reset, new ones refused."""
        for one in self.between:
            one.do(one.relay.cut)

    def heal(self) -> None:
        """What `cut` did is over."""
        for one in self.between:
            one.do(one.relay.up)

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
        for one in self.between:
            one.close()
        if self.disk is not None:
            subprocess.run(["umount", "-l", str(self.disk)], check=False, capture_output=True)

    # -- faults; each returns when it is over

    def kill_agent(self, chance: random.Random) -> None:
        self.kill("agent")

    def kill_server(self, chance: random.Random) -> None:
        self.kill("server")

    def kill_broker(self, chance: random.Random) -> None:
        self.kill("broker")

    def kill_node(self, chance: random.Random) -> None:
        """One of the broker's three is away for a while."""
        assert self.cluster is not None
        number = chance.randrange(NODES)
        self.cluster.kill(number)
        time.sleep(chance.uniform(0.0, 4.0))
        self.cluster.nodes[number].start()
        self.cluster.settle(number)

    def kill_store(self, chance: random.Random) -> None:
        self.kill("store")

    def kill_store_and_server(self, chance: random.Random) -> None:
        self.kill("store+server")

    def cut_network(self, chance: random.Random) -> None:
        self.cut()
        time.sleep(chance.uniform(0.2, 5.0))
        self.heal()

    def half_open(self, chance: random.Random) -> None:
        """Both ends keep their connection and hear nothing; then it is reset."""
        for one in self.between:
            one.relay.fall_silent()
        time.sleep(chance.uniform(0.5, 6.0))
        self.cut()
        self.heal()

    def delay(self, chance: random.Random) -> None:
        """200 ms each way."""
        for one in self.between:
            one.relay.delay_s = 0.2
        time.sleep(chance.uniform(1.0, 4.0))
        for one in self.between:
            one.relay.delay_s = 0.0

    def lose_packets(self, chance: random.Random) -> None:
        """30 % of the packets between agent and relay are dropped by the kernel."""
        with lossy([one.relay.port for one in self.between], 30):
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
        faults = [self.kill_agent, self.kill_server, self.cut_network, self.half_open, self.delay, self.step_clock]
        faults.append(self.kill_broker if self.cluster is None else self.kill_node)
        outside = self.influx is not None or self.victoria is not None
        if outside:
            faults += [self.kill_store, self.kill_store_and_server]
        if self.disk is not None and not outside:
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

    def marks_confirmed(self) -> set[Mark]:
        """Of every reading that the spool confirmed."""
        rows = (line.split("\t") for line in self.log.read_text().splitlines() if line.count("\t") == 3)
        marks = ((target, check, float(mark)) for target, check, _, mark in rows)
        if self.victoria is not None:
            return {(target, check, round(mark, VICTORIA_DIGITS)) for target, check, mark in marks}
        return set(marks)

    def marks_stored(self) -> list[Mark]:
        """The same from the store."""
        if self.victoria is not None:  # which keeps a point again that is written again: the same moment and value
            rows = self.victoria.export(f'{{__name__="probe_duration_seconds",vantage="{AGENT}"}}')
            points = {
                (row["metric"]["target"], row["metric"]["check"], round(value, VICTORIA_DIGITS), at)
                for row in rows
                for at, value in zip(row["timestamps"], row["values"], strict=True)
            }
            return [(target, check, mark) for target, check, mark, _ in points]
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
        unsaid = set(stored) - confirmed
        assert len(unsaid) <= self.kills["agent"] * 200, (
            f"{figures}, {len(unsaid)} never confirmed: {sorted(unsaid)[:5]}"
        )
        return figures


#: What a site may stand on.
KINDS: dict[str, dict[str, bool]] = {
    "embedded": {},
    "influxdb": {"mosquitto": True, "influx": True},
    "victoria": {"mosquitto": True, "victoria": True},
    "cluster": {"cluster": True},
}


@contextlib.contextmanager
def chaotic(folder: Path, kind: str = "embedded", *, checks: int = 20) -> Iterator[ChaosRig]:
    """A site for chaos: what healthmon brings; mosquitto with InfluxDB or VictoriaMetrics; three nats-servers."""
    with (
        greeting() as brief,
        rig(folder, **KINDS[kind], kind=partial(ChaosRig, brief=brief), role_name="up", checks=checks) as made,
    ):
        assert isinstance(made, ChaosRig)
        soon(lambda: made.log.exists() and made.log.stat().st_size, "the agent spools")
        yield made


def can_mount() -> bool:
    return os.geteuid() == 0 and sys.platform == "linux" and shutil.which("mount") is not None


def can_filter() -> bool:
    return os.geteuid() == 0 and shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None


@contextlib.contextmanager
def lossy(ports: Sequence[int], percent: int) -> Iterator[None]:
    """The kernel drops so many of the packets to these ports and from them, on loopback, in a table of our own."""
    table = f"healthmon_chaos_{os.getpid()}"
    some = f"{{ {', '.join(map(str, ports))} }}"
    rules = (
        f"table inet {table} {{\n chain loss {{\n type filter hook input priority 0;\n"
        f"iif lo tcp dport {some} numgen random mod 100 < {percent} drop\n"
        f"iif lo tcp sport {some} numgen random mod 100 < {percent} drop\n }}\n}}\n"
    )
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=False, capture_output=True)
