"""Every command: an example in its help, JSON that parses, documented exit codes, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from daemons.onesite import OneSite, one_site
from daemons.process import free_port
from healthmon.cli.commands import app

pytestmark = [pytest.mark.wire, pytest.mark.slow]

COMMANDS = sorted(c.name or c.callback.__name__ for c in app.registered_commands if c.callback)
GONE = "http://127.0.0.1:9"


def healthmon(*arguments: str, cwd: Path, timeout_s: float = 60.0, **env: str) -> subprocess.CompletedProcess[str]:
    settings = {k: v for k, v in os.environ.items() if k != "HEALTHMON_CONFIG"}
    settings |= {"NO_COLOR": "1", "COLUMNS": "200", "HEALTHMON_DATA_DIR": str(cwd / "data")}
    argv = [sys.executable, "-m", "healthmon", *arguments]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, cwd=cwd, env=settings | env)
    assert "Traceback" not in result.stdout + result.stderr, result.stderr
    return result


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    with one_site(tmp_path_factory.mktemp("cli"), role_name="server") as found:
        yield found


def offline(folder: Path, **changes: Any) -> Path:
    """A good configuration that nobody serves."""
    written = OneSite(folder, **changes)
    return written.config


def test_the_commands_of_the_contract_are_there() -> None:
    wanted = {"up", "demo", "server", "poller", "agent", "watchdog", "check", "probe", "stop-probing"}
    assert wanted | {"incidents", "agents", "schema", "version"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(command: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [command, "--help"]) if command != "agent" else None
    if result is None:  # it has a help of its own, in front of the others
        result = healthmon(command, "--help", cwd=tmp_path)
        assert result.returncode == 0
    words = " ".join(result.stdout.split())
    assert f"healthmon {command}" in re.split("[Ee]xample:", words, maxsplit=1)[1]


def test_json_parses(site: OneSite, tmp_path: Path) -> None:
    config = ("-c", str(site.config))
    probed = ("probe", "tcp", "127.0.0.1", "-p", f"port={site.services['ed'].port}", "--json")
    for arguments in (
        ("version", "--json"),
        ("schema",),
        ("check", "--json", *config),
        ("check", "--resolve", "pc-1", *config),
        ("agents", "--json", *config),
        ("incidents", "list", "--json", *config),
        probed,
    ):
        result = healthmon(*arguments, cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, ""), arguments
        assert json.loads(result.stdout) is not None


def test_text_is_for_people(site: OneSite, tmp_path: Path) -> None:
    config = ("-c", str(site.config))
    said = healthmon("incidents", *config, cwd=tmp_path).stdout
    assert said.startswith(("no incidents", "id ")), "its agents never speak: after a minute that is an incident"
    assert "pc-1" in healthmon("agents", *config, cwd=tmp_path).stdout
    assert "ok: Small Hospital" in healthmon("check", *config, cwd=tmp_path).stdout


#: arguments ({config} is a good one that nobody serves) -> exit code, what stderr or stdout must say
WRONG: dict[str, tuple[str, int, str]] = {
    "no such command": ("frobnicate", 2, "No such command"),
    "no such option": ("check --frobnicate", 2, "No such option"),
    "no configuration": ("check", 2, "no configuration found"),
    "missing configuration": ("check -c nowhere.yaml", 2, "nowhere.yaml"),
    "server without configuration": ("server", 2, "no configuration found"),
    "poller without configuration": ("poller", 2, "no configuration found"),
    "watchdog without configuration": ("watchdog", 2, "no configuration found"),
    "watchdog without a watch section": ("watchdog -c {config}", 2, "notify.watch"),
    "up with a bad address": ("up --listen nonsense", 2, "is not HOST:PORT"),
    "agent without a file": ("agent -c nowhere.json", 2, "nowhere.json"),
    "agent with the wrong file": ("agent -c {config}", 2, "not a resolved agent file"),
    "resolve of a stranger": ("check -c {config} --resolve nobody", 3, "start `healthmon server` first"),
    "poller before the server": ("poller -c {config}", 3, "start `healthmon server` first"),
    "probe of a closed port": ("probe tcp 127.0.0.1 -p port=9", 1, "refused"),
    "probe of an unknown kind": ("probe telepathy 127.0.0.1", 2, "telepathy"),
    "probe with a bad parameter": ("probe tcp 127.0.0.1 -p port=ninety", 2, "port"),
    "probe with no parameter": ("probe tcp 127.0.0.1 -p port", 2, "key=value"),
    "agents of no server": ("agents -c {config}", 3, "no healthmon server answers"),
    "incidents of no server": (f"incidents -c {{config}} --url {GONE}", 3, "no healthmon server answers"),
    "acknowledging at no server": ("incidents ack inc-1 -c {config}", 3, "no healthmon server answers"),
    "stopping at no server": ("stop-probing -c {config}", 3, "no healthmon server answers"),
    "an action nobody knows": ("incidents frobnicate inc-1 -c {config}", 2, "no such action"),
    "an action on nothing": ("incidents ack -c {config}", 2, "which one"),
    "demo with an unknown store": ("demo --store papyrus", 2, "papyrus"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_words(name: str, tmp_path: Path) -> None:
    arguments, code, words = WRONG[name]
    config = offline(tmp_path / "site") if "{config}" in arguments else ""
    result = healthmon(*arguments.format(config=config).split(), cwd=tmp_path)
    assert words in result.stderr + result.stdout
    assert result.returncode == code, result.stderr


def test_what_the_server_refuses_is_exit_1(site: OneSite, tmp_path: Path) -> None:
    config = ("-c", str(site.config))
    result = healthmon("incidents", "ack", "inc-nowhere", *config, cwd=tmp_path)
    assert (result.returncode, "no incident" in result.stderr) == (1, True)
    other = tmp_path / "other"
    other.mkdir()
    stranger = offline(other)
    result = healthmon("incidents", "ack", "inc-1", "-c", str(stranger), "--url", site.base, cwd=tmp_path)
    assert result.returncode == 1
    assert "token" in result.stderr


def test_a_bad_configuration_names_file_line_and_column(tmp_path: Path) -> None:
    config = offline(tmp_path)
    config.write_text(config.read_text() + "frobnicate: 1\n")
    line = len(config.read_text().splitlines())
    for arguments in (("up",), ("agents",), ("check", "--json")):
        result = healthmon(*arguments, "-c", str(config), cwd=tmp_path)
        assert result.returncode == 2
        assert f"{config}:{line}:1: " in result.stderr
        assert "allowed: " in result.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = offline(tmp_path, web={"listen": f"127.0.0.1:{taken.getsockname()[1]}"})
        result = healthmon("up", "-c", str(config), cwd=tmp_path)
    assert result.returncode == 2
    assert "already in use" in result.stderr


@pytest.mark.parametrize("command", ["up", "server"])
def test_a_data_folder_that_cannot_be_made(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = offline(tmp_path, data_dir=str(tmp_path / "file" / "data"))
    result = healthmon(command, "-c", str(config), cwd=tmp_path)
    assert result.returncode == 2
    assert f"data_dir {tmp_path / 'file' / 'data'}: " in result.stderr


def test_a_journal_that_is_no_database(tmp_path: Path) -> None:
    config = offline(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "journal.sqlite").write_bytes(b"not a database, " * 100)
    result = healthmon("server", "-c", str(config), cwd=tmp_path)
    assert result.returncode == 3
    assert "file is not a database" in result.stderr


def test_what_answers_is_no_healthmon(tmp_path: Path) -> None:
    from daemons.paging import Receiver

    receiver = Receiver()
    try:
        base = receiver.url.removesuffix("/hook")
        result = healthmon("agents", "-c", str(offline(tmp_path)), "--url", base, cwd=tmp_path)
    finally:
        receiver.stop()
    assert result.returncode == 3


def test_an_unreachable_broker_holds_back_no_board(tmp_path: Path) -> None:
    site = OneSite(tmp_path, broker={"url": f"mqtt://127.0.0.1:{free_port()}"})
    site.daemon.argv[3] = "server"
    site.daemon.ready = lambda: tmp_path.joinpath("up.log").read_text().count("server up") > 0
    site.daemon.start()
    try:
        health = site.health()
        assert (health["status"], health["broker_ok"]) == ("degraded", False)
        assert "We cannot see" in site.page("/") or "we cannot see" in site.page("/")
    finally:
        site.daemon.stop()
    text = site.log.read_text()
    assert "connection lost" in text
    assert "Traceback" not in text


def test_a_bug_is_one_line_too_unless_asked(tmp_path: Path) -> None:
    """Injected, since a bug that is known is mended."""
    script = tmp_path / "bug.py"
    script.write_text(
        "import sys\nfrom healthmon.cli import commands, frame\n"
        "def today():\n    raise KeyError('a bug')\n"
        "frame.today = today\nsys.argv = ['healthmon', 'check', '-c', sys.argv[1]]\ncommands.app()\n"
    )
    config = offline(tmp_path)
    argv = [sys.executable, str(script), str(config)]
    quiet = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert (quiet.returncode, quiet.stderr.count("\n")) == (3, 1)
    assert quiet.stderr.startswith("a bug in healthmon: KeyError")
    loud = subprocess.run(
        argv, capture_output=True, text=True, timeout=30, env=os.environ | {"HEALTHMON_TRACEBACK": "1"}
    )
    assert "Traceback" in loud.stderr
