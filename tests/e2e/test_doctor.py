"""`healthmon doctor` on a healthy site, on one that is ill in many places, and what its bundle gives away: nothing."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.certs import Authority
from daemons.onesite import OneSite, one_site
from daemons.process import free_port
from healthmon.alerting.journal import Journal

pytestmark = [pytest.mark.wire]

SECRET = "canary-Hx7-secret-value"
PATIENT = "943 476 5919"  # a valid NHS number of the range for tests
PERSON = "Canary Wintergreen"


def doctor(config: Path, *more: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and findings."""
    argv = [sys.executable, "-m", "healthmon", "doctor", "--json", "-c", str(config), *more]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100)
    assert done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)["findings"]


def verdicts(found: list[dict[str, Any]]) -> dict[str, set[str]]:
    by_check: dict[str, set[str]] = {}
    for one in found:
        by_check.setdefault(one["check"], set()).add(one["verdict"])
    return by_check


def texts(found: list[dict[str, Any]], check: str) -> str:
    return " | ".join(one["text"] for one in found if one["check"] == check)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    notify = {"channels": {"pager": {"kind": "webhook", "url": f"https://pager.example/hook/{SECRET}?t={SECRET}"}}}
    with one_site(tmp_path_factory.mktemp("doctor"), notify=notify, oncall={}) as found:
        yield found


def test_a_healthy_site_has_nothing_bad(site: OneSite) -> None:
    code, found = doctor(site.config)
    assert not [one for one in found if one["verdict"] == "bad"]
    assert code == 0
    seen = verdicts(found)
    assert {"config", "folder", "permissions", "disk", "journal", "store", "spool", "server", "broker", "clock",
            "quarantine", "dead letters", "agents"} <= seen.keys()  # fmt: skip
    assert "lets us in" in texts(found, "broker")


def test_the_bundle_says_what_it_holds_and_gives_nothing_away(site: OneSite, tmp_path: Path) -> None:
    text = site.config.read_text()
    site.config.write_text(f"# {PERSON} rang about {PATIENT}\n{text}")
    site.post("probing/stop", by=PERSON)
    log = site.data / "broker" / "nats-server.log"
    with log.open("a") as out:
        out.write(f"refused {PATIENT} with {site.token}\n")
    (site.data / "quarantine").mkdir(exist_ok=True)
    note = {"at": "2026-01-01T00:00:00Z", "agent": PATIENT, "header": None, "batch": {"readings": [SECRET]}}
    (site.data / "quarantine" / "engine_crash-01.json").write_text(json.dumps(note))
    target = tmp_path / "bundle.tar.gz"
    try:
        _, found = doctor(site.config, "--bundle", str(target))
    finally:
        site.config.write_text(text)
        site.post("probing/resume", by="somebody")
    assert target.stat().st_mode & 0o777 == 0o600
    with tarfile.open(target) as archive:
        held = {one.name: archive.extractfile(one).read().decode() for one in archive}  # type: ignore[union-attr]
    everything = "\n".join(held.values())
    password = json.loads((site.data / "broker.json").read_text())["password"]
    for canary in (SECRET, PATIENT, PATIENT.replace(" ", ""), PERSON, site.token, password):
        assert canary not in everything, canary
    assert "https://pager.example/***" in held["healthmon-bundle/config/healthmon.yaml"]
    assert "[removed]" in held["healthmon-bundle/broker.log"]
    manifest = held["healthmon-bundle/MANIFEST.txt"]
    for name in held:
        assert name.rpartition("/")[2] in (manifest + " MANIFEST.txt") or "/config/" in name, f"{name} is not announced"
    assert any(one["check"] == "quarantine" and "engine_crash" in one["text"] for one in found)


def test_an_ill_site_is_told_apart_part_by_part(tmp_path: Path) -> None:
    site = OneSite(tmp_path, broker={"url": f"mqtt://127.0.0.1:{free_port()}"})
    site.data.mkdir()
    (site.data / "token").write_text("abc\n")
    os.chmod(site.data / "token", 0o644)
    (site.data / "store.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with closing(sqlite3.connect(site.data / "poller-spool.sqlite")) as db:
        db.execute("PRAGMA user_version=99")
    (site.data / "pc-9-spool.sqlite.corrupt-1").write_bytes(b"x")
    journal = Journal(site.data / "journal.sqlite")
    journal.append("notice", at=time.time() - 60, body={"channel": "pager", "result": "dead"})
    journal._db.execute("INSERT INTO notice VALUES ('k', 'inc-1', ?, 0, 0, '{}', '{}')", (time.time() - 3600,))
    journal._db.execute("INSERT OR REPLACE INTO meta VALUES ('at', ?)", (time.time() + 7200,))
    journal.close()
    code, found = doctor(site.config)
    assert code == 1
    seen = verdicts(found)
    for check in ("permissions", "store", "spool", "broker", "dead letters", "clock"):
        assert "bad" in seen[check], check
    assert "newer healthmon" in texts(found, "spool")
    assert "1 messages by pager were given up" in texts(found, "dead letters")
    assert "more than 10 min late" in texts(found, "dead letters")
    assert "in the future" in texts(found, "clock")
    assert "look" in seen["corrupt"]
    assert "nothing answers" in texts(found, "server")
    assert all(one["fix"] for one in found if one["verdict"] in ("bad", "look"))


def test_a_port_that_another_program_holds_is_said(tmp_path: Path) -> None:
    site = OneSite(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", site.port))
        other.listen()
        _, found = doctor(site.config)
    assert "taken by another program" in texts(found, "server")


def test_certificates_that_expire_and_keys_that_do_not_fit(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    expired, soon = authority.issue("old", starts_days=-90, ends_days=-3), authority.issue("soon", ends_days=5)
    tls = {"cert_file": str(expired.cert_file), "key_file": str(soon.key_file)}
    site = OneSite(tmp_path / "site", web={"listen": f"127.0.0.1:{free_port()}", "tls": tls})
    _, found = doctor(site.config)
    assert "expired 3 days ago" in texts(found, "certificates")
    assert "do not fit" in texts(found, "certificates")
    tls = {"cert_file": str(soon.cert_file), "key_file": str(soon.key_file)}
    site = OneSite(tmp_path / "site", web={"listen": f"127.0.0.1:{free_port()}", "tls": tls})
    _, found = doctor(site.config)
    (one,) = [one for one in found if one["check"] == "certificates"]
    assert one["verdict"] == "look"


def test_a_configuration_that_does_not_load_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "healthmon.yaml").write_text(yaml.safe_dump({"organisation": {"id": "x"}, "nonsense": 1}))
    argv = [sys.executable, "-m", "healthmon", "doctor", "-c", str(tmp_path / "healthmon.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "nonsense" in done.stderr
