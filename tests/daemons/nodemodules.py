"""Packages from npm that tests need, installed once into the environment's own folder."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: Package to version. They are tools of the tests; nothing of them is shipped.
VERSIONS = {"@grafana/schema": "11.6.0", "typescript": "5.9.3", "oidc-provider": "8.8.1"}
FOLDER = Path(sys.prefix) / "node"


def node_modules(*packages: str) -> Path:
    """The folder with these packages in it; skips where node or the registry is not to be had."""
    assert set(packages) <= VERSIONS.keys(), "give each package a version above"
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("node and npm are not installed")
    FOLDER.mkdir(exist_ok=True)
    wanted = [f"{package}@{version}" for package, version in VERSIONS.items()]
    done = FOLDER / "installed.txt"
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side, and half an installation looks like a whole one
        if not done.exists() or done.read_text().split() != wanted:
            _install(wanted)
            done.write_text("\n".join(wanted))
    return FOLDER / "node_modules"


def _install(wanted: list[str]) -> None:
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(FOLDER), *wanted]
    found = subprocess.run(command, capture_output=True, text=True, timeout=100)
    if found.returncode:
        pytest.skip(f"npm install failed: {found.stderr.strip()[-200:]}")
