"""Three routed wards of real agents, a real snmpd on each switch, the record on nginx, mosquitto: links are cut."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.healthmon import answers, api, role, until
from daemons.netns import Lab, inside, need_lab
from daemons.process import Daemon, need

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

WARDS = (1, 2, 3)
PCS = (1, 2, 3, 4)
EVERY = "2s"
BASE = "http://127.0.0.1:8470"


def site(folder: Path) -> dict[str, Any]:
    """The lab as a hospital would write it down."""
    targets: list[dict[str, Any]] = [
        {"id": "mon", "name": "Monitor", "kind": "server", "address": "10.76.0.2", "area": "dc", "needs": ["sw-core"]},
        {"id": "sw-core", "kind": "switch", "address": "10.76.0.1", "area": "dc", "team": "network", "checks": switch()},
        {"id": "ehr-web", "kind": "endpoint", "address": "http://10.75.0.2", "area": "dc", "needs": ["sw-core"],
         "team": "apps", "checks": [{"id": "up", "kind": "http", "path": "/", "every": EVERY, "timeout": "1s",
                                     "from": ["poller", "agents"]}]},
    ]  # fmt: skip
    agents: list[dict[str, Any]] = [{"id": "poller", "target": "mon"}]
    areas: list[dict[str, Any]] = [{"id": "dc", "name": "Data centre", "kind": "datacentre", "acuity": "none"}]
    for ward in WARDS:
        switch_id = f"sw-ward{ward}"
        areas.append(
            {"id": f"ward-{ward}", "name": f"Ward {ward}", "kind": "ward", "acuity": "inpatient", "beds": 28,
             "needs": [switch_id]}
        )  # fmt: skip
        targets.append(
            {"id": switch_id, "kind": "switch", "address": f"10.77.{ward}.1", "area": f"ward-{ward}",
             "needs": ["sw-core"], "team": "network", "checks": switch()}
        )  # fmt: skip
        for pc in PCS:
            name = f"pc-w{ward}-{pc}"
            targets.append(
                {"id": name, "kind": "ward-workstation", "address": f"10.77.{ward}.1{pc}", "area": f"ward-{ward}",
                 "needs": [switch_id], "checks": [{"kind": "icmp", "every": EVERY, "timeout": "1s", "packets": 2}]}
            )  # fmt: skip
            agents.append({"id": name, "target": name, "roles": ["ward-workstation"]})
    return {
        "organisation": {"id": "lab", "name": "Lab", "timezone": "Europe/London"},
        "sites": [{"id": "main", "name": "Main"}],
        "areas": areas,
        "services": [
            {"id": "ehr", "name": "Patient record", "tier": 1, "used_in": ["ward-1", "ward-2", "ward-3"],
             "needs": ["ehr-web"], "team": "apps"}
        ],
        "targets": targets,
        "teams": {"network": {"phone": "2200"}, "apps": {"phone": "2201"}},
        "agents": agents,
        "broker": {"url": "mqtt://10.76.0.2:1883"},
        "data_dir": str(folder / "data"),
        "alerting": {"mode": "live"},
        "notify": {"channels": {"inbox": {"kind": "inbox", "path": str(folder / "inbox.jsonl")}}},
        "oncall": {"policies": [{"id": "lab", "severities": [1, 2, 3], "steps": [{"after": "0s", "channels": ["inbox"]}]}]},
    }  # fmt: skip


def switch() -> list[dict[str, Any]]:
    return [
        {"kind": "icmp", "every": EVERY, "timeout": "1s", "packets": 2},
        {"kind": "snmp", "pack": "if-mib", "community": "lab", "every": EVERY, "timeout": "1s"},
    ]


def build(lab: Lab) -> None:
    """core in the middle; mon, srv and each ward hang on it; PCs hang on their ward's switch."""
    lab.router("core")
    lab.add("mon")
    lab.link("core", "mon", one_address="10.76.0.1/24", other_address="10.76.0.2/24")
    lab.add("srv")
    lab.link("core", "srv", one_address="10.75.0.1/24", other_address="10.75.0.2/24")
    for ward in WARDS:
        name = f"w{ward}"
        lab.router(name)
        lab.link("core", name, one_address=f"10.78.{ward}.1/30", other_address=f"10.78.{ward}.2/30")
        lab.route("core", f"10.77.{ward}.0/24", f"10.78.{ward}.2")
        full = lab.full(name)
        lab.run(name, "ip", "link", "add", "br0", "type", "bridge")
        lab.run(name, "ip", "addr", "add", f"10.77.{ward}.1/24", "dev", "br0")
        lab.run(name, "ip", "link", "set", "br0", "up")
        for pc in PCS:
            host = f"p{ward}{pc}"
            lab.add(host)
            lab.link(name, host, one_address="0.0.0.0/32", other_address=f"10.77.{ward}.1{pc}/24", gateway=False)
            lab.run(name, "ip", "addr", "flush", "dev", host)
            lab.run(name, "ip", "link", "set", host, "master", "br0")
            lab.run(host, "ip", "route", "add", "default", "via", f"10.77.{ward}.1")
        assert full in lab.names


