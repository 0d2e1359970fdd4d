"""Real IPP servers: a cupsd with one queue that prints into nothing, and CUPS's own example of a printer."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemons.process import Daemon, free_port, listens, need, running

QUEUE = "ward-7"


@dataclass(frozen=True, slots=True)
class Cups:
    """A print server; `command` runs one of its programs (cupsdisable, cupsreject, ...) on the queue."""

    port: int

    def command(self, name: str, *more: str) -> None:
        """Change the queue as an operator would."""
        argv = [need(name), "-h", f"127.0.0.1:{self.port}", *more, QUEUE]
        subprocess.run(argv, check=True, capture_output=True, timeout=20)


@contextlib.contextmanager
def cupsd(folder: Path) -> Iterator[Cups]:
    """cupsd with all its files in `folder`, on 127.0.0.1 and ::1."""
    binary, port = need("cupsd"), free_port()
    if os.geteuid() != 0:
        pytest.skip("cupsd wants root")
    for name in ("root", "state", "spool", "cache", "tmp"):
        (folder / name).mkdir()
    (folder / "cupsd.conf").write_text(
        f"Listen 127.0.0.1:{port}\nListen [::1]:{port}\nBrowsing Off\nDefaultAuthType None\nWebInterface No\n"
        "<Location />\nOrder allow,deny\nAllow localhost\n</Location>\n"
        "<Location /closed>\nDeny all\n</Location>\n"
        "<Policy default>\n<Limit All>\nOrder allow,deny\nAllow localhost\n</Limit>\n</Policy>\n"
    )
    (folder / "cups-files.conf").write_text(
        f"FileDevice Yes\nServerRoot {folder}/root\nStateDir {folder}/state\nRequestRoot {folder}/spool\n"
        f"CacheDir {folder}/cache\nTempDir {folder}/tmp\nAccessLog {folder}/access_log\nErrorLog {folder}/error_log\n"
        f"PageLog {folder}/page_log\nSystemGroup root\n"
    )
    argv = [binary, "-f", "-c", str(folder / "cupsd.conf"), "-s", str(folder / "cups-files.conf")]
    with running(Daemon(argv, ready=listens(port), log=folder / "cupsd.log")):
        add = [need("lpadmin"), "-h", f"127.0.0.1:{port}", "-p", QUEUE, "-E", "-v", "file:///dev/null"]
        subprocess.run(add, check=True, capture_output=True, timeout=20)
        yield Cups(port)


_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
<allow user="*"/></policy></busconfig>
"""


@contextlib.contextmanager
def ippeveprinter(folder: Path, attributes: str = "") -> Iterator[int]:
    """A printer's port. It insists on announcing itself: with a D-Bus and an Avahi of its own, on loopback."""
    binary, avahi, bus, port = need("ippeveprinter"), need("avahi-daemon"), need("dbus-daemon"), free_port()
    if os.geteuid() != 0:
        pytest.skip("avahi-daemon wants root")
    socket_file = folder / "bus"
    (folder / "bus.conf").write_text(_BUS.format(socket=socket_file))
    (folder / "avahi.conf").write_text(
        "[server]\nallow-interfaces=lo\nuse-ipv6=no\n[publish]\npublish-workstation=no\n"
    )
    (folder / "printer.conf").write_text(attributes)
    environment = ["env", f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={socket_file}"]
    (folder / "spool").mkdir()
    printer = [*environment, binary, "-p", str(port), "-r", "off", "-d", str(folder / "spool"), "-K", str(folder)]
    printer += ["-a", str(folder / "printer.conf")] if attributes else []
    with contextlib.ExitStack() as stack:
        for argv, ready, name in (
            ([bus, f"--config-file={folder}/bus.conf", "--nofork", "--nopidfile"], socket_file.exists, "bus"),
            (
                [*environment, avahi, "-f", f"{folder}/avahi.conf", "--no-drop-root", "--no-chroot"],
                _started(folder),
                "avahi",
            ),
            ([*printer, "probe-printer"], listens(port), "printer"),
        ):
            stack.enter_context(running(Daemon(argv, ready=ready, log=folder / f"{name}.log", timeout_s=8.0)))
        yield port


def _started(folder: Path) -> Callable[[], bool]:
    def ready() -> bool:
        log = folder / "avahi.log"
        return log.exists() and b"Server startup complete" in log.read_bytes()

    return ready
