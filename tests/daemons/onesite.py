"""A small hospital with real processes: services that can be stopped, roles of healthmon, and agents on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import socketserver
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiomqtt
import yaml

from daemons.healthmon import api, role
from daemons.process import Daemon, free_port
from healthmon.model.sample import Batch, Outcome, Reading, Sample
from healthmon.runtime.clock import SystemClock
from healthmon.transport import codec

CLOCK = SystemClock()
ORGANISATION = "small"
AGENTS = ("pc-1", "pc-2", "pc-3")
#: Pages at any hour and at once, so that tests say the same by night.
WAKING = {
    "hold": {"seconds": 0, "severities": []},
    "gather_seconds": {},
    "storm_seconds": 0,
    "never_alone": [],
    "rules": [{"severities": [1, 2, 3, 4, 5], "do": "page"}],
}


class _Greet(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"HELLO\r\n")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Service:
    """A TCP service that greets on a port of its own while it is up."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: _Server | None = None

    @property
    def running(self) -> bool:
        return self._server is not None

    def up(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), _Greet)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class OneSite:
    """Two areas, two services, one server process. `folder` holds everything it writes."""

    def __init__(self, folder: Path, *, role_name: str = "up", **changes: Any) -> None:
        self.folder = folder
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.services = {"ed": Service(), "icu": Service()}
        self.inbox = folder / "inbox.jsonl"
        self.data = folder / "data"
        folder.mkdir(exist_ok=True)
        self.config = folder / "healthmon.yaml"
        self.site = self._site() | changes
        self.log = folder / f"{role_name}.log"
        self.write()
        self.daemon = role(role_name, "-c", str(self.config), "-v", log=self.log, ready=self.is_up)

    def write(self) -> None:
        """The configuration, and the pack that wakes at any hour."""
        self.config.write_text(yaml.safe_dump(self.site, sort_keys=False))
        waking = self.folder / "packs" / "alerting" / "waking" / "default.yaml"
        waking.parent.mkdir(parents=True, exist_ok=True)
        waking.write_text(yaml.safe_dump(WAKING))

    def is_up(self) -> bool:
        try:
            return bool(self.health()["broker_ok"])
        except OSError:
            return False

    def health(self) -> dict[str, Any]:
        """GET health, also when it says 503."""
        try:
            return dict(api(self.base, "health"))
        except urllib.error.HTTPError as error:
            return dict(json.loads(error.read()))

    @property
    def token(self) -> str:
        return (self.data / "token").read_text().strip()

    def get(self, path: str) -> Any:
        return api(self.base, path)

    def post(self, path: str, **body: Any) -> Any:
        return api(self.base, path, body, self.token)

    def page(self, path: str) -> str:
        """Any path as text."""
        with urllib.request.urlopen(self.base + path, timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, name: str, **labels: str) -> float:
        """One sample of /metrics, 0 when it is not there."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in self.page("/metrics").splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(want in head for want in wanted):
                return float(value)
        return 0.0

    def incidents(self, *states: str) -> list[dict[str, Any]]:
        found = self.get("incidents?limit=100")["items"]
        return [one for one in found if not states or one["state"] in states]

    def pages(self) -> list[dict[str, Any]]:
        """What the inbox got."""
        if not self.inbox.exists():
            return []
        return [json.loads(line) for line in self.inbox.read_text().splitlines()]

    def both_seen(self) -> bool:
        """Both services were proven to work."""
        seen = {one["id"]: one["outcome"] for one in self.get("targets")["items"]}
        return all(seen[f"srv-{area}"] == "ok" for area in self.services)

    def broker(self) -> dict[str, Any]:
        return dict(json.loads((self.data / "broker.json").read_text()))

    def _site(self) -> dict[str, Any]:
        checks = {
            area: {"id": "greet", "kind": "tcp", "port": service.port, "expect": "HELLO", "every": "500ms",
                   "timeout": "400ms"}
            for area, service in self.services.items()
        }  # fmt: skip
        return {
            "organisation": {"id": ORGANISATION, "name": "Small Hospital", "timezone": "UTC"},
            "sites": [{"id": "main", "name": "Main"}],
            "areas": [
                {"id": "ed", "name": "Emergency", "kind": "ed", "acuity": "critical", "beds": 40},
                {"id": "icu", "name": "Intensive Care", "kind": "icu", "acuity": "critical", "beds": 16},
            ],
            "services": [
                {"id": f"greet-{area}", "name": f"Greeting {area}", "tier": 1, "used_in": [area],
                 "needs": [f"srv-{area}"]}
                for area in self.services
            ],
            "targets": [
                *({"id": f"srv-{area}", "kind": "server", "address": "127.0.0.1", "checks": [checks[area]]}
                  for area in self.services),
                *({"id": pc, "kind": "ward-workstation", "address": "127.0.0.1", "area": "ed"}
                  for pc in AGENTS),
            ],
            "agents": [{"id": pc, "target": pc, "roles": ["ward-workstation"]} for pc in AGENTS],
            "safety": {"rates": {"per_target": "1000/s", "per_subnet": "1000/s"}},
            "data_dir": str(self.data),
            "packs": ["packs"],
            "alerting": {"mode": "live"},
            "notify": {"channels": {"inbox": {"kind": "inbox", "path": str(self.inbox)}}},
            "oncall": {"policies": [{"id": "all", "severities": [1, 2, 3, 4, 5],
                                     "steps": [{"after": "0s", "channels": ["inbox"]}]}]},
            "web": {"listen": f"127.0.0.1:{self.port}"},
        }  # fmt: skip


@contextlib.contextmanager
def one_site(
    folder: Path, *, placed: bool = False, pushed: Sequence[dict[str, Any]] = (), **changes: Any
) -> Iterator[OneSite]:
    """It is up, its services too; everything ends with the block.

    placed: each server stands in its area; pushed: checks that other tools feed, {id: target, check: ...}.
    """
    site = OneSite(folder, **changes)
    for one in pushed:
        next(target for target in site.site["targets"] if target["id"] == one["id"])["checks"].append(one["check"])
    site.write()
    if placed:
        for target in site.site["targets"]:
            target.setdefault("area", target["id"].removeprefix("srv-"))
        site.write()
    for service in site.services.values():
        service.up()
    try:
        site.daemon.start()
        yield site
    finally:
        site.daemon.stop()
        for service in site.services.values():
            service.down()


def reading(agent: str = "pc-1", **changes: Any) -> Reading:
    """A reading of the agent about its own host."""
    sample = Sample("host_cpu", "utilisation_ratio", 0.25)
    given = {"target": agent, "check": "cpu", "vantage": agent, "started": CLOCK.now(), "took": 0.01}
    return Reading(**({**given, "outcome": Outcome.OK, "samples": (sample,)} | changes))


class Speaker:
    """An agent as the wire sees it: sends batches under an epoch of its own and hears what is durable."""

    def __init__(self, client: aiomqtt.Client, agent: str, epoch: str, *, clock_off_s: float = 0.0) -> None:
        self.client = client
        self.agent = agent
        self.epoch = epoch
        self.clock_off_s = clock_off_s
        self.seq = 0
        self.upto = 0

    def topic(self, kind: str = "batch") -> str:
        return f"healthmon/v1/{ORGANISATION}/{self.agent}/{kind}"

    def batch(self, *readings: Reading, **changes: Any) -> Batch:
        """The next batch."""
        self.seq += 1
        now = CLOCK.now() + self.clock_off_s
        given = {"agent": self.agent, "epoch": self.epoch, "seq": self.seq, "sent": now, "mono": CLOCK.mono()}
        filled = readings or (reading(self.agent, started=now),)
        return Batch(**({**given, "live": True, "readings": filled} | changes))

    async def say(self, *readings: Reading, **changes: Any) -> Batch:
        """Send the next batch."""
        batch = self.batch(*readings, **changes)
        await self.send(codec.encode(batch))
        return batch

    async def send(self, payload: bytes | str, *, topic: str | None = None) -> None:
        await self.client.publish(topic or self.topic(), payload, qos=1)

    async def durable(self, seq: int | None = None, within_s: float = 20.0) -> None:
        """Wait until the server says that everything up to `seq` is safe; what it did not take is sent again."""
        seq = self.seq if seq is None else seq
        async with asyncio.timeout(within_s):
            while self.upto < seq:
                message = await anext(aiter(self.client.messages))
                ack = codec.decode_ack(bytes(message.payload))  # type: ignore[arg-type]
                if ack.epoch == self.epoch:
                    self.upto = max(self.upto, ack.upto)


@contextlib.asynccontextmanager
async def speaker(
    site: OneSite, agent: str = "pc-1", *, epoch: str = "", clock_off_s: float = 0.0
) -> AsyncIterator[Speaker]:
    """An agent with its own connection to the site's broker. Its first words come when the broker's backlog is over."""
    broker = site.broker()
    host, port = broker["url"].removeprefix("mqtt://").split(":")
    epoch = epoch or f"{time.monotonic_ns() % 16**16:016x}"
    async with aiomqtt.Client(
        host, int(port), username=broker["username"], password=broker["password"], identifier=f"test-{epoch}"
    ) as client:
        await client.subscribe(f"healthmon/v1/{ORGANISATION}/{agent}/ack")
        yield Speaker(client, agent, epoch, clock_off_s=clock_off_s)


def refused(port: int) -> bool:
    """Nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.3).close()
    except OSError:
        return True
    return False


__all__ = ["CLOCK", "Daemon", "OneSite", "Service", "Speaker", "one_site", "reading", "refused", "speaker"]
