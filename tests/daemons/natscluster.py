"""Three nats-servers in one JetStream cluster with MQTT at the edge, as a trust would run them; any may be killed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from daemons.certs import Authority
from daemons.healthmon import until
from daemons.nats import nats_server
from daemons.process import Daemon, free_port, listens
from healthmon.model.errors import TransportDown
from healthmon.model.plan import Broker
from healthmon.transport import mqtt

NODES = 3


class Cluster:
    """`broker` names all nodes; `kill` and `start` one of them by its number. tls: nobody is let in without it."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        folder.mkdir(parents=True)
        self._authority = Authority(folder) if tls else None
        self.ca_file = str(self._authority.ca_file) if self._authority else None
        self.ports = [free_port() for _ in range(NODES)]
        self.clients = [free_port() for _ in range(NODES)]
        routes = [free_port() for _ in range(NODES)]
        self.nodes = [self._node(folder, number, routes) for number in range(NODES)]
        urls = ",".join(self._mqtt(number) for number in range(NODES))
        self.broker = Broker(urls, "tester", "a-password", self.ca_file)
        self.nats = ",".join(f"{'tls' if tls else 'nats'}://127.0.0.1:{port}" for port in self.clients)

    def _mqtt(self, number: int) -> str:
        return f"{'mqtts' if self._authority else 'mqtt'}://127.0.0.1:{self.ports[number]}"

    def _tls(self, number: int) -> str:
        if self._authority is None:
            return ""
        issued = self._authority.issue(f"n{number}")
        return f'tls {{ cert_file: "{issued.cert_file}", key_file: "{issued.key_file}" }}'

    def _node(self, folder: Path, number: int, routes: list[int]) -> Daemon:
        others = ", ".join(f"nats-route://127.0.0.1:{port}" for port in routes)
        config, tls = folder / f"n{number}.conf", self._tls(number)
        config.write_text(
            f"""
            server_name: n{number}
            host: 127.0.0.1
            port: {self.clients[number]}
            {tls}
            jetstream {{ store_dir: "{folder / f"js{number}"}" }}
            cluster {{ name: healthmon, host: 127.0.0.1, port: {routes[number]}, routes: [{others}] }}
            mqtt {{ host: 127.0.0.1, port: {self.ports[number]}, ack_wait: 5s, max_ack_pending: 1024
            {tls} }}
            authorization {{ users: [ {{ user: tester, password: "a-password" }} ] }}
            """
        )
        ready = listens(self.ports[number])
        return Daemon([nats_server(), "-c", str(config)], ready=ready, log=folder / f"n{number}.log")

    def start(self) -> None:
        """All nodes; the first connection must find all of them, or streams are made with fewer copies."""
        for node in self.nodes:
            node.start()
        for number in range(NODES):
            self.settle(number)

    def settle(self, number: int) -> None:
        """Wait until this node takes a publish at QoS 1."""
        one = Broker(self._mqtt(number), "tester", "a-password", self.ca_file)
        until(lambda: asyncio.run(_takes(one, f"ready-{number}")), timeout_s=60, what=f"node {number} takes a publish")

    def kill(self, number: int) -> None:
        self.nodes[number].kill9()

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


async def _takes(broker: Broker, name: str) -> bool:
    with contextlib.suppress(TransportDown, TimeoutError):
        async with asyncio.timeout(10), mqtt.connector(broker, client_id=name)() as bus:
            await bus.publish("ready/ready", b"x", qos=1)
            return True
    return False


@contextlib.contextmanager
def cluster(folder: Path, *, tls: bool = False) -> Iterator[Cluster]:
    """Three nodes that are up; all end with the block."""
    made = Cluster(folder, tls=tls)
    try:
        made.start()
        yield made
    finally:
        made.stop()
