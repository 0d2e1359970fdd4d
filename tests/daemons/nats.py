"""A nats-server on loopback with MQTT and JetStream, as our own default has it, but under the test's control."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from daemons.process import Daemon, free_port, listens
from healthmon.model.plan import Broker


def nats_server() -> str:
    """The program from this environment or from PATH, or a skip."""
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    if not found:
        pytest.skip("nats-server is not installed")
    return found


class Nats(Daemon):
    """Start it, use `.broker`, `kill9` and `start` it again on the same port with the same data."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port, inner = free_port(), free_port()
        config = folder / "nats.conf"
        config.write_text(
            f"""
            server_name: test
            host: 127.0.0.1
            port: {inner}
            jetstream {{ store_dir: "{folder / "js"}", sync_interval: always }}
            mqtt {{ host: 127.0.0.1, port: {port}, ack_wait: 5s }}
            authorization {{ users: [ {{ user: tester, password: "a-password" }} ] }}
            """
        )
        super().__init__([nats_server(), "-c", str(config)], ready=listens(port), log=folder / "nats.log")
        self.port = port
        self.url = f"nats://127.0.0.1:{inner}"
        self.broker = Broker(url=f"mqtt://127.0.0.1:{port}", username="tester", password="a-password")
