"""The example hospital with the stock rules: whatever single thing breaks, that thing comes out as the one root."""

from __future__ import annotations

from pathlib import Path

import pytest
from smallsite import Night

from healthmon.config import load
from healthmon.impact.hours import Calendar
from healthmon.model.sample import Reason

SITE = load(Path(__file__).parents[3] / "configs" / "st-elsewhere", env={})
#: One of each kind that something hangs on, and some that nothing does.
BROKEN = ("sw-core-a", "sw-ward7", "sw-lab", "ehr-web", "ehr-db-a", "ap-ward-7-1", "lp-ward-8", "pc-ed-1")


@pytest.mark.parametrize("broken", BROKEN)
def test_the_matching_root_comes_out(broken: str) -> None:
    staffed = Calendar(SITE.estate, SITE.holidays).staffed
    night = Night(SITE.estate, rules=SITE.rules, policies=SITE.policies, staffed=staffed)
    night.run(70, step=1.0)
    assert night.incidents(open_only=False) == []
    night.down[broken] = Reason.TIMEOUT
    night.run(100, step=1.0)
    incident = night.only()
    assert incident.root is not None
    assert incident.root.target == broken
    assert not [one for one in night.incidents(open_only=False) if one.id != incident.id]
