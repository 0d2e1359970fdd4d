"""compose.yaml and the systemd units: what they name is there. Neither Docker nor systemd is started."""

from __future__ import annotations

import configparser
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from daemons.process import Daemon, free_port, listens, need, running
from healthmon.cli.commands import app
from healthmon.config import load

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SITE = ROOT / "configs" / "compose" / "healthmon.yaml"
UNITS = sorted((ROOT / "configs" / "systemd").glob("*.service"))


def test_every_file_that_is_mounted_is_in_the_repository() -> None:
    mounts = [volume for one in COMPOSE["services"].values() for volume in one["volumes"]]
    bound = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(bound) >= 4
    assert [path for path in bound if not (ROOT / path).exists()] == []
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith("./")}
    assert named == set(COMPOSE["volumes"])


def test_the_site_of_the_compose_file_is_good_and_speaks_to_its_services() -> None:
    site = load(SITE)
    named = set(re.findall(r"(?:mqtt|http)://([a-z]+):\d+", SITE.read_text()))
    named |= {target.address for target in site.estate.targets.values() if "://" not in target.address}
    assert named <= set(COMPOSE["services"])


def test_both_sides_are_given_the_same_secrets() -> None:
    given = set(re.findall(r"\$\{(HEALTHMON_\w+)", (ROOT / "compose.yaml").read_text()))
    read = set(re.findall(r"\$\{(HEALTHMON_\w+)", SITE.read_text()))
    assert read == {"HEALTHMON_BROKER_PASSWORD", "HEALTHMON_INFLUX_TOKEN"} <= given


def test_nothing_but_loopback_is_opened() -> None:
    ports = [port for one in COMPOSE["services"].values() for port in one.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_units_call_commands_that_exist_without_rights(path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(path.read_text())
    service = unit["Service"]
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    _, name, *words = service["ExecStart"].split()
    if name != "agent":
        commands[name].make_context(name, words)
    assert service["NoNewPrivileges"] == "yes"
    assert service.get("User", "") == "healthmon" or service.get("DynamicUser") == "yes"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_compose_itself_reads_the_file() -> None:
    argv = [need("docker-compose"), "--project-directory", str(ROOT), "-f", str(ROOT / "compose.yaml"), "config"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert set(services) == set(COMPOSE["services"])
    given = [services[name]["environment"]["HEALTHMON_BROKER_PASSWORD"] for name in ("mosquitto", "healthmon")]
    assert given == ["change-me-broker"] * 2


def test_the_broker_takes_the_server_and_nobody_else(tmp_path: Path) -> None:
    """Its command and its configuration with a real mosquitto; only folder and port are those of the test."""
    need("mosquitto_passwd")
    port = free_port()
    settings = (ROOT / "configs" / "compose" / "mosquitto.conf").read_text().replace("/mosquitto/data", str(tmp_path))
    listener = f"user root\nlistener {port} 127.0.0.1"
    (tmp_path / "mosquitto.conf").write_text(settings.replace("listener 1883", listener))
    (command,) = COMPOSE["services"]["mosquitto"]["command"]
    for there in ("/mosquitto/data", "/mosquitto/config"):
        command = command.replace(there, str(tmp_path))
    given = ["/usr/bin/env", "HEALTHMON_BROKER_PASSWORD=secret-of-the-test", "PATH=/usr/sbin:/usr/bin:/bin"]
    argv = [*given, "/bin/sh", "-c", command.replace("$$", "$")]
    with running(Daemon(argv, ready=listens(port), log=tmp_path / "log")):
        assert connect_code(port, "healthmon-server", "secret-of-the-test") == 0
        assert connect_code(port, "healthmon-server", "another") == 5
        assert connect_code(port) == 5


def connect_code(port: int, user: str = "", password: str = "") -> int:
    """What an MQTT 3.1.1 broker answers to CONNECT (0 accepted, 5 not authorised)."""
    named = [text.encode() for text in ("check", *((user, password) if user else ()))]
    payload = b"".join(len(text).to_bytes(2, "big") + text for text in named)
    body = b"\x00\x04MQTT\x04" + bytes([0xC2 if user else 0x02]) + b"\x00\x0a" + payload
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"\x10" + bytes([len(body)]) + body)
        return connection.recv(4)[3]


def test_grafana_is_given_what_its_provisioning_asks_for() -> None:
    folder, grafana = ROOT / "grafana" / "provisioning", COMPOSE["services"]["grafana"]
    lines = [line for path in folder.rglob("*.yaml") for line in path.read_text().splitlines()]
    asked = set(re.findall(r"\$\{(HEALTHMON_\w+)", "\n".join(one for one in lines if not one.strip().startswith("#"))))
    assert asked
    assert asked <= set(grafana["environment"])
    mounts = dict(volume.split(":")[1::-1] for volume in grafana["volumes"])
    for provider in yaml.safe_load((folder / "dashboards" / "healthmon.yaml").read_text())["providers"]:
        there = Path(provider["options"]["path"])
        assert (ROOT / mounts[str(there.parent)] / there.name).is_dir()
