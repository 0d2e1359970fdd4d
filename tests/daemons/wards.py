"""The lab's hospital: three routed wards of four PCs, a switch with snmpd for each, the record on nginx, a monitor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from daemons.healthmon import answers, role
from daemons.netns import Lab, inside
from daemons.process import Daemon, listens, need
from healthmon.config import load, plan_for, plan_to_json

WARDS = (1, 2, 3)
PCS = (1, 2, 3, 4)
EVERY = "2s"
BASE = "http://127.0.0.1:8470"
#: Pages go at any hour and at once; the hospital's own pack over the stock table.
WAKING = {
    "hold": {"seconds": 0, "severities": []},
    "gather_seconds": {},
    "storm_seconds": 0,
    "rules": [{"severities": [1, 2, 3], "do": "page"}, {"severities": [4, 5], "do": "board"}],
}
_PING = {"kind": "icmp", "every": EVERY, "timeout": "1s", "count": 2}
_SWITCH = [_PING, {"kind": "snmp", "pack": "if-mib", "community": "lab", "every": EVERY, "timeout": "1s"}]


def pc_names() -> list[str]:
    return [f"pc-w{ward}-{pc}" for ward in WARDS for pc in PCS]


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
        lab.bridge(name, f"10.77.{ward}.1/24")
        for pc in PCS:
            lab.plug(name, f"p{ward}{pc}", f"10.77.{ward}.1{pc}/24", gateway=f"10.77.{ward}.1")


def write_site(folder: Path) -> Path:
    """The lab as its hospital would write it down; the path of the site file."""
    path = folder / "healthmon.yaml"
    path.write_text(yaml.safe_dump(_site(folder), sort_keys=False))
    waking = folder / "packs" / "alerting" / "waking" / "default.yaml"
    waking.parent.mkdir(parents=True)
    waking.write_text(yaml.safe_dump(WAKING))
    return path


def _site(folder: Path) -> dict[str, Any]:
    targets: list[dict[str, Any]] = [
        {"id": "mon", "name": "Monitor", "kind": "server", "address": "10.76.0.2", "area": "dc", "needs": ["sw-core"]},
        {"id": "sw-core", "kind": "switch", "address": "10.76.0.1", "area": "dc", "team": "network", "checks": _SWITCH},
        {"id": "ehr-web", "kind": "endpoint", "address": "http://10.75.0.2", "area": "dc", "needs": ["sw-core"],
         "team": "apps", "checks": [{"id": "up", "kind": "http", "path": "/", "every": EVERY, "timeout": "1s",
                                     "from": ["poller", "agents"]}]},
    ]  # fmt: skip
    areas: list[dict[str, Any]] = [{"id": "dc", "name": "Data centre", "kind": "datacentre", "acuity": "none"}]
    for ward in WARDS:
        areas.append(
            {"id": f"ward-{ward}", "name": f"Ward {ward}", "kind": "ward", "acuity": "inpatient", "beds": 28,
             "needs": [f"sw-ward{ward}"], "contact": {"phone": f"2-710{ward}"}}
        )  # fmt: skip
        targets += _ward(ward)
    return {
        "organisation": {"id": "lab", "name": "Lab", "timezone": "Europe/London"},
        "sites": [{"id": "main", "name": "Main"}],
        "areas": areas,
        "services": [
            {"id": "ehr", "name": "Patient record", "tier": 1, "used_in": [f"ward-{ward}" for ward in WARDS],
             "needs": ["ehr-web"], "team": "apps"}
        ],
        "targets": targets,
        "teams": {"network": {"phone": "2200"}, "apps": {"phone": "2201"}},
        "agents": [
            {"id": "poller", "target": "mon"},
            *({"id": name, "target": name, "roles": ["ward-workstation"]} for name in pc_names()),
        ],
        "broker": {"url": "mqtt://10.76.0.2:1883"},
        "data_dir": str(folder / "data"),
        "packs": ["packs"],
        "alerting": {"mode": "live"},
        "notify": {"channels": {"inbox": {"kind": "inbox", "path": str(folder / "inbox.jsonl")}}},
        "oncall": {
            "policies": [{"id": "lab", "severities": [1, 2, 3], "steps": [{"after": "0s", "channels": ["inbox"]}]}]
        },
    }  # fmt: skip


def _ward(ward: int) -> Iterator[dict[str, Any]]:
    switch = f"sw-ward{ward}"
    yield {"id": switch, "kind": "switch", "address": f"10.77.{ward}.1", "area": f"ward-{ward}", "needs": ["sw-core"],
           "team": "network", "checks": _SWITCH}  # fmt: skip
    for pc in PCS:
        yield {"id": f"pc-w{ward}-{pc}", "kind": "ward-workstation", "address": f"10.77.{ward}.1{pc}",
               "area": f"ward-{ward}", "needs": [switch], "checks": [_PING]}  # fmt: skip


def record(lab: Lab, folder: Path) -> Daemon:
    """The patient record: nginx on the server side."""
    conf = folder / "nginx.conf"
    temporary = " ".join(f"{name}_temp_path {folder}/tmp-{name};" for name in _NGINX_TEMPORARY)
    conf.write_text(
        f"user root; daemon off; pid {folder}/nginx.pid; worker_processes 1; events {{ worker_connections 256; }}\n"
        f"http {{ access_log off; {temporary}\n"
        "server { listen 10.75.0.2:80; location / { default_type text/plain; return 200 'ok'; } } }\n"
    )
    argv = lab.argv("srv", need("nginx"), "-e", str(folder / "nginx.err"), "-c", str(conf))
    return Daemon(argv, ready=_inside(lab, "srv", "10.75.0.2", 80), log=folder / "nginx.log")


_NGINX_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def devices(lab: Lab, folder: Path) -> Iterator[Daemon]:
    """The broker beside the monitor, and a real snmpd on each switch."""
    broker = folder / "mosquitto.conf"
    broker.write_text("listener 1883 10.76.0.2\nallow_anonymous true\nuser root\n")
    argv = lab.argv("mon", need("mosquitto"), "-c", str(broker))
    yield Daemon(argv, ready=_inside(lab, "mon", "10.76.0.2", 1883), log=folder / "mosquitto.log")
    for name, address in (("core", "10.76.0.1"), *((f"w{ward}", f"10.77.{ward}.1") for ward in WARDS)):
        snmpd = folder / f"snmpd-{name}.conf"
        snmpd.write_text("rocommunity lab\n")
        argv = [need("snmpd"), "-f", "-C", "-c", str(snmpd), "-Lf", str(folder / f"snmpd-{name}.txt")]
        argv += ["-p", str(folder / f"snmpd-{name}.pid"), f"udp:{address}:161"]
        yield Daemon(lab.argv(name, *argv), ready=lambda: True, log=folder / f"snmpd-{name}.log")


def healthmon(lab: Lab, config: Path) -> Iterator[Daemon]:
    """Server and poller on the monitor, an agent on every PC, each with its spool beside its plan."""
    folder, mon = config.parent, lab.argv("mon")

    def server_ready() -> bool:
        with inside(lab.full("mon")):
            return answers(BASE)()

    yield role("server", "-c", str(config), log=folder / "server.log", ready=server_ready, inside=mon)
    yield role("poller", "-c", str(config), log=folder / "poller.log", ready=lambda: True, inside=mon)
    site = load(config, today=date(2026, 1, 1))
    assert site.broker is not None
    for name in pc_names():
        plan = folder / name / "agent.json"
        plan.parent.mkdir()
        plan.write_text(plan_to_json(plan_for(site, name, broker=site.broker)))
        where = lab.argv(name.replace("pc-w", "p").replace("-", ""))
        yield role("agent", "-c", str(plan), log=plan.parent / "agent.log", ready=lambda: True, inside=where)


@contextmanager
def all_running(daemons: Iterable[Daemon]) -> Iterator[list[Daemon]]:
    """Start them in order; ask all to stop at once at the end."""
    started: list[Daemon] = []
    try:
        for daemon in daemons:
            started.append(daemon)
            daemon.start()
        yield started
    finally:
        for daemon in reversed(started):
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.process.terminate()
        for daemon in reversed(started):
            daemon.stop()


def _inside(lab: Lab, name: str, host: str, port: int) -> Any:
    def ready() -> bool:
        with inside(lab.full(name)):
            return listens(port, host)()

    return ready
