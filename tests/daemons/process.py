"""Start a daemon, wait until it answers, end it: the one way tests run real servers."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

_LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
#: Below the kernel's ephemeral range, and each test process has its own hundred: what is free now is still free later.
_PORTS = itertools.cycle(range(start := 10_500 + os.getpid() % 220 * 100, start + 100))


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port that nobody listens on, neither on 127.0.0.1 nor on ::1, and that no outgoing connection will take."""
    for port in itertools.islice(_PORTS, 100):
        if all(_free(family, kind, host, port) for family, host in _LOOPBACKS):
            return port
    raise RuntimeError("no free port among a hundred")


def _free(family: socket.AddressFamily, kind: int, host: str, port: int) -> bool:
    try:
        with socket.socket(family, kind) as probe:
            probe.bind((host, port))
    except OSError as error:
        return error.errno != errno.EADDRINUSE  # a machine may have no IPv6 at all
    return True


def need(binary: str) -> str:
    """The full path of a program, or a skip that names it."""
    found = shutil.which(binary) or shutil.which(binary, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not found:
        pytest.skip(f"{binary} is not installed")
    return found


def listens(port: int, host: str = "127.0.0.1") -> Callable[[], bool]:
    """A readiness test: something accepts TCP on this port."""

    def ready() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=0.2):
            return True
        return False

    return ready


class Daemon:
    """One child process with its output in a file; `kill9` and `start` again for crash tests."""

    def __init__(self, argv: Sequence[str], *, ready: Callable[[], bool], log: Path, timeout_s: float = 60.0) -> None:
        self.argv = list(argv)
        self.ready = ready
        self.log = log
        self.timeout_s = timeout_s
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until ready; the log is shown when it is not."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self.argv, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + self.timeout_s
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.argv[0]} did not start:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)

    def told_to_stop(self, *, within_s: float = 120.0) -> int:
        """End it politely and wait; its exit code. Raises TimeoutExpired: it did not end by itself."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def kill9(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it politely, then surely."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self.process = None


@contextlib.contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """Start, yield, stop."""
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()
