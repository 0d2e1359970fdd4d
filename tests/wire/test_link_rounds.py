"""Switches that are polled with the `lldp` pack feed the link graph, with whose word it is and how old.

The agents are simulated ones on real sockets: a plain snmpd of Debian cannot serve LLDP tables.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from healthmon.app.linkgraph import LinkBook, answer
from healthmon.app.linkrounds import LinkRounds, told_by
from healthmon.config import SiteConfig
from healthmon.config.loading import load_text
from healthmon.runtime.clock import ManualClock, SystemClock
from healthmon.simulation.snmp_agent import SnmpAgent

pytestmark = pytest.mark.timeout(60)
LLDP = "1.0.8802.1.1.2.1"
ACCESS, CORE = "127.0.0.2", "127.0.0.3"
MACS = {"sw-acc": b"\x02\x00\x00\x00\x00\x0a", "sw-core": b"\x02\x00\x00\x00\x00\x0b"}


def tables(name: str, *, port: str, other: str, other_port: str) -> dict[tuple[int, ...], tuple[str, Any]]:
    """System group, one local port and the neighbour that it hears."""
    values: dict[str, tuple[str, Any]] = {
        "1.3.6.1.2.1.1.1.0": ("string", b"simulated"),
        "1.3.6.1.2.1.1.2.0": ("oid", (1, 3, 6, 1, 4, 1, 99999, 1)),
        "1.3.6.1.2.1.1.3.0": ("ticks", 4711),
        "1.3.6.1.2.1.1.5.0": ("string", f"{name}.example".encode()),
        f"{LLDP}.3.1.0": ("integer", 4),
        f"{LLDP}.3.2.0": ("string", MACS[name]),
        f"{LLDP}.3.7.1.3.24": ("string", port.encode()),
        f"{LLDP}.4.1.1.4.0.24.1": ("integer", 4),
        f"{LLDP}.4.1.1.5.0.24.1": ("string", MACS[other]),
        f"{LLDP}.4.1.1.7.0.24.1": ("string", other_port.encode()),
        f"{LLDP}.4.1.1.9.0.24.1": ("string", f"{other}.example".encode()),
        f"{LLDP}.4.1.1.12.0.24.1": ("string", b"\x28\x00"),
    }
    return {tuple(map(int, oid.split("."))): value for oid, value in values.items()}


async def serve(ip: str, agent: SnmpAgent) -> tuple[asyncio.DatagramTransport, int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: agent, local_addr=(ip, 0))
    return transport, transport.get_extra_info("sockname")[1]


def site_of(ports: dict[str, int], data_dir: Path, *, deny: str = "") -> SiteConfig:
    rows = "\n".join(
        f"  - {{id: {id_}, kind: switch, address: {ip}, checks: [{{kind: snmp, pack: lldp, port: {ports[id_]},"
        f" community: public, every: 60s}}]}}"
        for id_, ip in (("sw-acc", ACCESS), ("sw-core", CORE))
    )
    text = f"organisation: {{id: x, name: X}}\ndata_dir: {data_dir}\ntargets:\n{rows}\n{deny}"
    return load_text(text, name="f", env={})


async def test_polled_switches_feed_the_link_graph_and_needs_are_only_proposed(tmp_path: Path) -> None:
    acc = SnmpAgent(tables("sw-acc", port="Gi1/0/24", other="sw-core", other_port="Te1/1"))
    core = SnmpAgent(tables("sw-core", port="Te1/1", other="sw-acc", other_port="Gi1/0/24"))
    served = [await serve(ACCESS, acc), await serve(CORE, core)]
    book = LinkBook(tmp_path / "links.sqlite")
    try:
        site = site_of({"sw-acc": served[0][1], "sw-core": served[1][1]}, tmp_path)
        rounds = LinkRounds(site, book, clock=SystemClock())
        assert await rounds.round() == 1
        (learned,) = book.all()
        assert {learned.link.one, learned.link.other} == {"sw-acc", "sw-core"}
        assert learned.link.source == "lldp"
        assert set(learned.link.seen_by) == {"sw-acc", "sw-core"}
        assert learned.first_at <= learned.last_at
        shown = answer(book.all(), site.estate, learned.last_at + 10.0)
        assert shown["items"][0]["age_seconds"] == pytest.approx(10.0, abs=0.2)
        assert all(not target.needs for target in site.estate.targets.values()), "never merged"
        assert await rounds.round() == 0, "not due again for a quarter of an hour"
    finally:
        book.close()
        for transport, _ in served:
            transport.close()


async def test_a_device_that_does_not_answer_keeps_what_was_learned_and_its_age(tmp_path: Path) -> None:
    acc = SnmpAgent(tables("sw-acc", port="Gi1/0/24", other="sw-core", other_port="Te1/1"))
    transport, port = await serve(ACCESS, acc)
    book = LinkBook(tmp_path / "links.sqlite")
    try:
        rounds = LinkRounds(
            site_of({"sw-acc": port, "sw-core": port}, tmp_path), book, clock=SystemClock(), least_every_s=0.0
        )
        assert await rounds.round() == 1, "by its name, though the other end is silent"
        (before,) = book.all()
        assert before.link.other == "sw-core" or before.link.one == "sw-core"
        assert set(rounds.troubles) == {"sw-core"}
        assert book.all() == [before]
    finally:
        book.close()
        transport.close()


async def test_the_safety_block_holds_here_too(tmp_path: Path) -> None:
    book = LinkBook(tmp_path / "links.sqlite")
    try:
        site = site_of({"sw-acc": 1, "sw-core": 1}, tmp_path, deny="safety: {deny: [127.0.0.0/8]}\n")
        rounds = LinkRounds(site, book, clock=ManualClock())
        assert await rounds.round() == 0
        assert set(rounds.troubles.values()) == {"not_allowed"}
    finally:
        book.close()


def test_only_devices_with_such_a_pack_are_asked(tmp_path: Path) -> None:
    site = load_text(
        "organisation: {id: x, name: X}\ntargets:\n"
        "  - {id: a, kind: switch, address: 192.0.2.1, checks: [{kind: snmp, pack: bridge}]}\n"
        "  - {id: b, kind: switch, address: 192.0.2.2, checks: [{kind: snmp, pack: if-mib}]}\n",
        name="f", env={},
    )  # fmt: skip
    assert [told.target for told in told_by(site)] == ["a"]
