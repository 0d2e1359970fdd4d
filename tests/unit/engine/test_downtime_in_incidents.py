"""An incident names the nearest downtime PC that was seen ready, and none that was not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from smallsite import Night, check, hospital, target

from healthmon.model.sample import Reason
from healthmon.model.topology import Estate


def equipped() -> Estate:
    """Wards 7 and 8 have a downtime PC with a UPS and a printer; ward 9 has none."""
    estate = hospital()
    targets, areas = dict(estate.targets), dict(estate.areas)
    for ward in ("7", "8"):
        pc, ups = f"pc-w{ward}-1", f"ups-{ward}"
        labels: dict[str, str] = {"ups": ups, "printer": f"prn-w{ward}"}
        targets[pc] = replace(targets[pc], labels=labels, checks=(check("tcp"),))
        targets[ups] = target(ups, "ups", checks=(check("snmp"),))
        areas[f"ward-{ward}"] = replace(areas[f"ward-{ward}"], downtime_pc=pc)
    return replace(estate, targets=targets, areas=areas)


@pytest.fixture
def night() -> Night:
    return Night(equipped()).run(40)


def said(night: Night, down: dict[str, Reason]) -> str:
    night.down.update(down)
    night.run(60)
    return next(one.plain_text for one in night.incidents() if one.impact)


def test_the_ward_next_door_is_named_when_its_own_is_cut_off(night: Night) -> None:
    text = said(night, {"sw-w7": Reason.TIMEOUT})
    assert "Nearest ready downtime PC for WARD-7 (ward with 28 beds): pc-w8-1 in WARD-8" in text
    assert "pc-w7-1" not in text


def test_its_own_is_named_when_only_the_record_is_lost(night: Night) -> None:
    text = said(night, {"ehr-web": Reason.REFUSED})
    assert ": pc-w7-1 in WARD-7" in text
    assert ": pc-w8-1 in WARD-8" in text


@pytest.mark.parametrize("broken", ["ups-8", "prn-w8", "pc-w8-1"])
def test_one_that_lacks_something_is_not_named(night: Night, broken: str) -> None:
    night.down[broken] = Reason.TIMEOUT
    night.run(20)
    text = said(night, {"sw-w7": Reason.TIMEOUT})
    assert "downtime PC" not in text


def test_what_was_never_seen_is_not_ready() -> None:
    estate: Any = equipped()
    blank = replace(estate.targets["pc-w8-1"], labels={"printer": "prn-w8"})  # nobody sees its power
    text = said(Night(replace(estate, targets={**estate.targets, "pc-w8-1": blank})).run(40), {"sw-w7": Reason.TIMEOUT})
    assert "downtime PC" not in text
