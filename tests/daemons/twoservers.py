"""Two servers of one site and what they share: a broker, a pager, a poller, and a nats-server that keeps the lease."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemons.healthmon import until
from daemons.mosquitto import Mosquitto
from daemons.onesite import OneSite, Service
from daemons.paging import Answer, Receiver
from daemons.process import Daemon, free_port, listens
from healthmon.transport.embedded import find_server


@contextlib.contextmanager
def nats(folder: Path) -> Iterator[tuple[int, Daemon]]:
    """A nats-server with JetStream, for the lease."""
    folder.mkdir()
    port = free_port()
    argv = [find_server(), "-js", "-sd", str(folder), "-a", "127.0.0.1", "-p", str(port)]
    daemon = Daemon(argv, ready=listens(port), log=folder / "nats.log")
    daemon.start()
    try:
        yield port, daemon
    finally:
        daemon.stop()


class Two:
    """Servers `a` and `b` of one site: one broker, one pager, one poller."""

    def __init__(
        self, folder: Path, broker: str, pager: str, lease: int, *, life: str | None, more: dict[str, Any]
    ) -> None:
        self.servers: dict[str, OneSite] = {}
        self.services = {"ed": Service(), "icu": Service()}
        for name in ("a", "b"):
            site = OneSite(folder / name, role_name="server", broker={"url": broker})
            site.services = self.services
            targets = site._site()["targets"]
            site.site |= {
                "targets": targets,
                "ha": {"lease": f"nats://127.0.0.1:{lease}", "name": name} | ({"life": life} if life else {}),
                "notify": {"channels": {"pager": {"kind": "webhook", "url": pager}}},
                "oncall": {"policies": [{"id": "all", "severities": [1, 2, 3, 4, 5],
                                         "steps": [{"after": "0s", "channels": ["pager"]}]}]},
            }  # fmt: skip
            site.site |= {key: value for key, value in more.items() if not isinstance(value, dict)}
            for key, value in more.items():
                if isinstance(value, dict):
                    site.site[key] = site.site.get(key, {}) | value
            site.write()
            self.servers[name] = site
        self.poller = Daemon(
            [sys.executable, "-m", "healthmon", "poller", "-c", str(self.servers["a"].config.parent / "poller.yaml")],
            ready=lambda: True, log=folder / "poller.log",
        )  # fmt: skip
        poller = self.servers["a"].site | {"data_dir": str(folder / "poller")}
        (folder / "a" / "poller.yaml").write_text(json.dumps(poller))

    def listed(self, name: str) -> dict[str, str]:
        """What its API lists, whether it leads or stands by."""
        return {one["id"]: one["state"] for one in self.servers[name].get("incidents")["items"]}

    def incidents(self, name: str) -> dict[str, str]:
        """What it lists as the server; nothing while it stands by or is down."""
        if not is_up(self, name):
            return {}
        try:
            return {one["id"]: one["state"] for one in self.servers[name].incidents()}
        except OSError:
            return {}

    def stop(self) -> None:
        for daemon in (self.poller, *(site.daemon for site in self.servers.values())):
            daemon.stop()
        for service in self.services.values():
            service.down()


@contextlib.contextmanager
def two(
    folder: Path, *, life: str | None = "3s", stream: bool = False, **more: Any
) -> Iterator[tuple[Two, Receiver, Daemon]]:
    """Both up: `a` leads, `b` has a copy of its journal. The daemon keeps the lease; life None: as it is by default.

    stream: and the journal beside it. more: blocks of the configuration of both, over what is there.
    """
    folder.mkdir(exist_ok=True)
    broker = Mosquitto(folder / "mosquitto", extra="persistence false")
    pager = Receiver(lambda number: Answer())
    with nats(folder / "nats") as (port, keeper):
        broker.start()
        if stream:
            more["journal"] = {"line": f"nats://127.0.0.1:{port}"}
        made = Two(folder, broker.broker.url, pager.url, port, life=life, more=more)
        try:
            for service in made.services.values():
                service.up()
            made.servers["a"].daemon.start()
            made.poller.start()
            standby = made.servers["b"].daemon
            standby.argv.append("--standby")
            standby.ready = lambda: "standing by with a copy" in made.servers["b"].log.read_text()
            standby.start()
            until(made.servers["a"].both_seen, timeout_s=60, what="both services are seen")
            yield made, pager, keeper
        finally:
            made.stop()
            broker.stop()
            pager.stop()


def is_up(made: Two, name: str) -> bool:
    """It answers as the server."""
    with contextlib.suppress(OSError):
        return bool(made.servers[name].health()["broker_ok"])
    return False
