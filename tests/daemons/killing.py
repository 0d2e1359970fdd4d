"""What kill tests share: a loaded agent, a service that goes down and up, a pager, and what must be true afterwards."""

from __future__ import annotations

import math
import os
import signal
import socketserver
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from daemons.healthmon import answers, api, role, until
from daemons.influx import Influx
from daemons.mosquitto import Mosquitto
from daemons.natscluster import Cluster
from daemons.paging import Answer, Receiver
from daemons.process import Daemon, free_port
from daemons.victoria import Victoria
from healthmon.app.roles import known_broker
from healthmon.config import load, plan_for, plan_to_json
from healthmon.model.plan import Broker
from healthmon.model.sample import Query
from healthmon.store.looking import StoreFile

AGENT = "pc-1"
CHECKS = 100
EVERY_S = 1.0
#: The pager is slow, so that a kill may fall between sending and knowing.
PAGER_S = 0.3
SCRIPT = Path(__file__).parents[1] / "faults" / "loaded_agent.py"
Key = tuple[str, str, int]


class Greeter(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"HELLO\r\n" if self.server.greets else b"GO AWAY\r\n")  # type: ignore[attr-defined]


@contextmanager
def greeting() -> Iterator[socketserver.ThreadingTCPServer]:
    """A TCP service that greets while `greets` is true."""

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 128
        daemon_threads = True
        greets = True

    with Server(("127.0.0.1", 0), Greeter) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.shutdown()


