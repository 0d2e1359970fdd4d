"""A real nginx: plain, over IPv6, and with one TLS port for each certificate."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemons.certs import Issued
from daemons.process import Daemon, free_port, listens, need, running

_LOCATIONS = r"""
    location = /health { default_type application/json; return 200 '{"status":"ok","queue":[{"depth":3}],"up":true}'; }
    location = /page { default_type "text/html; charset=utf-8"; return 200 "<h1>Patient record</h1>"; }
    location = /down { return 503 "out of order"; }
    location = /moved { return 302 /health?token=secret-in-query; }
    location = /loop { return 302 /loop; }
    location = /away { return 302 $arg_to; }
    location = /echo {
        default_type text/plain;
        return 200 "$request_method $http_host [$http_authorization] $http_x_note";
    }
    location = /empty { return 204; }
    location /private/ { auth_basic "private"; auth_basic_user_file FOLDER/htpasswd; alias FOLDER/files/; }
    location /files/ { alias FOLDER/files/; }
"""


_VERSIONS = "ssl_protocols TLSv1.2 TLSv1.3;"


@dataclass(frozen=True, slots=True)
class Nginx:
    """Ports of a running server: `plain`, `plain6`, and one by the name of each certificate."""

    plain: int
    plain6: int
    tls: Mapping[str, int]
    daemon: Daemon

    def url(self, path: str = "") -> str:
        """Plain HTTP over IPv4."""
        return f"http://127.0.0.1:{self.plain}{path}"


@contextmanager
def nginx(folder: Path, certificates: Mapping[str, Issued] | None = None, *, tls_extra: str = "") -> Iterator[Nginx]:
    """Start nginx in the folder, end it at the end. Skips where nginx is not installed."""
    binary = need("nginx")
    (folder / "files").mkdir(parents=True, exist_ok=True)
    (folder / "files" / "big.bin").write_bytes(b"x" * 300_000)
    (folder / "htpasswd").write_text("monitor:{PLAIN}open sesame\n")
    plain, plain6 = free_port(), free_port()
    tls = {name: free_port() for name in certificates or {}}
    config = folder / "nginx.conf"
    config.write_text(_config(folder, plain, plain6, tls, certificates or {}, tls_extra))
    argv = [binary, "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log"), "-g", "daemon off;"]
    daemon = Daemon(argv, ready=listens(plain), log=folder / "nginx.log")
    with running(daemon):
        yield Nginx(plain, plain6, tls, daemon)


def _config(
    folder: Path, plain: int, plain6: int, tls: Mapping[str, int], certificates: Mapping[str, Issued], tls_extra: str
) -> str:
    locations = _LOCATIONS.replace("FOLDER", str(folder))
    servers = [f"server {{ listen 127.0.0.1:{plain}; listen [::1]:{plain6};{locations} }}"]
    for name, port in tls.items():
        issued = certificates[name]
        servers.append(
            f"server {{ listen 127.0.0.1:{port} ssl; listen [::1]:{port} ssl; ssl_certificate {issued.cert_file};"
            f" ssl_certificate_key {issued.key_file}; {tls_extra or _VERSIONS} {locations} }}"
        )
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = " ".join(
        f"{kind}_temp_path {folder}/tmp-{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    joined = "\n".join(servers)
    return (
        f"{user} worker_processes 1; pid {folder}/nginx.pid; events {{ worker_connections 256; }}\n"
        f"http {{ access_log off; {temporary} keepalive_timeout 5; server_tokens off;\n{joined}\n}}\n"
    )
