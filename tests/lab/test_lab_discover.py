"""`healthmon discover` in a network of its own: a real snmpd, replayed tables of a switch, a medical device."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.netns import Lab, inside, need_lab, new_lab
from daemons.process import Daemon, need, running
from daemons.snmpd import COMMUNITY, Agent, Typed

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(180)]

NETWORK = "10.79.0.0/25"
HOSTS = {"mon": 2, "acc": 10, "srv": 20, "pc": 30, "med": 100}


def address(host: str) -> str:
    return f"10.79.0.{HOSTS[host]}"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    need_lab()
    with new_lab() as made:
        made.router("sw")
        made.bridge("sw", "10.79.0.1/24")
        for host, number in HOSTS.items():
            made.plug("sw", host, f"10.79.0.{number}/24", gateway="10.79.0.1")
        yield made


def mac(lab: Lab, host: str) -> bytes:
    shown = subprocess.run(
        lab.argv(host, "ip", "-j", "link", "show", "sw"), capture_output=True, text=True, check=True
    ).stdout
    return bytes.fromhex(json.loads(shown)[0]["address"].replace(":", ""))


def tables(lab: Lab) -> dict[str, Typed]:
    """What the access switch says: two devices on ports of their own, everything else towards the core."""
    lldp, bridge = "1.0.8802.1.1.2.1", "1.3.6.1.2.1.17"
    core = b"\x02\x00\x00\x00\x00\x01"
    values: dict[str, Typed] = {
        "1.3.6.1.2.1.1.1.0": ("octets", "Access switch, replayed"),
        "1.3.6.1.2.1.1.2.0": ("oid", "1.3.6.1.4.1.99999.1"),
        "1.3.6.1.2.1.1.3.0": ("timeticks", 4711),
        "1.3.6.1.2.1.1.5.0": ("octets", "sw-acc.example"),
        f"{lldp}.3.1.0": ("int", 4),
        f"{lldp}.3.2.0": ("octets", mac(lab, "acc")),
        f"{lldp}.3.7.1.3.24": ("octets", "Gi1/0/24"),
        f"{lldp}.4.1.1.4.0.24.1": ("int", 4),
        f"{lldp}.4.1.1.5.0.24.1": ("octets", core),
        f"{lldp}.4.1.1.7.0.24.1": ("octets", "Te1/1"),
        f"{lldp}.4.1.1.9.0.24.1": ("octets", "sw-core"),
        f"{lldp}.4.1.1.12.0.24.1": ("octets", b"\x28\x00"),
        f"{lldp}.4.2.1.3.0.24.1.1.4.10.79.0.1": ("int", 2),
    }
    for port in (3, 4, 24):
        values[f"1.3.6.1.2.1.31.1.1.1.1.{port}"] = ("octets", f"Gi1/0/{port}")
        values[f"{bridge}.1.4.1.2.{port}"] = ("int", port)
    for host, port in (("pc", 3), ("srv", 4), ("mon", 24), ("med", 24)):
        dotted = ".".join(map(str, mac(lab, host)))
        values[f"{bridge}.4.3.1.2.{dotted}"] = ("int", port)
        values[f"{bridge}.4.3.1.3.{dotted}"] = ("int", 3)
        values[f"1.3.6.1.2.1.4.22.1.2.1.{address(host)}"] = ("octets", mac(lab, host))
    return values


@contextlib.asynccontextmanager
async def replayed(lab: Lab) -> AsyncIterator[Agent]:
    agent = Agent(tables(lab))
    with inside(lab.full("acc")):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address("acc"), 161))
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: agent, sock=sock)
    try:
        yield agent
    finally:
        transport.close()


def real(lab: Lab, folder: Path) -> Daemon:
    """net-snmp's agent on the server."""
    config = folder / "snmpd.conf"
    config.write_text(f"agentaddress udp:{address('srv')}:161\nrocommunity {COMMUNITY}\nsysname srv-a\n")
    (folder / "state").mkdir()
    argv = lab.argv("srv", "env", f"SNMP_PERSISTENT_DIR={folder / 'state'}", "MIBS=", need("snmpd"), "-f", "-C")
    log = folder / "snmpd.log"
    return Daemon(
        [*argv, "-c", str(config), "-Lf", str(log)],
        ready=lambda: log.exists() and "NET-SNMP version" in log.read_text(),
        log=folder / "snmpd.out",
    )


def write_site(folder: Path) -> Path:
    path = folder / "healthmon.yaml"
    targets = [
        {"id": "sw-core", "kind": "switch", "address": "10.79.0.1"},
        {"id": "sw-acc", "kind": "switch", "address": address("acc"), "needs": ["sw-core"]},
        {"id": "srv-a", "kind": "server", "address": "10.79.0.21"},
        {"id": "pc-1", "kind": "ward-workstation", "address": address("pc")},
        {"id": "ghost", "kind": "server", "address": "10.79.0.40"},
        {"id": "pump", "kind": "device", "address": address("med")},
        {"id": "elsewhere", "kind": "server", "address": "192.0.2.9"},
    ]
    allow = [{"kind": "icmp", "approved_by": "Clinical engineering", "approved_on": "2026-11-01"}]
    path.write_text(
        yaml.safe_dump(
            {
                "organisation": {"id": "lab", "name": "Lab", "timezone": "UTC"},
                "targets": [{**target, "checks": ["icmp"]} for target in targets],
                "safety": {"medical": [{"cidr": "10.79.0.96/28", "allow": allow}]},
                "data_dir": str(folder / "data"),
            }
        )
    )
    (folder / "community").write_text(f"{COMMUNITY}\n")
    return path


