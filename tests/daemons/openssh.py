"""A real sshd with a key of its own, on 127.0.0.1 and ::1; nobody can log in."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.process import Daemon, free_port, listens, need, running


@contextlib.contextmanager
def sshd(folder: Path, extra: str = "") -> Iterator[int]:
    """Its port."""
    binary, port = need("sshd"), free_port()
    if not os.path.isdir("/run/sshd"):
        if os.geteuid() != 0:
            pytest.skip("sshd wants /run/sshd, which only root can make")
        os.mkdir("/run/sshd", 0o755)
    key = folder / "host_key"
    if not key.exists():
        subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\nListenAddress [::1]:{port}\nHostKey {key}\nPidFile none\n"
        f"UsePAM no\nPasswordAuthentication no\nAllowUsers nobody-at-all\n{extra}\n"
    )
    with running(Daemon([binary, "-D", "-e", "-f", str(config)], ready=listens(port), log=folder / "sshd.log")):
        yield port