class Running:
    """The lab while it runs: API calls from inside the monitor's namespace."""

    def __init__(self, lab: Lab, nginx: Daemon, folder: Path) -> None:
        self.lab = lab
        self.nginx = nginx
        self.folder = folder

    def get(self, path: str) -> Any:
        with inside(self.lab.full("mon")):
            return api(BASE, path)

    def live(self) -> list[dict[str, Any]]:
        """Incidents that are neither mitigated nor resolved."""
        return [i for i in self.get("incidents")["items"] if i["state"] in ("open", "acknowledged")]

    def ids(self) -> set[str]:
        return {i["id"] for i in self.get("incidents")["items"]}

    def pages(self) -> list[dict[str, Any]]:
        import json

        path = self.folder / "inbox.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    need_lab()
    for binary in ("snmpd", "nginx", "mosquitto"):
        need(binary)
    folder = tmp_path_factory.mktemp("lab")
    lab = Lab(f"hm{os.getpid() % 10000}-")
    with ExitStack() as stack:
        stack.callback(lab.tear_down)
        build(lab)
        daemons = start_daemons(lab, folder)
        for daemon in daemons:
            daemon.start()
            stack.callback(daemon.stop)
        for daemon in start_healthmon(lab, folder):
            daemon.start()
            stack.callback(daemon.stop)
        running = Running(lab, daemons[0], folder)
        until(lambda: all_green(running), timeout_s=60, what="everything green")
        yield running


def all_green(running: Running) -> bool:
    targets = running.get("targets?limit=200")["items"]
    agents = running.get("agents?limit=200")["items"]
    watched = [t for t in targets if t["checks"]]
    return all(t["outcome"] == "ok" for t in watched) and all(a["state"] == "up" for a in agents)


def start_daemons(lab: Lab, folder: Path) -> list[Daemon]:
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.err; worker_processes 1;\n"
        "events { worker_connections 256; }\n"
        f"http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};"
        f" uwsgi_temp_path {folder}; scgi_temp_path {folder};"
        " server { listen 10.75.0.2:80; location / { return 200 'ok'; } } }\n"
    )
    found = [Daemon(lab.argv("srv", need("nginx"), "-c", str(conf)), ready=lambda: True, log=folder / "nginx.log")]
    broker = folder / "mosquitto.conf"
    broker.write_text("listener 1883 10.76.0.2\nallow_anonymous true\nuser root\n")
    found.append(
        Daemon(lab.argv("mon", need("mosquitto"), "-c", str(broker)), ready=lambda: True, log=folder / "mosquitto.log")
    )
    for name, address in (("core", "10.76.0.1"), *((f"w{w}", f"10.77.{w}.1") for w in WARDS)):
        snmpd = folder / f"snmpd-{name}.conf"
        snmpd.write_text("rocommunity lab\n")
        argv = [need("snmpd"), "-f", "-C", "-c", str(snmpd), "-Lf", str(folder / f"snmpd-{name}.txt")]
        argv += ["-p", str(folder / f"snmpd-{name}.pid"), f"udp:{address}:161"]
        found.append(Daemon(lab.argv(name, *argv), ready=lambda: True, log=folder / f"snmpd-{name}.log"))
    return found


