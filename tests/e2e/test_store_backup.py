"""docs/stores.md walked through: a copy of a server's files, checked, put into an empty folder, and read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import yaml

from daemons.healthmon import until
from daemons.onesite import one_site
from healthmon.alerting.journal import Journal
from healthmon.config import load
from healthmon.model.sample import Query, Row
from healthmon.store.embedded import EmbeddedStore

DOC = Path(__file__).parents[2] / "docs" / "stores.md"


def healthmon(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "healthmon", *arguments, "-c", str(config)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120)


def configuration(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    site = {"organisation": {"id": "o", "name": "O", "timezone": "UTC"}, "sites": [{"id": "main", "name": "Main"}]}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(site | {"data_dir": str(folder / name)}))
    return path


async def test_the_documented_way_there_and_back(tmp_path: Path) -> None:
    config, data = configuration(tmp_path, "data"), tmp_path / "data"
    Journal(data / "journal.sqlite").close()
    store = EmbeddedStore(data / "store.sqlite")
    await store.write([Row("icmp", (("target", "t"),), (("rtt", n / 7),), 1_790_000_000.0 + n) for n in range(500)])
    commands = [
        line.split()[1:] for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("healthmon store ")
    ]
    assert [command[:2] for command in commands] == [["store", "backup"], ["store", "check"]]
    for command in commands:  # with the store open, as the documentation says
        done = healthmon(config, *(word.replace("/var/backups", str(tmp_path)) for word in command))
        assert done.returncode == 0, done.stderr
    await store.close()

    copies = tmp_path / "healthmon"
    assert {path.name for path in copies.iterdir()} == {"journal.sqlite", "store.sqlite", "config"}
    assert (copies / "config" / "data.yaml").read_text() == config.read_text()
    configuration(tmp_path, "fresh")
    (tmp_path / "fresh").mkdir()
    for path in copies.glob("*.sqlite"):
        path.rename(tmp_path / "fresh" / path.name)
    restored = EmbeddedStore(tmp_path / "fresh" / "store.sqlite")
    (series,) = await restored.query(Query("icmp", "rtt"))
    assert list(series.points) == [(1_790_000_000.0 + n, n / 7) for n in range(500)]
    await restored.close()
    assert Journal(tmp_path / "fresh" / "journal.sqlite").check() == "ok"


async def test_what_is_damaged_is_said_and_salvaged(tmp_path: Path) -> None:
    config, path = configuration(tmp_path, "data"), tmp_path / "data" / "store.sqlite"
    store = EmbeddedStore(path)
    for first in (0, 100):
        await store.write([Row("icmp", (), (("rtt", n / 7),), 1_790_000_000.0 + first + n) for n in range(100)])
        store._seal()
    store._db.execute("UPDATE blocks SET body = zeroblob(length(body)) WHERE id = 1")
    await store.close()
    said = healthmon(config, "store", "check", "--json")
    assert said.returncode == 1
    assert json.loads(said.stdout)["points"] == 100
    assert "block 1" in json.loads(said.stdout)["damaged"][0]
    assert healthmon(config, "store", "salvage", str(tmp_path / "new.sqlite")).returncode == 0
    assert healthmon(config, "store", "check", str(tmp_path / "new.sqlite")).returncode == 0
    assert healthmon(config, "store", "backup").returncode == 2


def test_every_documented_store_section_is_one(tmp_path: Path) -> None:
    text = DOC.read_text(encoding="utf-8")
    sections = [part.split("```")[0] for part in text.split("```yaml\n")[1:]]
    assert len(sections) == 4
    for number, section in enumerate(sections):
        path = configuration(tmp_path, f"s{number}")
        path.write_text(path.read_text() + section)
        found = load(path, env={}, today=date(2026, 11, 22)).store
        assert found.retention_days == 35.0
    assert found.kind == "lineprotocol"


def test_a_server_is_rebuilt_from_one_copy(tmp_path: Path) -> None:
    """The machine is lost in mid-incident: the copy gives the same incident and token, and nobody is told twice."""
    with one_site(tmp_path / "site") as site:
        until(site.both_seen, timeout_s=60, what="both services are seen")
        site.services["ed"].down()
        until(site.pages, timeout_s=60, what="a page")
        (incident,) = (one["id"] for one in site.incidents("open"))
        token, copies, told = site.token, tmp_path / "copies", site.pages()
        done = healthmon(site.config, "store", "backup", str(copies))
        assert done.returncode == 0, done.stderr
        assert all(
            path.stat().st_mode & 0o077 == 0 for path in (copies / "token", copies / "config" / site.config.name)
        )
        site.daemon.kill9()
        shutil.rmtree(site.data)
        site.config.unlink()
        shutil.rmtree(site.folder / "packs")

        steps = [line for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith(("cp ", "mkdir "))]
        assert len(steps) == 3
        for step in steps:
            places = {"/var/backups/healthmon": copies, "/etc/healthmon": site.folder, "/var/lib/healthmon": site.data}
            for documented, here in places.items():
                step = step.replace(documented, str(here))
            subprocess.run(["sh", "-c", step], check=True, timeout=30)
        site.daemon.start()
        assert [one["id"] for one in site.incidents("open")] == [incident]
        assert site.token == token
        site.services["ed"].up()
        until(lambda: site.incidents("mitigated"), timeout_s=60, what="the incident is over")
        until(lambda: len(site.pages()) > len(told), timeout_s=60, what="the page of the end")
        assert [page["why"] for page in site.pages()[len(told) :]] == ["mitigated"]
