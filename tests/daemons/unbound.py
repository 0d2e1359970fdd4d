"""A real unbound that knows one zone and asks nobody else, on 127.0.0.1 and ::1."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from daemons.process import Daemon, free_port, listens, need, running

_LONG = "".join(f"local-data: 'long.st-elsewhere.example. 60 TXT \"{n:03} {'x' * 200}\"'\n" for n in range(20))

CONFIG = """
server:
  interface: 127.0.0.1@{port}
  interface: ::1@{port}
  access-control: 127.0.0.0/8 allow
  access-control: ::1 allow
  do-daemonize: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "{folder}"
  num-threads: 1
  use-syslog: no
  do-not-query-localhost: yes
  local-zone: "st-elsewhere.example." static
  local-data: "st-elsewhere.example. 3600 SOA ns.st-elsewhere.example. it.st-elsewhere.example. 2026112201 1 1 1 60"
  local-data: "ehr.st-elsewhere.example. 300 A 192.0.2.10"
  local-data: "ehr.st-elsewhere.example. 300 A 192.0.2.11"
  local-data: "ehr.st-elsewhere.example. 120 AAAA 2001:db8::10"
  local-data: "_ldap._tcp.st-elsewhere.example. 600 SRV 0 100 389 dc1.st-elsewhere.example."
  local-data-ptr: "192.0.2.10 ehr.st-elsewhere.example"
  local-data-ptr: "2001:db8::10 ehr.st-elsewhere.example"
  local-zone: "closed.example." always_refuse
  {long}
"""


@contextlib.contextmanager
def unbound(folder: Path) -> Iterator[int]:
    """Its port, the same for UDP and TCP."""
    binary, port = need("unbound"), free_port()
    config = folder / "unbound.conf"
    text = CONFIG.format(port=port, folder=folder, long=_LONG.replace("\n", "\n  "))
    config.write_text(text)
    argv = [binary, "-d", "-c", str(config)]
    with running(Daemon(argv, ready=listens(port), log=folder / "unbound.log")):
        yield port
