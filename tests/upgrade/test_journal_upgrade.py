"""A journal and a spool that version 1 wrote: a server goes on with them, and one from the future is refused in words.

`journal-v1.sqlite.gz` is of a real server of that time (`daemons.onesite`), stopped with one incident that was paged
and noted; `spool-v1.sqlite.gz` holds five batches of agent pc-1.
"""

from __future__ import annotations

import gzip
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from daemons.healthmon import until
from daemons.onesite import OneSite
from healthmon.alerting.journal import Journal
from healthmon.alerting.journal_schema import MIGRATIONS
from healthmon.model.errors import FileFromNewerVersion
from healthmon.model.incident import NoticeResult
from healthmon.runtime.clock import ManualClock
from healthmon.transport import codec
from healthmon.transport.spool import Spool

FOLDER = Path(__file__).parent
INCIDENT = "inc-98d4ad0853"
EPOCH = "c11eef2c7ec75844"


def unpacked(name: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.decompress((FOLDER / name).read_bytes()))
    return path


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_version_1_is_moved_forward_after_a_copy(tmp_path: Path) -> None:
    path = unpacked("journal-v1.sqlite.gz", tmp_path / "journal.sqlite")
    journal = Journal(path)
    restored = journal.restore()
    (incident,) = restored.incidents.values()
    assert (incident.id, incident.open, incident.root.target) == (INCIDENT, True, "srv-ed")
    assert "on my way" in [entry.text for entry in incident.timeline]
    assert [notice.result for notice in journal.notices(INCIDENT)] == [NoticeResult.SENT]
    assert restored.readings
    assert restored.memory == {}
    assert journal.unreadable == 0
    assert journal.check() == "ok"
    journal.close()
    assert (version(path), version(tmp_path / "journal.sqlite.v1")) == (len(MIGRATIONS), 1)


@pytest.mark.wire
def test_a_server_goes_on_where_version_1_stopped(tmp_path: Path) -> None:
    site = OneSite(tmp_path / "site")
    unpacked("journal-v1.sqlite.gz", site.data / "journal.sqlite")
    site.services["icu"].up()
    try:
        site.daemon.start()
        assert [one["id"] for one in site.incidents("open")] == [INCIDENT]
        site.services["ed"].up()
        until(lambda: site.incidents("mitigated"), timeout_s=60, what="the incident of version 1 is over")
        until(site.pages, timeout_s=60, what="a page")
        assert {(page["incident_id"], page["why"]) for page in site.pages()} == {(INCIDENT, "mitigated")}
    finally:
        site.daemon.stop()
        for service in site.services.values():
            service.down()


async def test_a_spool_of_version_1_keeps_its_epoch_and_batches(tmp_path: Path) -> None:
    spool = Spool(
        unpacked("spool-v1.sqlite.gz", tmp_path / "spool.sqlite"), agent="pc-1", max_bytes=1 << 20, clock=ManualClock()
    )
    stored = await spool.stored(10)
    assert spool.epoch == EPOCH
    assert [batch.seq for batch in stored] == [5, 4, 3, 2, 1]
    values = [codec.decode_readings(batch.body)[0].samples[0].value for batch in stored]
    assert values == [n / 8 for n in (4, 3, 2, 1, 0)]
    assert await spool.append(codec.decode_readings(stored[0].body)) == 6
    await spool.close()


def test_files_from_the_future_are_refused_by_name(tmp_path: Path) -> None:
    site = OneSite(tmp_path / "site", role_name="server")
    path = unpacked("journal-v1.sqlite.gz", site.data / "journal.sqlite")
    spool = unpacked("spool-v1.sqlite.gz", tmp_path / "spool.sqlite")
    for one in (path, spool):
        with closing(sqlite3.connect(one)) as db:
            db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    argv = [sys.executable, "-m", "healthmon", "server", "-c", str(site.config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stderr
    assert "journal.sqlite: schema version 99 is newer" in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before
    with pytest.raises(FileFromNewerVersion, match="schema version 99"):
        Spool(spool, agent="pc-1", max_bytes=1 << 20, clock=ManualClock())
