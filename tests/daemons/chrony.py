"""A real chronyd that serves this machine's time and never touches its clock (-x), on 127.0.0.1 and ::1."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from daemons.process import Daemon, free_port, need, running


@contextlib.contextmanager
def chronyd(folder: Path, *, stratum: int | None = 8) -> Iterator[int]:
    """Its UDP port. Without a stratum it has no time of its own: not synchronised."""
    binary, port = need("chronyd"), free_port(socket.SOCK_DGRAM)
    config = folder / "chrony.conf"
    local = f"local stratum {stratum}\n" if stratum else ""
    config.write_text(
        f"port {port}\nbindaddress 127.0.0.1\nbindaddress ::1\ncmdport 0\nbindcmdaddress /\nuser root\n"
        f"allow 127.0.0.0/8\nallow ::1\npidfile {folder}/chronyd.pid\n{local}"
    )
    argv = [binary, "-x", "-d", "-f", str(config)]
    with running(Daemon(argv, ready=_answers(port), log=folder / "chronyd.log")):
        yield port


def _answers(port: int) -> Callable[[], bool]:
    def ready() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.settimeout(0.2)
            sock.connect(("127.0.0.1", port))
            sock.send(bytes([0x23]) + bytes(39) + time.monotonic_ns().to_bytes(8, "big"))
            return len(sock.recv(512)) >= 48
        return False

    return ready
