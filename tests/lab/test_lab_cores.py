"""Two routed cores of real namespaces: one of two down is `at risk` and, after convergence, nothing is lost."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from daemons.cores import build, core_off, core_on, daemons
from daemons.healthmon import api, until
from daemons.netns import Lab, inside, need_lab, new_lab
from daemons.process import need
from daemons.wards import BASE, all_running

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(300)]

#: How long nothing else may come up afterwards.
QUIET_S = 8.0


def get(lab: Lab, path: str) -> Any:
    with inside(lab.full("mon")):
        return api(BASE, path)


def states(lab: Lab) -> set[str]:
    return {line["state"] for line in get(lab, "impact?limit=100")["items"]}


def live(lab: Lab) -> list[dict[str, Any]]:
    return [one for one in get(lab, "incidents?limit=100")["items"] if one["state"] in ("open", "acknowledged")]


def green(lab: Lab) -> bool:
    outcomes = {target["outcome"] for target in get(lab, "targets?limit=100")["items"]}
    up = {agent["state"] for agent in get(lab, "agents?limit=100")["items"]}
    return outcomes == {"ok"} and up == {"up"} and states(lab) == {"ok"} and not live(lab)


def pages(folder: Path) -> list[tuple[str, str]]:
    path = folder / "inbox.jsonl"
    told = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [(page["why"], page["incident_id"]) for page in told]


@pytest.mark.parametrize("core", ["ca", "cb"])
def test_one_of_two_cores_down_is_at_risk_and_nothing_is_lost(tmp_path: Path, core: str) -> None:
    need_lab()
    for binary in ("nginx", "mosquitto"):
        need(binary)
    with new_lab() as lab:
        build(lab)
        with all_running(daemons(lab, tmp_path)):
            until(lambda: green(lab), timeout_s=90, every_s=0.3, what="everything ok")
            core_off(lab, core)
            until(lambda: states(lab) == {"at_risk"}, timeout_s=60, every_s=0.2, what="at risk")
            until(lambda: live(lab), timeout_s=60, every_s=0.2, what="an incident")
            time.sleep(QUIET_S)
            assert states(lab) == {"at_risk"}
            (incident,) = live(lab)
            assert incident["root"]["target"] == f"core-{core[1]}"
            whole = get(lab, f"incidents/{incident['id']}")
            assert {(line["state"], line["paths"]["left"], line["paths"]["of"]) for line in whole["impact"]} == {
                ("at_risk", 1, 2)
            }
            assert not [entry for entry in whole["timeline"] if "not available" in entry["text"]]
            core_on(lab, core)
            until(lambda: green(lab), timeout_s=90, every_s=0.3, what="everything ok again")
            assert {why for why, _ in pages(tmp_path)} <= {"opened", "mitigated"}
            assert len({id_ for _, id_ in pages(tmp_path)}) <= 1
