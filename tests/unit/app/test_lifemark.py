"""What an agent says of its own life."""

from __future__ import annotations

import pytest

from healthmon.app.lifemark import FIELDS, LifeMark
from healthmon.model.about import Ended


@pytest.mark.parametrize(("ended", "clean"), [(Ended.CLEAN, 1.0), (Ended.KILLED, 0.0), (Ended.DOWN, 0.0)])
def test_how_long_it_and_its_host_run_and_how_the_last_run_ended(ended: Ended, clean: float) -> None:
    up = iter([1_000.0, 1_060.0])
    mark = LifeMark(ended, up=lambda: next(up), asleep=lambda: 200.0)
    assert mark.values() == {
        "host_uptime_seconds": 1_060.0, "running_seconds": 60.0, "asleep_seconds_total": 200.0,
        "last_stop_clean": clean,
    }  # fmt: skip


def test_what_is_not_known_is_left_out() -> None:
    assert LifeMark(Ended.FIRST, up=lambda: None, asleep=lambda: None).values() == {}


def test_this_machine_says_how_long_it_runs_and_slept() -> None:
    values = LifeMark(Ended.CLEAN).values()
    assert set(values) <= FIELDS
    assert 0 <= values["asleep_seconds_total"] < values["host_uptime_seconds"]