@dataclass
class Rig:
    """One site under test. `kill` ends something with SIGKILL and starts it again."""

    folder: Path
    server: Daemon
    agent: Daemon
    pager: Receiver
    base: str
    flaky: Any
    mosquitto: Mosquitto | None
    influx: Influx | None
    victoria: Victoria | None = None
    cluster: Cluster | None = None
    kills: Counter[str] = field(default_factory=Counter)

    def start(self) -> None:
        for daemon in (self.influx, self.victoria, self.mosquitto, self.cluster, self.server):
            if daemon is not None:
                daemon.start()
        site = load(self.config, today=date(2026, 1, 1))
        self.plan.write_text(plan_to_json(plan_for(site, AGENT, broker=self.near(known_broker(site)))))
        self.agent.start()

    def furnish(self, site: dict[str, Any], check: Mapping[str, Any]) -> None:
        """What else stands in the configuration."""

    def near(self, broker: Broker) -> Broker:
        """The broker as the agent reaches it."""
        return broker

    def stop(self) -> None:
        for daemon in (self.agent, self.server, self.mosquitto, self.cluster, self.influx, self.victoria):
            if daemon is not None:
                daemon.stop()
        self.pager.stop()

    @property
    def config(self) -> Path:
        return self.folder / "healthmon.yaml"

    @property
    def plan(self) -> Path:
        return self.folder / "agent.json"

    @property
    def log(self) -> Path:
        return self.folder / "spooled.tsv"

    def kill(self, what: str) -> None:
        """`store+server`: the store is gone for a while, and then the server that holds rows for it."""
        names = what.split("+")
        self.kills.update(names)
        if what == "broker" and self.mosquitto is None:
            os.kill(self._embedded_pid(), signal.SIGKILL)
            return
        store = self.influx or self.victoria
        known = {"agent": self.agent, "server": self.server, "broker": self.mosquitto, "store": store}
        daemons = [daemon for name in names if (daemon := known[name]) is not None]
        for daemon in daemons:
            daemon.kill9()
            time.sleep(1.5 if len(daemons) > 1 else 0.0)
        for daemon in reversed(daemons):
            daemon.start()

    def _embedded_pid(self) -> int:
        (pid_file,) = (self.folder / "data" / "broker").glob("*.pid")
        return int(pid_file.read_text().split()[0])

    def incidents(self) -> dict[str, str]:
        """State by id."""
        return {one["id"]: one["state"] for one in api(self.base, "incidents?limit=500")["items"]}

    def settles(self, state: str, *, timeout_s: float = 30.0) -> str:
        """Wait until there is exactly one incident and it is in this state; its id."""

        def seen() -> str | None:
            found = self._incidents_or_none()
            return next(iter(found)) if found and set(found.values()) == {state} and len(found) == 1 else None

        return str(until(seen, timeout_s=timeout_s, every_s=0.05, what=f"one incident, {state}"))

    def _incidents_or_none(self) -> dict[str, str] | None:
        try:
            return self.incidents()
        except OSError:
            return None

    def pages(self) -> list[dict[str, Any]]:
        return [posted.json for posted in list(self.pager.posted)]

    def told(self, why: str) -> int:
        """How often, repeats aside."""
        return sum(page["why"] == why and not page["repeat"] for page in self.pages())

    def drain(self) -> None:
        """An agent without jobs sends what is left."""
        self.agent.stop()
        drainer = loaded(self.plan, self.log, self.folder, "drain")
        drainer.start()
        try:
            until(lambda: self.spooled() == 0, timeout_s=300, what="the spool is empty")
        finally:
            drainer.stop()

    def spooled(self) -> int:
        """Batches with readings that wait in the spool; signs of life come and go."""
        with closing(sqlite3.connect(f"file:{self.folder / f'{AGENT}-spool.sqlite'}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM batches WHERE readings > 0").fetchone()[0])

    def confirmed(self) -> set[Key]:
        """(target, check, microseconds) of every reading that the spool confirmed."""
        rows = (line.split("\t") for line in self.log.read_text().splitlines() if line.count("\t") == 3)
        return {(target, check, micros(float(started))) for target, check, started, _ in rows}

    def stored(self) -> list[Key]:
        """The same from the store's probe rows."""
        return list(self._in_influx() if self.influx else self._embedded())

    def _embedded(self) -> Iterator[Key]:
        path = self.folder / "data" / "store.sqlite"
        with StoreFile(path) as file:
            for series in file.query(Query("probe", "duration_seconds", {"vantage": AGENT})):
                for at, _ in series.points:
                    yield series.tags["target"], series.tags["check"], micros(at)

    def _in_influx(self) -> Iterator[Key]:
        assert self.influx is not None
        query = f"SELECT duration_seconds FROM probe WHERE vantage = '{AGENT}' GROUP BY *"
        for series in self.influx.sql(query):
            for at, _ in series["values"]:
                yield series["tags"]["target"], series["tags"]["check"], at // 1000

    def intended(self) -> dict[str, dict[str, Any]]:
        """The journal's notices by key."""
        with closing(sqlite3.connect(f"file:{self.folder / 'data' / 'journal.sqlite'}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT key, finished FROM notice").fetchall()
        return {key: {"finished": bool(finished)} for key, finished in rows}

    def check_no_loss(self, *, at_least: int) -> str:
        """Set equality of spool and store but for what a killed agent had no time to write down."""
        confirmed, stored = self.confirmed(), self.stored()
        lost, doubled = confirmed - set(stored), len(stored) - len(set(stored))
        figures = f"{len(confirmed)} confirmed by the spool, {len(stored)} stored, {len(lost)} lost, {doubled} doubled"
        assert len(confirmed) >= at_least, figures
        assert not lost, figures
        assert not doubled, figures
        unconfirmed = len(set(stored) - confirmed)
        assert unconfirmed <= self.kills["agent"] * 200, f"{unconfirmed} were stored and never confirmed"
        return figures

    def check_notices(self) -> str:
        """Every notice that was intended has arrived; what came again says so, at most once for each kill."""
        until(
            lambda: all(notice["finished"] for notice in self.intended().values()),
            timeout_s=15,
            what="what became of every notice is in the journal",
        )
        intended, keys = self.intended(), Counter(page["key"] for page in self.pages())
        repeats = sum(count - 1 for count in keys.values())
        figures = f"{len(intended)} intended, {len(keys)} delivered, {repeats} repeats"
        assert set(keys) == set(intended), figures
        assert repeats <= self.kills["server"], figures
        first: set[str] = set()
        for page in self.pages():
            assert page["key"] not in first or page["repeat"], f"an unmarked repeat of {page['subject']}"
            first.add(page["key"])
        return figures


@contextmanager
def rig(
    folder: Path,
    *,
    mosquitto: bool = False,
    influx: bool = False,
    victoria: bool = False,
    cluster: bool = False,
    kind: Callable[..., Rig] = Rig,
    role_name: str = "server",
    checks: int = CHECKS,
) -> Iterator[Rig]:
    """A running site: embedded broker and store, or mosquitto, three nats-servers, InfluxDB, VictoriaMetrics."""
    with greeting() as load_service, greeting() as flaky:
        board = free_port()
        broker = Mosquitto(folder / "mosquitto", extra="persistence false") if mosquitto else None
        store = Influx(folder / "influx") if influx else None
        pager = Receiver(lambda number: Answer(hang_s=PAGER_S))
        made = kind(
            folder=folder,
            server=role(
                role_name,
                "-c",
                str(folder / "healthmon.yaml"),
                log=folder / "server.log",
                ready=answers(f"http://127.0.0.1:{board}"),
            ),
            agent=loaded(folder / "agent.json", folder / "spooled.tsv", folder),
            pager=pager,
            base=f"http://127.0.0.1:{board}",
            flaky=flaky,
            mosquitto=broker,
            influx=store,
            victoria=Victoria(folder / "victoria") if victoria else None,
            cluster=Cluster(folder / "cluster") if cluster else None,
        )
        ports = {"load": load_service.server_address[1], "flaky": flaky.server_address[1]}
        write_site(made, board, ports, checks)
        try:
            made.start()
            yield made
        finally:
            made.stop()


def write_site(made: Rig, board: int, ports: Mapping[str, int], checks: int) -> None:
    folder = made.folder
    check = {"kind": "tcp", "expect": "HELLO", "every": f"{EVERY_S}s", "timeout": "1s", "from": [AGENT]}
    load = [{**check, "port": ports["load"], "id": f"greet-{number}"} for number in range(checks)]
    site: dict[str, Any] = {
        "organisation": {"id": "kill", "name": "Kill", "timezone": "UTC"},
        "sites": [{"id": "main", "name": "Main"}],
        "areas": [{"id": "ward-1", "name": "Ward 1", "kind": "ward", "acuity": "inpatient", "beds": 20}],
        "services": [{"id": "greet", "name": "Greeting", "tier": 1, "used_in": ["ward-1"], "needs": ["flaky"]}],
        "targets": [
            {"id": "greeter", "kind": "server", "address": "127.0.0.1", "checks": load},
            {"id": "flaky", "kind": "server", "address": "127.0.0.1", "checks": [{**check, "port": ports["flaky"]}]},
            {"id": AGENT, "kind": "server", "address": "127.0.0.1", "area": "ward-1"},
        ],
        "agents": [{"id": AGENT, "target": AGENT, "roles": ["linux-server"]}],
        "safety": {"rates": {"per_target": "1000/s", "per_subnet": "1000/s"}},
        "data_dir": str(folder / "data"),
        "packs": ["packs"],
        "alerting": {"mode": "live"},
        "notify": {"channels": {"pager": {"kind": "webhook", "url": made.pager.url}}},
        "oncall": {
            "policies": [{"id": "all", "severities": [1, 2, 3], "steps": [{"after": "0s", "channels": ["pager"]}]}]
        },
        "web": {"listen": f"127.0.0.1:{board}"},
    }
    made.furnish(site, check)
    if made.mosquitto is not None:
        site["broker"] = {"url": made.mosquitto.broker.url}
    if made.cluster is not None:
        known = made.cluster.broker
        site["broker"] = {"url": known.url, "username": known.username, "password": known.password}
    if made.influx is not None:
        site["store"] = {"influxdb": {"url": made.influx.url, "version": 1, "database": "healthmon"}}
    if made.victoria is not None:
        site["store"] = {"lineprotocol": {"url": f"{made.victoria.url}/write"}}
    waking = folder / "packs" / "alerting" / "waking" / "default.yaml"
    waking.parent.mkdir(parents=True)
    rules = [{"severities": [1, 2, 3], "do": "page"}, {"severities": [4, 5], "do": "board"}]
    at_once = {"hold": {"seconds": 0, "severities": []}, "gather_seconds": {}, "storm_seconds": 0}
    waking.write_text(yaml.safe_dump(at_once | {"rules": rules}))
    made.config.write_text(yaml.safe_dump(site))


def micros(at: float) -> int:
    """Unix seconds as whole microseconds, the resolution of every store."""
    whole = math.floor(at)
    return whole * 1_000_000 + round((at - whole) * 1e6)


def loaded(plan: Path, log: Path, folder: Path, *more: str) -> Daemon:
    argv = [sys.executable, str(SCRIPT), str(plan), str(log), *more]
    return Daemon(argv, ready=lambda: True, log=folder / "agent.log")


def soon(condition: Callable[[], Any], what: str, timeout_s: float = 20.0) -> Any:
    """`until` with a close eye."""
    return until(condition, timeout_s=timeout_s, every_s=0.02, what=what)
