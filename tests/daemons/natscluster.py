"""Three nats-servers in one JetStream cluster with MQTT at the edge, as a trust would run them; any may be killed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from daemons.healthmon import until
from daemons.nats import nats_server
from daemons.process import Daemon, free_port, listens
from healthmon.model.errors import TransportDown
from healthmon.model.plan import Broker
from healthmon.transport import mqtt

NODES = 3


class Cluster:
    """`broker` names all nodes; `kill` and `start` one of them by its number."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.ports = [free_port() for _ in range(NODES)]
        self.clients = [free_port() for _ in range(NODES)]
        routes = [free_port() for _ in range(NODES)]
        self.nodes = [self._node(folder, number, routes) for number in range(NODES)]
        urls = ",".join(f"mqtt://127.0.0.1:{port}" for port in self.ports)
        self.broker = Broker(url=urls, username="tester", password="a-password")
        self.nats = ",".join(f"nats://127.0.0.1:{port}" for port in self.clients)

    def _node(self, folder: Path, number: int, routes: list[int]) -> Daemon:
        others = ", ".join(f"nats-route://127.0.0.1:{port}" for port in routes)
        config = folder / f"n{number}.conf"
        config.write_text(
            f"""
            server_name: n{number}
            host: 127.0.0.1
            port: {self.clients[number]}
            jetstream {{ store_dir: "{folder / f"js{number}"}" }}
            cluster {{ name: healthmon, host: 127.0.0.1, port: {routes[number]}, routes: [{others}] }}
            mqtt {{ host: 127.0.0.1, port: {self.ports[number]}, ack_wait: 5s, max_ack_pending: 1024 }}
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
        one = Broker(f"mqtt://127.0.0.1:{self.ports[number]}", "tester", "a-password")
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
def cluster(folder: Path) -> Iterator[Cluster]:
    """Three nodes that are up; all end with the block."""
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