def start_healthmon(lab: Lab, folder: Path) -> list[Daemon]:
    config = folder / "healthmon.yaml"
    config.write_text(yaml.safe_dump(site(folder)))

    def server_ready() -> bool:
        with inside(lab.full("mon")):
            return answers(BASE)()

    mon = lab.argv("mon")
    found = [role("server", "-c", str(config), log=folder / "server.log", ready=server_ready, inside=mon)]
    found.append(role("poller", "-c", str(config), log=folder / "poller.log", ready=lambda: True, inside=mon))
    for ward in WARDS:
        for pc in PCS:
            name = f"pc-w{ward}-{pc}"
            plan = folder / f"{name}.json"
            resolve = role("check", "-c", str(config), "--resolve", name, "-o", str(plan), log=folder / "check.log",
                           ready=plan.exists)  # fmt: skip
            resolve.start()
            resolve.stop()
            where = lab.argv(f"p{ward}{pc}")
            found.append(role("agent", "-c", str(plan), log=folder / f"{name}.log", ready=lambda: True, inside=where))
    return found


def one_incident(hospital: Running, before: set[str], *, timeout_s: float) -> dict[str, Any]:
    """The only new incident; a second one within some seconds more is a failure."""
    began = time.monotonic()
    until(lambda: {i["id"] for i in hospital.live()} - before, timeout_s=timeout_s, what="an incident")
    print(f"raised after {time.monotonic() - began:.1f} s")
    time.sleep(8.0)
    new = [i for i in hospital.live() if i["id"] not in before]
    assert len(new) == 1, [(i["title"], i["root"]) for i in new]
    assert hospital.ids() - before == {new[0]["id"]}
    return dict(new[0])


def recovers(hospital: Running, incident: str) -> None:
    """Mitigated, all members cleared, one recovery page."""
    found = until(
        lambda: next(
            (i for i in hospital.get("incidents")["items"] if i["id"] == incident and i["mitigated_at"]), None
        ),
        timeout_s=60,
        what="mitigated",
    )
    assert all(member["cleared_at"] for member in found["members"])
    time.sleep(3.0)
    told = [page for page in hospital.pages() if page["incident"]["id"] == incident]
    assert [page["why"] for page in told].count("mitigated") == 1
    assert until(lambda: all_green(hospital), timeout_s=30, what="green again")


def states(incident: dict[str, Any]) -> dict[str, str]:
    return {line["area"]: line["state"] for line in incident["impact"] if line["service"] == "ehr"}


def test_a_ward_uplink_down_is_one_incident_of_that_ward(hospital: Running) -> None:
    before = hospital.ids()
    hospital.lab.cut("core", "w2")
    incident = one_incident(hospital, before, timeout_s=30)
    assert incident["root"]["target"] == "sw-ward2"
    assert states(incident) == {"ward-2": "lost"}
    hospital.lab.mend("core", "w2")
    hospital.lab.run("core", "ip", "route", "replace", "10.77.2.0/24", "via", "10.78.2.2")
    hospital.lab.run("w2", "ip", "route", "replace", "default", "via", "10.78.2.1")
    recovers(hospital, incident["id"])


def test_the_record_down_is_seen_as_the_record_for_all_wards(hospital: Running) -> None:
    before = hospital.ids()
    hospital.nginx.stop()
    incident = one_incident(hospital, before, timeout_s=30)
    assert incident["root"]["target"] == "ehr-web"
    assert states(incident) == {"ward-1": "lost", "ward-2": "lost", "ward-3": "lost"}
    hospital.nginx.start()
    recovers(hospital, incident["id"])


def test_the_monitor_cut_off_is_one_blind_incident(hospital: Running) -> None:
    before = hospital.ids()
    hospital.lab.cut("core", "mon")
    incident = one_incident(hospital, before, timeout_s=60)
    assert incident["kind"] == "blind"
    assert set(states(incident).values()) <= {"unknown"}
    board = hospital.get("impact")["items"]
    assert {line["state"] for line in board if line["service"] == "ehr"} == {"unknown"}
    hospital.lab.mend("core", "mon")
    hospital.lab.run("mon", "ip", "route", "replace", "default", "via", "10.76.0.1")
    recovers(hospital, incident["id"])
