"""One real snmpd that stands for many devices: it answers at every address of 127/8, v2c and v3, always the same."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.measuring import child, wait_for

TABLE = "1.3.6.1.4.1.8072.9999.9.1"
COLUMNS, ROWS = 10, 100
COMMUNITY, USER, AUTH, PRIV = "public", "bench", "auth-password", "priv-password"

#: A GET of sysUpTime.0, for asking whether somebody is there.
_HELLO = bytes.fromhex("302602010104067075626c6963a019020101020100020100300e300c06082b060102010103000500")


def value(column: int, row: int) -> int:
    """What a device has there."""
    return column * 1000 + row


@contextlib.contextmanager
def snmpd(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """The process and its port."""
    config, port = folder / "snmpd.conf", _free_port()
    cells = [(column, row) for column in range(1, COLUMNS + 1) for row in range(1, ROWS + 1)]
    lines = [
        f"agentAddress udp:0.0.0.0:{port}",
        f"rocommunity {COMMUNITY}",
        f"createUser {USER} SHA {AUTH} AES {PRIV}",
        f"rouser {USER} priv",
        *(f"override {TABLE}.{column}.{row} uinteger {value(column, row)}" for column, row in cells),
    ]
    config.write_text("\n".join(lines) + "\n")
    environment = {"SNMP_PERSISTENT_DIR": str(folder / "snmp"), "MIBS": ""}
    argv = ["env", *(f"{name}={text}" for name, text in environment.items())]
    argv += [shutil.which("snmpd") or "snmpd", "-f", "-Lf", os.devnull, "-C", "-c", str(config)]
    with child(argv, log=folder / "snmpd.log") as process:
        wait_for(lambda: _answers(port), what="snmpd")
        yield process, port


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.sendto(_HELLO, ("127.0.0.1", port))
            return bool(probe.recv(1000))
        except OSError:
            return False
