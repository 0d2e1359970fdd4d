"""Silences under kill -9: what was answered is there, what is over stays over, and the ledger says what was real."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.paging import MORNING, estate, incident
from healthmon.alerting.journal import Journal
from healthmon.alerting.mutes.desk import MuteDesk
from healthmon.impact.graph import NeedGraph
from healthmon.model.errors import Conflict
from healthmon.model.incident import Entry, LedgerFilter, LedgerRow
from healthmon.model.journal import Changes
from healthmon.model.mute import Match, MuteCommand, MuteSettings, MuteState, Silence, When


def desk(journal: Journal) -> MuteDesk:
    made = MuteDesk(NeedGraph(estate()), MuteSettings())
    made.restore(journal.restore().mutes)
    return made


def draft(number: int, minutes: float = 60.0) -> Silence:
    when = When(MORNING, MORNING + 60 * minutes, None, "Europe/London")
    return Silence(f"sil-{number}", Match(target="sw-ward7"), "network", f"number {number}", when)


def step(journal: Journal, made: MuteDesk, number: int) -> None:
    """Make one silence and end every second one, each in a commit of its own, as the server does."""
    made.act(MuteCommand("add", "Duty engineer", draft=draft(number)), MORNING + number)
    journal.commit(Changes(at=MORNING + number, mutes=made.drain()[0]))
    if number % 2:
        made.act(MuteCommand("end", "Duty engineer", f"sil-{number}"), MORNING + number)
        journal.commit(Changes(at=MORNING + number, mutes=made.drain()[0]))


CHILD = """
import sys
sys.path[:0] = [{tests!r}, {faults!r}]
from test_mute_crash import desk, step
from healthmon.alerting.journal import Journal
journal = Journal({path!r})
made = desk(journal)
for number in range({start}, 3000):
    step(journal, made, number)
    print(number, flush=True)
"""


@pytest.mark.slow
def test_kill_9_keeps_every_silence_that_was_answered_and_brings_none_back(tmp_path: Path) -> None:
    path, faults = tmp_path / "journal.sqlite", Path(__file__).parent
    start = 0
    unanswered: set[int] = set()  # killed between the two commits of a step: made, and not ended
    for after in (3, 11):
        code = CHILD.format(tests=str(faults.parent), faults=str(faults), path=str(path), start=start)
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout is not None
        reported = start
        for line in child.stdout:
            reported = int(line) + 1
            if reported >= start + after:
                child.send_signal(signal.SIGKILL)
                break
        reported = max([reported, *(int(line) + 1 for line in child.stdout)])
        child.wait()
        journal = Journal(path)
        found = {one.mute.id: one.state for one in desk(journal).standings(MORNING + 60.0)}
        for number in set(range(reported)) - unanswered:
            assert found[f"sil-{number}"] is (MuteState.ENDED if number % 2 else MuteState.ACTIVE)
        start = len(found)
        assert reported <= start <= reported + 1
        unanswered.update(range(reported, start))
        journal.close()


def test_an_id_is_used_for_ever_and_an_end_is_final(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    made = desk(journal)
    step(journal, made, 1)
    with pytest.raises(Conflict, match="never comes back"):
        made.act(MuteCommand("extend", "x", "sil-1", ends_at=MORNING + 9_000), MORNING + 5)
    journal.commit(Changes(at=MORNING + 5, mutes=made.drain()[0]))
    again = desk(journal)
    with pytest.raises(Conflict, match="used before"):
        again.act(MuteCommand("add", "x", draft=draft(1)), MORNING + 6)
    assert [event.action for event in journal.mute_events("sil-1")] == ["add", "end", "refused"]
    assert not list(journal.mute_events("sil"))
    journal.close()


def test_an_expired_silence_stays_over_when_the_clock_was_put_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    made = desk(journal)
    made.act(MuteCommand("add", "x", draft=draft(0, minutes=1)), MORNING)
    made.pass_time(MORNING + 61)
    journal.commit(Changes(at=MORNING + 61, mutes=made.drain()[0]))
    again = desk(journal)
    assert again.standings(MORNING + 10)[0].state is MuteState.EXPIRED
    assert again.held_until(again.mutes["sil-0"], MORNING + 10) is None
    journal.close()


def test_the_ledger_is_filtered_and_says_what_was_real(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")

    def row(number: int, cause: str, of: str = "inc-1", mute: str = "") -> LedgerRow:
        return LedgerRow(MORNING + number, of, f"k{number}", "pager", cause, "because", mute=mute)

    rows = (row(0, "silenced", mute="sil-1"), row(1, "same_incident"), row(2, "silenced", "inc-2"), row(9, "expected"))
    taken = Entry(MORNING + 5, "ack", "Acknowledged", "Duty engineer")
    journal.commit(Changes(at=MORNING, ledger=rows, incidents=(incident(timeline=(taken,)),)))
    journal.commit(Changes(at=MORNING, incidents=(replace(incident(timeline=(taken,)), severity=1),)))

    def keys(**wanted: object) -> list[str]:
        return [found.key for found in journal.ledger(10, None, LedgerFilter(**wanted))]  # type: ignore[arg-type]

    assert keys() == ["k9", "k2", "k1", "k0"]
    assert keys(real=True) == ["k0"]
    assert keys(real=False) == ["k9", "k2", "k1"]
    assert keys(cause="silenced") == ["k2", "k0"]
    assert (keys(about="k1"), keys(about="1")) == (["k1"], [])
    assert keys(mute="sil-1", who="pager", incident="inc-1", since=MORNING, until=MORNING + 1) == ["k0"]
    (real,) = journal.ledger(1, None, LedgerFilter(real=True))
    assert (real.real_at, real.real_how) == (MORNING + 5, "ack by Duty engineer")
    assert len(journal.ledger(2, MORNING + 9)) == 2
    journal.close()
