"""A real FreeRADIUS with one user, answering Status-Server, on 127.0.0.1 and ::1."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from daemons.process import Daemon, free_port, need, running

SECRET, USER, PASSWORD = "shared-secret-of-the-test", "healthmon-probe", "probe-password-longer-than-16"

CONFIG = """
name = freeradius
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
pidfile = {folder}/freeradius.pid
max_request_time = 5
cleanup_delay = 0
security {{
  reject_delay = 0
  status_server = yes
}}
thread pool {{
  start_servers = 1
  max_servers = 1
}}
modules {{
  pap {{
  }}
  files {{
    usersfile = {folder}/users
  }}
}}
client four {{
  ipaddr = 127.0.0.1
  secret = {secret}
}}
client six {{
  ipv6addr = ::1
  secret = {secret}
}}
server default {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = {port}
  }}
  listen {{
    type = auth
    ipv6addr = ::1
    port = {port}
  }}
  authorize {{
    files
    pap
  }}
  authenticate {{
    Auth-Type PAP {{
      pap
    }}
  }}
}}
"""


@contextlib.contextmanager
def freeradius(folder: Path) -> Iterator[int]:
    """Its UDP port."""
    binary, port = need("freeradius"), free_port(socket.SOCK_DGRAM)
    (folder / "users").write_text(f'{USER} Cleartext-Password := "{PASSWORD}"\n')
    (folder / "dictionary").write_text("")
    (folder / "radiusd.conf").write_text(CONFIG.format(folder=folder, port=port, secret=SECRET))
    argv = [binary, "-f", "-l", "stdout", "-d", str(folder), "-n", "radiusd"]
    with running(Daemon(argv, ready=_bound(port), log=folder / "freeradius.log")):
        yield port


def _bound(port: int) -> Callable[[], bool]:
    """A closed UDP port refuses at once, an open one is silent to garbage."""

    def ready() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.1)
            sock.connect(("127.0.0.1", port))
            try:
                sock.send(struct.pack("!BBH", 255, 0, 4))
                sock.recv(64)
            except TimeoutError:
                return True
            except OSError:
                return False
        return True

    return ready
