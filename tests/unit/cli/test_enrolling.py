"""`healthmon enrol`: passwords are made once, go to the right file, and nobody gets the server's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from healthmon.app.identities import Identities
from healthmon.cli.commands import app
from healthmon.model.errors import ConfigError


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_enrol_from_the_command_line_to_an_agents_file(tmp_path: Path) -> None:
    site = {
        "organisation": {"id": "st-elsewhere", "name": "St Elsewhere"},
        "data_dir": str(tmp_path / "data"),
        "broker": {
            "listen": "127.0.0.1:8883",
            "ca_file": "ca.pem",
            "tls": {"cert_file": "cert.pem", "key_file": "key.pem"},
        },
        "targets": [{"id": "pc-1", "kind": "server", "address": "127.0.0.1"}],
        "agents": [{"id": "pc-1", "target": "pc-1", "roles": ["linux-server"]}],
    }
    config = tmp_path / "healthmon.yaml"
    config.write_text(yaml.safe_dump(site))
    (tmp_path / "data").mkdir()
    described = {"url": "mqtts://127.0.0.1:1", "username": "healthmon", "password": "x", "ca_file": None}
    (tmp_path / "data" / "broker.json").write_text(json.dumps(described))
    refused = run("check", "-c", config, "--resolve", "pc-1")
    assert (refused.exit_code, "healthmon enrol pc-1" in refused.stderr) == (2, True)
    folder = tmp_path / "files"
    first = json.loads(run("enrol", "-c", config, "-o", folder, "--json").stdout)
    assert first["changed"] == ["pc-1", "poller"]
    assert {file.name for file in folder.iterdir()} == {"acl", "passwd"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
    mine = json.loads(run("check", "-c", config, "--resolve", "pc-1").stdout)["broker"]
    assert mine["username"] == "pc-1"
    assert mine["password"] not in (folder / "passwd").read_text()
    stranger = run("enrol", "-c", config, "pc-9")
    assert (stranger.exit_code, "allowed: pc-1, poller" in stranger.stderr) == (2, True)


def test_a_password_stays_until_it_is_rotated_or_revoked(tmp_path: Path) -> None:
    identities = Identities(tmp_path)
    assert identities.read() == {}
    assert identities.enrol(["pc-1", "pc-2"]) == ["pc-1", "pc-2"]
    first = identities.read()
    assert identities.enrol(["pc-1", "pc-2"]) == []
    assert identities.read() == first
    assert identities.enrol(["pc-1"], rotate=True) == ["pc-1"]
    again = identities.read()
    assert again["pc-1"] != first["pc-1"]
    assert again["pc-2"] == first["pc-2"]
    assert identities.revoke(["pc-1", "pc-9"]) == ["pc-1"]
    assert set(identities.read()) == {"pc-2"}
    assert identities.path.stat().st_mode & 0o077 == 0
    identities.path.write_text("[]")
    with pytest.raises(ConfigError, match="cannot be read"):
        identities.read()
