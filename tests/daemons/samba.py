"""A real smbd without shares, on 127.0.0.1 and ::1."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from daemons.process import Daemon, free_port, listens, need, running


@contextlib.contextmanager
def smbd(folder: Path, extra: str = "") -> Iterator[int]:
    """Its port."""
    binary, port = need("smbd"), free_port()
    folders = "".join(
        f"{name} directory = {folder}/{name}\n" for name in ("private", "lock", "state", "cache", "pid")
    ).replace("private directory", "private dir")
    for name in ("private", "lock", "state", "cache", "pid", "ncalrpc"):
        (folder / name).mkdir(exist_ok=True)
    config = folder / "smb.conf"
    config.write_text(
        f"[global]\nworkgroup = ELSEWHERE\nnetbios name = FILES\nsmb ports = {port}\n"
        f"interfaces = 127.0.0.1 ::1\nbind interfaces only = yes\ndisable netbios = yes\n"
        f"load printers = no\ndisable spoolss = yes\nlog file = {folder}/smbd-samba.log\n"
        f"{folders}ncalrpc dir = {folder}/ncalrpc\n{extra}\n"
    )
    argv = [binary, "-F", "-s", str(config)]
    with running(Daemon(argv, ready=listens(port), log=folder / "smbd.log")):
        yield port
