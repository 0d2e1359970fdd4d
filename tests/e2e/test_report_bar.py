"""`healthmon report` on a terminal shows how far it is, and in a pipe it keeps quiet."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from daemons.month import SITE, journal, pc_rows, rows, site
from healthmon.store.embedded import EmbeddedStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "healthmon.yaml").write_text(SITE)
    asyncio.run(fill(tmp_path))
    return tmp_path


async def fill(folder: Path) -> None:
    hospital = site(folder)
    store = EmbeddedStore(folder / "store.sqlite")
    await store.write([*rows(hospital, 0.1), *pc_rows(hospital)])
    await store.close()
    journal(folder / "journal.sqlite").close()


def report(folder: Path, stderr: int) -> subprocess.Popen[bytes]:
    argv = [
        sys.executable,
        "-m",
        "healthmon",
        "report",
        "-c",
        "healthmon.yaml",
        "--month",
        "2025-10",
        "-o",
        "page.html",
    ]
    environment = os.environ | {"HEALTHMON_DATA_DIR": str(folder)}
    return subprocess.Popen(
        [*argv, "-o", "page.html"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=stderr
    )


def test_a_terminal_sees_each_part_fill_and_a_pipe_sees_nothing(folder: Path) -> None:
    main, other = pty.openpty()
    process = report(folder, other)
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # the other side was closed: Linux says so by an error
            break
        if not part:
            break
        shown += part
    os.close(main)
    process.communicate(timeout=120)
    assert process.returncode == 0, shown
    for what in ("availability", "PCs", "responses"):
        assert f"{what} [{'#' * 30}] 100%".encode() in shown, shown
    assert b"availability [#" in shown.split(b"100%")[0]
    first = (folder / "page.html").read_bytes()

    quiet = report(folder, subprocess.PIPE)
    _, errors = quiet.communicate(timeout=120)
    assert (quiet.returncode, errors) == (0, b"")
    assert (folder / "page.html").read_bytes() == first, "the same month gives the same bytes"