async def discover(lab: Lab, folder: Path, *more: str, network: str = NETWORK) -> tuple[int, str, str]:
    argv = lab.argv("mon", sys.executable, "-m", "healthmon", "discover", network, "-c", str(folder / "healthmon.yaml"))
    given = ["--community-file", str(folder / "community"), "--rate", "100", *more]
    child = await asyncio.create_subprocess_exec(
        *argv, *given, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await child.communicate()
    return child.returncode or 0, out.decode(), err.decode()


async def test_a_sweep_tells_what_is_new_missing_moved_and_what_hangs_on_what(lab: Lab, tmp_path: Path) -> None:
    write_site(tmp_path)
    (tmp_path / "snmpd").mkdir()
    with running(real(lab, tmp_path / "snmpd")):
        async with replayed(lab):
            code, out, err = await discover(lab, tmp_path, "--json")
            yaml_code, text, _ = await discover(lab, tmp_path)

    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    assert found["sweep"]["not_looked_at"] == {"not_allowed": 16}
    assert found["sweep"]["answered"] == 5
    assert [one["target"]["address"] for one in found["new"]] == [address("mon")]
    assert [one["target"] for one in found["missing"]] == ["ghost"]
    assert found["moved"] == [
        {"target": "srv-a", "was": ["10.79.0.21"], "now": address("srv"), "because": "sysName srv-a"}
    ]
    assert found["not_looked_at"] == ["pump"]
    seen = [(one["target"], one["needs"], one["from"]["source"], one["from"]["seen_by"], one["from"]["port"])
            for one in found["proposed_needs"]]  # fmt: skip
    assert sorted(seen) == [
        ("pc-1", ["sw-acc"], "fdb", ["sw-acc"], "Gi1/0/3"),
        ("srv-a", ["sw-acc"], "fdb", ["sw-acc"], "Gi1/0/4"),
    ]
    assert found["links"] == []  # the way to the core is in the inventory already
    assert "looked at" in err
    assert yaml_code == 0
    assert set(yaml.safe_load(text)) == {"new", "missing", "moved", "proposed_needs", "not_looked_at"}


async def test_the_medical_network_hears_nothing_even_where_icmp_is_approved(lab: Lab, tmp_path: Path) -> None:
    write_site(tmp_path)
    lab.run("med", "ip", "neigh", "flush", "all")
    await discover(lab, tmp_path, "--quiet")

    assert address("mon") in heard_by(lab, "pc")
    assert address("mon") not in heard_by(lab, "med")


def heard_by(lab: Lab, host: str) -> str:
    """Whoever sent it anything stands in its ARP table."""
    argv = lab.argv(host, "ip", "-j", "neigh")
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


async def test_the_stop_button_ends_a_sweep(lab: Lab, tmp_path: Path) -> None:
    write_site(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stop-probing").write_text("stopped by a test\n")

    code, out, _ = await discover(lab, tmp_path, "--json", "--quiet")

    assert code == 1
    assert not json.loads(out)["sweep"]["complete"]
    assert json.loads(out)["missing"] == []


async def test_a_small_ipv6_network_is_swept_and_a_large_one_is_refused(lab: Lab, tmp_path: Path) -> None:
    write_site(tmp_path)
    for host, number in HOSTS.items():
        lab.run(host, "ip", "-6", "addr", "replace", f"2001:db8:79::{number:x}/64", "dev", "sw", "nodad")

    code, out, err = await discover(lab, tmp_path, "--json", "--quiet", network="2001:db8:79::/121")
    large, _, said = await discover(lab, tmp_path, "--json", "--quiet", network="2001:db8:79::/64")

    assert code == 0, err
    found = json.loads(out)
    assert found["sweep"]["addresses"] == 127
    assert not found["sweep"]["silent_tried_by_tcp"]
    assert {one["target"]["address"] for one in found["new"]} == {f"2001:db8:79::{n:x}" for n in HOSTS.values()}
    assert {one["found"]["answers"] for one in found["new"]} == {"icmp"}
    assert large == 2
    assert "at most /116" in said


async def test_where_no_echo_comes_back_silent_ones_are_tried_by_tcp_under_the_same_guard(
    lab: Lab, tmp_path: Path
) -> None:
    write_site(tmp_path)
    everyone = ["sw", *HOSTS]
    try:
        for host in everyone:
            lab.run(host, "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1")
        lab.run("med", "ip", "neigh", "flush", "all")
        code, out, err = await discover(lab, tmp_path, "--json", "--quiet", network="10.79.0.24/29")
        medical, closed, _ = await discover(lab, tmp_path, "--json", "--quiet", network="10.79.0.96/28")
    finally:
        for host in everyone:
            lab.run(host, "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=0")

    assert code == 0, err
    found = json.loads(out)
    assert found["sweep"]["silent_tried_by_tcp"]
    assert (found["sweep"]["answered"], found["sweep"]["silent"]) == (1, 5)
    assert found["missing"] == []  # pc-1 answered, by refusing
    assert medical == 3
    assert json.loads(closed)["sweep"]["answered"] == 0
    assert address("mon") not in heard_by(lab, "med")


async def test_tcp_may_be_asked_for(lab: Lab, tmp_path: Path) -> None:
    """One host answers echoes and another one does not: only --tcp finds the second."""
    write_site(tmp_path)
    try:
        lab.run("srv", "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1")
        _, without, _ = await discover(lab, tmp_path, "--json", "--quiet", network="10.79.0.0/27")
        _, with_tcp, _ = await discover(lab, tmp_path, "--json", "--quiet", "--tcp", network="10.79.0.0/27")
    finally:
        lab.run("srv", "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=0")

    assert address("srv") not in {one["target"]["address"] for one in json.loads(without)["new"]}
    answers = {one["target"]["address"]: one["found"]["answers"] for one in json.loads(with_tcp)["new"]}
    assert answers[address("srv")] == "tcp 22"
