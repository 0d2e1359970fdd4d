"""Real servers that begin in clear and agree to TLS: dovecot (IMAP, POP3), vsftpd and PostgreSQL, on both loopbacks."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from daemons.certs import Issued
from daemons.process import Daemon, free_port, listens, need, running

_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1, ::1
ssl = required
ssl_cert = <{issued.cert_file}
ssl_key = <{issued.key_file}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""
_VSFTPD = """\
listen_ipv6=YES
listen_port={port}
background=NO
anonymous_enable=YES
ssl_enable=YES
rsa_cert_file={issued.cert_file}
rsa_private_key_file={issued.key_file}
secure_chroot_dir={folder}
ssl_ciphers=HIGH
"""
_POSTGRES = """
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
listen_addresses = '127.0.0.1,::1'
port = {port}
unix_socket_directories = ''
fsync = off
"""
_NOBODY = 65534


@contextlib.contextmanager
def dovecot(folder: Path, issued: Issued) -> Iterator[Mapping[str, int]]:
    """Ports by protocol. Its processes give up root by themselves, so root starts it."""
    binary = need("dovecot")
    if os.geteuid() != 0:
        pytest.skip("dovecot is started by root")
    ports = {"imap": free_port(), "pop3": free_port()}
    config = folder / "dovecot.conf"
    config.write_text(_DOVECOT.format(folder=folder, issued=issued, **ports))
    argv = [binary, "-F", "-c", str(config)]
    both = [listens(port, host) for port in ports.values() for host in ("127.0.0.1", "::1")]
    with running(Daemon(argv, ready=lambda: all(ready() for ready in both), log=folder / "dovecot.out")):
        yield ports


@contextlib.contextmanager
def vsftpd(folder: Path, issued: Issued) -> Iterator[int]:
    """Its port."""
    binary, port = need("vsftpd"), free_port()
    if os.geteuid() != 0:
        pytest.skip("vsftpd is started by root")
    config = folder / "vsftpd.conf"
    config.write_text(_VSFTPD.format(folder=folder, issued=issued, port=port))
    with running(Daemon([binary, str(config)], ready=listens(port), log=folder / "vsftpd.log")):
        yield port


@contextlib.contextmanager
def postgres(issued: Issued) -> Iterator[int]:
    """Its port. It refuses to run as root and wants a folder that is its own all the way down."""
    server, maker, port = _of_postgres("postgres"), _of_postgres("initdb"), free_port()
    as_user = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="healthmon-postgres-", dir="/tmp"))
    data = folder / "data"
    try:
        _owned(folder)
        making = [*as_user, maker, "-D", str(data), "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"]
        subprocess.run(making, check=True, capture_output=True, cwd=folder)
        for source, name in ((issued.cert_file, "server.pem"), (issued.key_file, "server.key")):
            shutil.copy(source, data / name)
            (data / name).chmod(0o600)
            _owned(data / name)
        with (data / "postgresql.conf").open("a") as config:
            config.write(_POSTGRES.format(port=port))
        argv = [*as_user, server, "-D", str(data)]
        with running(Daemon(argv, ready=listens(port, "::1"), log=folder / "postgres.log")):
            yield port
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owned(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, _NOBODY)


def _of_postgres(binary: str) -> str:
    """Debian keeps them beside each version and out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{binary}"))
    return str(found[-1]) if found else need(binary)
