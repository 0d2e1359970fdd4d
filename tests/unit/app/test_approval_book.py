"""What waits for a second person, in a real journal: found again by the next server, also that people have logins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from healthmon.alerting.journal import Journal
from healthmon.app.approvalbook import ApprovalBook
from healthmon.model.approval import WAITS_S, Waiting, waiting_for
from healthmon.model.journal import Audit
from healthmon.model.mute import Change, Floor, Match, Mute, Silence, When
from healthmon.runtime.clock import ManualClock


@dataclass
class Keeps:
    """The part of a server that the book uses."""

    journal: Journal
    clock: ManualClock

    async def record(self, line: Audit) -> bool:
        return self.journal.append(line.kind, at=line.at, body=line.body, key=line.key)


def book(folder: Path, clock: ManualClock) -> ApprovalBook:
    return ApprovalBook(cast(Any, Keeps(Journal(folder / "journal.sqlite"), clock)))


def asked(draft: Mute, at: float) -> Waiting:
    return waiting_for(draft, id_="a1", by="Dana Example", user="dana", at=at)


WHEN = When(1000.0, 5000.0, None, "Europe/London")
DRAFTS = (
    Silence("", Match(area="ed"), "Net", "Core", WHEN, floor=Floor.TWO_PEOPLE),
    Change("", "Core", ("sw-core",), WHEN, ("down",), "Net", "Core", floor=Floor.TWO_PEOPLE, source="api"),
)


@pytest.mark.parametrize("draft", DRAFTS, ids=["silence", "change"])
async def test_the_next_server_finds_what_waits_to_the_letter(tmp_path: Path, draft: Mute) -> None:
    clock = ManualClock()
    first = book(tmp_path, clock)
    await first.asked(asked(draft, clock.now()))
    assert book(tmp_path, clock).kept() == [asked(draft, clock.now())]
    await first.approved(asked(draft, clock.now()), "Kim Example")
    assert book(tmp_path, clock).kept() == []


async def test_what_waited_too_long_is_not_found(tmp_path: Path) -> None:
    clock = ManualClock()
    await book(tmp_path, clock).asked(asked(DRAFTS[0], clock.now()))
    await clock.advance(WAITS_S + 1.0)
    assert book(tmp_path, clock).kept() == []


async def test_where_people_had_logins_names_on_trust_are_never_enough_again(tmp_path: Path) -> None:
    clock = ManualClock()
    assert not await book(tmp_path, clock).people_sign_in(here=False)
    assert await book(tmp_path, clock).people_sign_in(here=True)
    assert await book(tmp_path, clock).people_sign_in(here=False), "a server that took over without the file of users"
