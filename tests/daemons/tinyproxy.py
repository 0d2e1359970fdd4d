"""A real forward proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemons.process import Daemon, free_port, listens, need, running


@contextmanager
def tinyproxy(
    folder: Path, *, user: str = "", password: str = "", connect_ports: tuple[int, ...] = ()
) -> Iterator[str]:
    """tinyproxy on loopback; gives its URL. connect_ports: where CONNECT may lead (none: anywhere)."""
    binary = need("tinyproxy")
    port = free_port()
    config = folder / f"tinyproxy-{port}.conf"
    lines = [f"Port {port}", "Listen 127.0.0.1", "Timeout 10", "MaxClients 20", f'LogFile "{folder}/tinyproxy.log"']
    lines += [f"BasicAuth {user} {password}"] if user else []
    lines += [f"ConnectPort {number}" for number in connect_ports]
    config.write_text("\n".join([*lines, ""]))
    daemon = Daemon([binary, "-d", "-c", str(config)], ready=listens(port), log=folder / "tinyproxy.out")
    with running(daemon):
        yield f"http://127.0.0.1:{port}"
