"""compose.yaml and the systemd units: what they name is there. Neither Docker nor systemd is started here."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

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
