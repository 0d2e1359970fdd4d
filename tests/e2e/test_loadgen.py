"""`healthmon loadgen` with its own server: every agent connects, every acknowledged point is in the store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def loadgen(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "healthmon", "loadgen", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=110)


def test_a_fleet_is_carried_and_comes_back_after_an_outage() -> None:
    load = ("--agents", "30", "--every", "1", "--minutes", "0.05", "--outage", "2", "--verify")
    done = loadgen(*load, "--quiet", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["outage"]["complete"]
    assert report["counts"]["connections"] >= 60
    assert report["counts"]["acknowledged"] > 30 * 4
    assert report["stored_points"] >= 20 * report["counts"]["acknowledged"]
    assert report["acknowledged_and_not_stored"] == 0
    assert {"server", "broker"} <= report["steady"]["cores"].keys()


def test_a_server_that_was_not_made_for_it_hears_nothing(tmp_path: Path) -> None:
    site = {"organisation": {"id": "real", "name": "Real", "timezone": "UTC"}, "sites": [{"id": "main", "name": "M"}]}
    (tmp_path / "healthmon.yaml").write_text(json.dumps(site))
    done = loadgen("-c", str(tmp_path / "healthmon.yaml"))
    assert done.returncode == 2
    assert "not a load test" in done.stderr
    assert "Traceback" not in done.stderr
