"""A mosquitto on loopback: plain or TLS, with or without users, keeping its sessions on disk."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daemons.process import Daemon, free_port, listens, need
from healthmon.model.plan import Broker


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for a TLS listener; `ca_file` is what clients must trust."""

    ca_file: Path
    cert_file: Path
    key_file: Path


class Mosquitto(Daemon):
    """Start it, use `.broker`, `kill9` and `start` it again on the same port with the same data."""

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, str] | None = None,
        passwords: Path | None = None,
        acl: str | None = None,
        tls: Tls | None = None,
        extra: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        lines = [
            "per_listener_settings false",
            f"listener {port} 127.0.0.1",
            "user root",
            "persistence true",
            f"persistence_location {folder}/",
            f"allow_anonymous {'false' if users or passwords else 'true'}",
        ]
        if users:
            lines.append(f"password_file {_password_file(folder, users)}")
        if passwords:
            lines.append(f"password_file {passwords}")
        if acl:
            (folder / "acl").write_text(acl)
            lines.append(f"acl_file {folder / 'acl'}")
        if tls:
            lines += [f"certfile {tls.cert_file}", f"keyfile {tls.key_file}"]
        config = folder / "mosquitto.conf"
        config.write_text("\n".join([*lines, extra, ""]))
        super().__init__([need("mosquitto"), "-c", str(config)], ready=listens(port), log=folder / "mosquitto.log")
        self.port = port
        name, password = next(iter(users.items())) if users else (None, None)
        self.broker = Broker(
            url=f"{'mqtts' if tls else 'mqtt'}://127.0.0.1:{port}",
            username=name,
            password=password,
            ca_file=str(tls.ca_file) if tls else None,
        )


def _password_file(folder: Path, users: Mapping[str, str]) -> Path:
    file = folder / "passwords"
    file.write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
    subprocess.run([need("mosquitto_passwd"), "-U", str(file)], check=True, capture_output=True)
    return file
