"""The fleet's memory: absences begin, end and are told apart; our own absence is nobody's."""

from __future__ import annotations

import json
from pathlib import Path

from healthmon.app.fleet import Fleet
from healthmon.app.runnote import RunNote
from healthmon.model.about import About, Cause, Ended

T = 1_000_000.0


def about(started: float, ended: Ended = Ended.KILLED) -> About:
    return About(started, T - 1e6, ended)


def test_a_quick_restart_after_a_kill_is_known_by_the_will_and_its_own_word() -> None:
    fleet = Fleet()
    fleet.spoke("pc-1", T, about(T - 100))
    fleet.said("pc-1", "lost", T + 1)
    assert fleet.spoke("pc-1", T + 9, None) is None, "it has not said how it started"
    found = fleet.spoke("pc-1", T + 10, about(T + 8))
    assert found is not None
    assert (found.cause, found.since, found.until) == (Cause.DIED, T, T + 9)
    assert fleet.past("pc-1") == (found,)


def test_a_stop_and_a_start_are_a_stop() -> None:
    fleet = Fleet()
    fleet.spoke("pc-1", T, about(T - 100))
    fleet.said("pc-1", "stopped", T + 0.1)
    found = fleet.spoke("pc-1", T + 7200, about(T + 7199, Ended.CLEAN))
    assert found is not None
    assert found.cause is Cause.STOPPED


def test_a_silence_that_its_process_ran_through_is_the_network() -> None:
    fleet = Fleet()
    fleet.spoke("pc-1", T, about(T - 100))
    found = fleet.spoke("pc-1", T + 600, about(T - 100))
    assert found is not None
    assert found.cause is Cause.CUT


def test_a_reconnect_is_no_absence() -> None:
    fleet = Fleet()
    fleet.spoke("pc-1", T, about(T - 100))
    fleet.said("pc-1", "lost", T + 1)
    assert fleet.spoke("pc-1", T + 2, about(T - 100)) is None
    assert fleet.past("pc-1") == ()


def test_what_we_did_not_hear_while_we_were_away_is_no_absence() -> None:
    fleet = Fleet({"pc-1": ("up", T)})
    assert fleet.spoke("pc-1", T + 600, about(T - 100), listening_since=T + 590) is None


def test_a_run_note_tells_how_the_last_run_ended(tmp_path: Path) -> None:
    file = tmp_path / "spool.sqlite.run"
    assert RunNote(file).ended is Ended.FIRST
    killed = RunNote(file)
    assert killed.ended is Ended.KILLED
    killed.close()
    assert RunNote(file).ended is Ended.CLEAN
    file.write_text(json.dumps({"boot": "another", "clean": False}))
    assert RunNote(file).ended is Ended.DOWN
    file.write_text("{not json")
    note = RunNote(file)
    assert note.ended is Ended.FIRST
    started, booted = note.times()
    assert booted < started


def test_a_disk_that_takes_no_note_is_no_crash(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    note = RunNote(tmp_path / "file" / "spool.run")
    assert note.ended is Ended.FIRST
    note.close()
