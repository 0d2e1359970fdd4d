"""Three routed wards of real agents, a real snmpd on each switch, the record on nginx, mosquitto: links are cut."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.healthmon import api, until
from daemons.netns import Lab, inside, need_lab, new_lab
from daemons.process import Daemon, need
from daemons.wards import BASE, all_running, build, devices, healthmon, record, write_site

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(300)]

#: The aim for what a rule confirms at 2 s intervals.
RAISED_WITHIN_S = 10.0
#: How long after an incident nothing more may be raised.
QUIET_S = 6.0


class Running:
    """The lab while it runs: API calls from inside the monitor's namespace."""

    def __init__(self, lab: Lab, nginx: Daemon, folder: Path) -> None:
        self.lab = lab
        self.nginx = nginx
        self.folder = folder

    def get(self, path: str) -> Any:
        with inside(self.lab.full("mon")):
            return api(BASE, path)

    def incidents(self) -> dict[str, dict[str, Any]]:
        return {incident["id"]: incident for incident in self.get("incidents?limit=500")["items"]}

    def live(self) -> dict[str, dict[str, Any]]:
        """Incidents whose members still fail."""
        return {id_: one for id_, one in self.incidents().items() if one["state"] in ("open", "acknowledged")}

    def pages(self) -> list[dict[str, Any]]:
        path = self.folder / "inbox.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def amiss(self) -> list[str]:
        """What is not green."""
        targets = self.get("targets?limit=500")["items"]
        agents = self.get("agents?limit=500")["items"]
        return [f"{t['id']} {t['outcome']} {t['reason']}" for t in targets if t["outcome"] != "ok"] + [
            f"agent {a['agent']} {a['state']}" for a in agents if a["state"] != "up"
        ]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    need_lab()
    for binary in ("snmpd", "nginx", "mosquitto"):
        need(binary)
    folder = tmp_path_factory.mktemp("lab")
    with new_lab() as lab:
        build(lab)
        nginx = record(lab, folder)
        with (
            all_running([nginx]),
            all_running(devices(lab, folder)),
            all_running(healthmon(lab, write_site(folder))),
        ):
            running = Running(lab, nginx, folder)
            all_green(running, timeout_s=60)
            yield running


@pytest.fixture(autouse=True)
def green(hospital: Running) -> None:
    """Every test begins with everything working."""
    all_green(hospital, timeout_s=60)


def all_green(hospital: Running, *, timeout_s: float) -> None:
    try:
        until(lambda: not hospital.amiss(), timeout_s=timeout_s, every_s=0.3)
    except AssertionError:
        raise AssertionError(f"not green: {hospital.amiss()}") from None


class Fault:
    """What one fault made of a hospital in which everything worked; begin it, then break something."""

    def __init__(self, hospital: Running, what: str) -> None:
        self.hospital = hospital
        self.what = what
        self.known = set(hospital.incidents())
        self.told = len(hospital.pages())
        assert not hospital.live()

    def pages(self) -> list[tuple[str, str]]:
        """(why, incident) of what was told since."""
        return [(page["why"], page["incident_id"]) for page in self.hospital.pages()[self.told :]]

    def raised(self) -> dict[str, Any]:
        """The only incident, new or opened again; another one within some seconds more is a failure."""
        began = time.monotonic()
        until(self.hospital.live, timeout_s=60, every_s=0.05, what="an incident")
        took_s = time.monotonic() - began
        print(f"{self.what}: raised after {took_s:.1f} s")
        time.sleep(QUIET_S)
        live = list(self.hospital.live().values())
        assert len(live) == 1, [(i["title"], i["root"]) for i in live]
        assert set(self.hospital.incidents()) <= self.known | {live[0]["id"]}
        assert self.pages() == [("opened", live[0]["id"])]
        assert took_s <= RAISED_WITHIN_S
        return live[0]

    def recovers(self, incident: str) -> None:
        """Mitigated, all members cleared, one recovery page and that not too early; nothing else was raised."""
        began = time.monotonic()
        assert self.pages() == [("opened", incident)], "told too early of a recovery, or of something else"
        until(lambda: not self.hospital.live(), timeout_s=90, what="mitigated")
        print(f"{self.what}: mitigated after {time.monotonic() - began:.1f} s")
        all_green(self.hospital, timeout_s=60)
        time.sleep(1.0)
        found = self.hospital.incidents()
        assert found[incident]["state"] == "mitigated"
        assert set(found) <= self.known | {incident}
        assert self.pages() == [("opened", incident), ("mitigated", incident)]
        told = self.hospital.pages()[-1]["incident"]
        assert all(member["cleared_at"] for member in told["members"])


def states(incident: dict[str, Any]) -> dict[str, str]:
    return {line["area"]: line["state"] for line in incident["impact"] if line["service"] == "ehr"}


def cut(lab: Lab, leaf: str, how: str) -> None:
    """The uplink of `leaf`: a cable that is pulled there, a core that swallows every packet, its own packet filter."""
    if how == "cable":
        lab.cut(leaf, "core")
    elif how == "filter":
        lab.gag(leaf)
    else:
        lab.swallow("core", leaf)


def mend(lab: Lab, leaf: str, how: str) -> None:
    if how == "cable":
        lab.mend(leaf, "core")
    elif how == "filter":
        lab.ungag(leaf)
    else:
        lab.spit_out("core")


@pytest.mark.parametrize(("ward", "how"), [(2, "cable"), (3, "silently")])
def test_a_ward_uplink_down_is_one_incident_of_that_ward(hospital: Running, ward: int, how: str) -> None:
    fault = Fault(hospital, f"ward uplink ({how})")
    cut(hospital.lab, f"w{ward}", how)
    incident = fault.raised()
    mend(hospital.lab, f"w{ward}", how)
    assert incident["kind"] == "incident"
    assert incident["root"]["target"] == f"sw-ward{ward}"
    assert states(incident) == {f"ward-{ward}": "lost"}
    fault.recovers(incident["id"])


def test_the_record_down_is_seen_as_the_record_for_all_wards(hospital: Running) -> None:
    fault = Fault(hospital, "record")
    hospital.nginx.stop()
    incident = fault.raised()
    hospital.nginx.start()
    assert incident["kind"] == "incident"
    assert incident["root"]["target"] == "ehr-web"
    assert states(incident) == {"ward-1": "lost", "ward-2": "lost", "ward-3": "lost"}
    fault.recovers(incident["id"])


@pytest.mark.parametrize("how", ["cable", "silently", "filter"])
def test_the_monitor_cut_off_is_one_blind_incident(hospital: Running, how: str) -> None:
    fault = Fault(hospital, f"monitor cut off ({how})")
    cut(hospital.lab, "mon", how)
    incident = fault.raised()
    impact = hospital.get("impact")["items"]
    mend(hospital.lab, "mon", how)
    assert incident["kind"] == "blind"
    assert set(states(incident).values()) <= {"unknown"}
    assert {line["state"] for line in impact if line["service"] == "ehr"} == {"unknown"}
    fault.recovers(incident["id"])
