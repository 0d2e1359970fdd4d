"""Blocks that another process packs are the same to the byte, and sealing goes on without it."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthmon.model.sample import Row, Value
from healthmon.store import press, upkeep
from healthmon.store.blocks import Column, pressed
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.press import Press
from healthmon.store.upkeep import Retention

VALUES = st.one_of(st.floats(), st.booleans(), st.text(max_size=5))


def columns_of(runs: list[tuple[list[int], list[list[Value]]]]) -> list[Column]:
    """Columns of one run share their times, as those of one shape do."""
    made: list[Column] = []
    for times, series in runs:
        made += [Column(len(made) + number, times, values[: len(times)]) for number, values in enumerate(series)]
    return made


@settings(max_examples=20)
@given(data=st.data())
def test_a_block_is_the_same_wherever_it_is_packed(data: st.DataObject, one: Press) -> None:
    runs = []
    for _ in range(data.draw(st.integers(1, 3))):
        times = sorted(data.draw(st.sets(st.integers(0, 1 << 52), min_size=1, max_size=8)))
        rows = st.lists(VALUES, min_size=len(times), max_size=len(times))
        runs.append((times, data.draw(st.lists(rows, min_size=1, max_size=3))))
    columns = columns_of(runs)
    assert one.pressed(columns) == pressed(columns)


@pytest.fixture(scope="module")
def one() -> Iterator[Press]:
    with Press() as made:
        yield made


def rows(number: int) -> list[Row]:
    tags = (("target", "pc-1"),)
    return [Row("cpu", tags, (("load", number / 7.0 + at),), 1_700_000_000.0 + at) for at in range(number)]


async def sealed(path: Path, *, number: int) -> bytes:
    """All blocks of a store that sealed so many rows."""
    store = EmbeddedStore(path, retention=Retention())
    await store.write(rows(number))
    await store.expire(1_700_000_000.0 + number)
    await store.close()
    with sqlite3.connect(path) as db:
        return b"".join(body for (body,) in db.execute("SELECT body FROM blocks ORDER BY id"))


async def test_a_seal_in_another_process_gives_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = await sealed(tmp_path / "here.sqlite", number=500)
    monkeypatch.setattr(upkeep, "PRESS_POINTS", 100)
    asked: list[int] = []
    original = Press.pressed
    monkeypatch.setattr(Press, "pressed", lambda self, columns: asked.append(len(columns)) or original(self, columns))
    assert await sealed(tmp_path / "there.sqlite", number=500) == here
    assert asked


@pytest.mark.parametrize("executable", ["/nowhere/python", "/bin/true", "/bin/cat"])
async def test_a_seal_without_that_process_is_done_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executable: str
) -> None:
    """Not there, ends at once, or is something else."""
    here = await sealed(tmp_path / "here.sqlite", number=500)
    monkeypatch.setattr(upkeep, "PRESS_POINTS", 100)
    monkeypatch.setattr(sys, "executable", executable)
    assert await sealed(tmp_path / "there.sqlite", number=500) == here


async def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = await sealed(tmp_path / "here.sqlite", number=500)
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 600\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(upkeep, "PRESS_POINTS", 100)
    monkeypatch.setattr(press, "_BLOCK_S", 0.2)
    monkeypatch.setattr(sys, "executable", str(sleeper))
    assert await sealed(tmp_path / "there.sqlite", number=500) == here
