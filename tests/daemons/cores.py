"""A lab with two routed cores: every place hangs on both, with two default routes by metric; carrier loss moves it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from daemons.healthmon import answers, role
from daemons.netns import Lab, inside
from daemons.process import Daemon, listens, need
from daemons.wards import BASE, WAKING
from healthmon.config import load, plan_for, plan_to_json

CORES = ("ca", "cb")
#: Namespace: its own address, the same whichever core carries it.
PLACES = {"mon": "10.76.0.2", "s1": "10.75.0.1", "s2": "10.75.0.2", "w1": "10.77.1.1", "w2": "10.77.2.1"}
WARDS = ("w1", "w2")
_CORE = {"ca": "10.80.0.1", "cb": "10.80.0.2"}
_EVERY = "2s"
_PING = {"kind": "icmp", "every": _EVERY, "timeout": "1s", "count": 2}


def build(lab: Lab) -> None:
    """Two cores, a monitor, two front ends of the record, two wards of one PC each: all of them on both cores."""
    for core, address in _CORE.items():
        lab.router(core)
        lab.own_address(core, address)
    for number, (name, address) in enumerate(PLACES.items()):
        lab.add(name)
        lab.own_address(name, address)
        for rank, core in enumerate(CORES):
            net = f"10.8{rank + 1}.{number}"
            lab.uplink(name, core, net=net, own=address, far=_CORE[core], metric=10 * (rank + 1))


def core_off(lab: Lab, core: str) -> None:
    """The core is dead: every link of it loses its carrier."""
    for name in PLACES:
        lab.cut(core, name)


def core_on(lab: Lab, core: str) -> None:
    for name in PLACES:
        lab.mend(core, name)


def write_site(folder: Path) -> Path:
    """The lab as its hospital would write it down; the path of the site file."""
    path = folder / "healthmon.yaml"
    path.write_text(yaml.safe_dump(_site(folder), sort_keys=False))
    waking = folder / "packs" / "alerting" / "waking" / "default.yaml"
    waking.parent.mkdir(parents=True)
    waking.write_text(yaml.safe_dump(WAKING))
    return path


def _site(folder: Path) -> dict[str, Any]:
    both = {"at_least": 1, "of": ["core-a", "core-b"]}
    web = {"id": "up", "kind": "http", "path": "/", "every": _EVERY, "timeout": "1s", "from": ["poller", "agents"]}
    targets: list[dict[str, Any]] = [
        {"id": "mon", "kind": "server", "address": PLACES["mon"], "area": "dc", "needs": [both]},
        *({"id": f"core-{core[1]}", "kind": "switch", "address": _CORE[core], "area": "dc", "checks": [_PING]}
          for core in CORES),
        *({"id": f"ehr-web-{name[1]}", "kind": "endpoint", "address": f"http://{PLACES[name]}", "area": "dc",
           "needs": [both], "checks": [web]} for name in ("s1", "s2")),
        *({"id": f"pc-{name}", "kind": "ward-workstation", "address": PLACES[name], "area": f"ward-{name[1]}",
           "needs": [both], "checks": [_PING]} for name in WARDS),
    ]  # fmt: skip
    return {
        "organisation": {"id": "lab", "name": "Lab", "timezone": "Europe/London"},
        "sites": [{"id": "main", "name": "Main"}],
        "areas": [
            {"id": "dc", "name": "Data centre", "kind": "datacentre", "acuity": "none"},
            *({"id": f"ward-{name[1]}", "name": f"Ward {name[1]}", "kind": "ward", "acuity": "inpatient", "beds": 28,
               "needs": [both]} for name in WARDS),
        ],
        "services": [
            {"id": "ehr", "name": "Patient record", "tier": 1, "used_in": ["ward-1", "ward-2"],
             "needs": [{"at_least": 1, "of": ["ehr-web-1", "ehr-web-2"]}]}
        ],
        "targets": targets,
        "agents": [{"id": "poller", "target": "mon"},
                   *({"id": f"pc-{name}", "target": f"pc-{name}", "roles": ["ward-workstation"]} for name in WARDS)],
        "broker": {"url": f"mqtt://{PLACES['mon']}:1883"},
        "data_dir": str(folder / "data"),
        "packs": ["packs"],
        "alerting": {"mode": "live"},
        "notify": {"channels": {"inbox": {"kind": "inbox", "path": str(folder / "inbox.jsonl")}}},
        "oncall": {"policies": [{"id": "lab", "severities": [1, 2, 3, 4],
                                 "steps": [{"after": "0s", "channels": ["inbox"]}]}]},
    }  # fmt: skip


def daemons(lab: Lab, folder: Path) -> Iterator[Daemon]:
    """Two front ends, the broker, server and poller, an agent on each ward PC."""
    for name in ("s1", "s2"):
        conf = folder / f"{name}.conf"
        parts = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{part}_temp_path {folder}/{name}-{part};" for part in parts)
        conf.write_text(
            f"user root; daemon off; pid {folder}/{name}.pid; worker_processes 1; events {{ worker_connections 64; }}\n"
            f"http {{ access_log off; {temporary} server {{ listen {PLACES[name]}:80; return 200 'ok'; }} }}\n"
        )
        argv = lab.argv(name, need("nginx"), "-e", str(folder / f"{name}.err"), "-c", str(conf))
        yield Daemon(argv, ready=_listening(lab, name, 80), log=folder / f"{name}.log")
    broker = folder / "mosquitto.conf"
    broker.write_text(f"listener 1883 {PLACES['mon']}\nallow_anonymous true\nuser root\n")
    argv = lab.argv("mon", need("mosquitto"), "-c", str(broker))
    yield Daemon(argv, ready=_listening(lab, "mon", 1883), log=folder / "mosquitto.log")
    config, mon = write_site(folder), lab.argv("mon")

    def server_ready() -> bool:
        with inside(lab.full("mon")):
            return answers(BASE)()

    yield role("server", "-c", str(config), log=folder / "server.log", ready=server_ready, inside=mon)
    yield role("poller", "-c", str(config), log=folder / "poller.log", ready=lambda: True, inside=mon)
    site = load(config, today=date(2026, 1, 1))
    assert site.broker is not None
    for name in WARDS:
        plan = folder / name / "agent.json"
        plan.parent.mkdir()
        plan.write_text(plan_to_json(plan_for(site, f"pc-{name}", broker=site.broker)))
        log = plan.parent / "agent.log"
        yield role("agent", "-c", str(plan), log=log, ready=lambda: True, inside=lab.argv(name))


def _listening(lab: Lab, name: str, port: int) -> Any:
    def ready() -> bool:
        with inside(lab.full(name)):
            return listens(port, PLACES[name])()

    return ready
