"""Every form of every file that was ever written is here, is opened, and is copied before it is changed."""

from __future__ import annotations

import gzip
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from healthmon.alerting.journal import Journal
from healthmon.alerting.journal_schema import MIGRATIONS as JOURNAL
from healthmon.model.errors import FileFromNewerVersion
from healthmon.model.incident import NoticeResult
from healthmon.runtime.clock import ManualClock
from healthmon.runtime.sqlite import Migration, check_database, open_database
from healthmon.store.filing import MIGRATIONS as STORE
from healthmon.transport import codec
from healthmon.transport.shelf import MIGRATIONS as SPOOL
from healthmon.transport.spool import Spool

FOLDER = Path(__file__).parent
KNOWN: dict[str, Sequence[Migration]] = {"journal": JOURNAL, "store": STORE, "spool": SPOOL}
FILES = sorted(path.name for path in FOLDER.glob("*.sqlite.gz"))


def form(name: str) -> tuple[str, int]:
    found = re.fullmatch(r"([a-z]+)-v(\d+)\.sqlite\.gz", name)
    assert found, name
    return found[1], int(found[2])


def unpacked(name: str, folder: Path) -> Path:
    path = folder / f"{form(name)[0]}.sqlite"
    path.write_bytes(gzip.decompress((FOLDER / name).read_bytes()))
    return path


def test_no_form_is_missing() -> None:
    """Whoever adds a migration adds a file of the new form with it."""
    assert {form(name) for name in FILES} == {
        (kind, version) for kind, every in KNOWN.items() for version in range(1, len(every) + 1)
    }


@pytest.mark.parametrize("name", FILES)
def test_each_is_opened_and_an_older_one_copied_first(tmp_path: Path, name: str) -> None:
    (kind, version), path = form(name), unpacked(name, tmp_path)
    newest = len(KNOWN[kind])
    with closing(open_database(path, KNOWN[kind])) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (newest,)
        assert check_database(db) == "ok"
    copies = [one.name for one in tmp_path.glob("*.sqlite.v*")]
    assert copies == ([f"{kind}.sqlite.v{version}"] if version < newest else [])
    for copy in copies:
        with closing(sqlite3.connect(tmp_path / copy)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (version,)


@pytest.mark.parametrize("name", FILES)
def test_each_from_the_future_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    kind, path = form(name)[0], unpacked(name, tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={len(KNOWN[kind]) + 1}")
    before = path.read_bytes()
    with pytest.raises(FileFromNewerVersion, match="is newer than this program's"):
        open_database(path, KNOWN[kind])
    assert path.read_bytes() == before


async def test_a_spool_of_version_2_keeps_the_clock_of_each_batch_and_what_it_gave_up(tmp_path: Path) -> None:
    path = unpacked("spool-v2.sqlite.gz", tmp_path)
    spool = Spool(path, agent="pc-1", max_bytes=1 << 20, clock=ManualClock())
    stored = await spool.stored(10)
    assert [batch.seq for batch in stored] == [8, 7, 6, 5, 4]
    assert [batch.clock for batch in stored] == [1007.0, 1006.0, 1005.0, 1004.0, 1003.0]
    assert spool.dropped(spool.epoch) == ((1, 3),)
    assert spool.stats().dropped_readings == 3
    await spool.close()


async def test_what_a_spool_of_version_1_holds_goes_out_without_a_clock_and_is_understood(tmp_path: Path) -> None:
    spool = Spool(unpacked("spool-v1.sqlite.gz", tmp_path), agent="pc-1", max_bytes=1 << 20, clock=ManualClock())
    (batch, *_) = await spool.stored(1)
    payload = codec.envelop(
        batch.body, agent="pc-1", epoch=batch.epoch, seq=batch.seq, sent=1.0, mono=1.0, live=False, dropped=(),
        clock=batch.clock,
    )  # fmt: skip
    assert b"clock" not in payload
    assert codec.decode(payload).clock is None
    await spool.close()


def test_a_journal_of_version_2_goes_on_with_its_incident(tmp_path: Path) -> None:
    journal = Journal(unpacked("journal-v2.sqlite.gz", tmp_path))
    restored = journal.restore()
    ((id_, incident),) = restored.incidents.items()
    assert (id_, incident.open, incident.root and incident.root.target) == ("inc-931fcc2b59", True, "srv-ed")
    assert [notice.result for notice in journal.notices(id_)] == [NoticeResult.SENT]
    assert (journal.unreadable, len(restored.memory), len(restored.epochs)) == (0, 1, 1)
    journal.close()
