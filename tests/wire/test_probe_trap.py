"""The trap receiver against net-snmp's snmptrap and snmpinform: every version, every refusal, a storm."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from daemons.traps import (
    COMMUNITY,
    IF_INDEX,
    LINK_DOWN,
    LINK_UP,
    V3,
    about_port,
    listening,
    send,
)
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes.trap import MOST_WAITING, Settings

pytestmark = pytest.mark.wire

V2 = ("-v2c", "-c", COMMUNITY)


def raised(reading: Reading) -> dict[tuple[str, str], object]:
    """(event, interface) -> raised."""
    return {
        (sample.labels["event"], sample.labels.get("interface", "")): sample.value
        for sample in reading.samples
        if sample.field == "raised"
    }


async def test_link_down_and_up_by_v2c_name_the_port_and_ask_for_a_poll(tmp_path: Path) -> None:
    async with listening() as here:
        await send(tmp_path, "snmptrap", *V2, here.at, "", LINK_DOWN, *about_port(7, descr="GigabitEthernet1/0/7"))
        down = (await here.heard(1))[0]
        await send(tmp_path, "snmptrap", *V2, here.at, "", LINK_UP, *about_port(7, name="Gi1/0/7", descr="other"))
        up = (await here.heard(2))[1]

    assert (down.target, down.check, down.outcome, down.reason) == (
        "sw-ward7",
        "trap",
        Outcome.UNKNOWN,
        Reason.UNPROVEN,
    )
    assert down.detail == "link_down GigabitEthernet1/0/7"
    assert raised(down) == {("link_down", "GigabitEthernet1/0/7"): 1.0}
    assert raised(up) == {("link_down", "Gi1/0/7"): 0.0}
    assert here.hints == ["sw-ward7", "sw-ward7"]


async def test_v1_generic_and_enterprise_traps(tmp_path: Path) -> None:
    v1 = ("-v1", "-c", COMMUNITY)
    async with listening() as here:
        await send(tmp_path, "snmptrap", *v1, here.at, "1.3.6.1.4.1.9.1.1", "192.0.2.9", "2", "0", "", *about_port(3))
        await here.heard(1)
        await send(tmp_path, "snmptrap", *v1, here.at, "1.3.6.1.2.1.33.2", "192.0.2.9", "6", "1", "")
        await here.heard(2)
        await send(tmp_path, "snmptrap", *v1, here.at, "1.3.6.1.4.1.8072.9999", "192.0.2.9", "6", "77", "")
        readings = await here.heard(3)

    assert [reading.detail for reading in readings] == [
        "link_down ifindex-3",
        "on_battery",
        "trap 1.3.6.1.4.1.8072.9999.0.77, which no pack knows",
    ]
    assert [sample.labels["event"] for sample in readings[2].samples] == ["other", "other"]


async def test_informs_are_answered_and_a_repeat_is_told_once(tmp_path: Path) -> None:
    async with listening() as here:
        code, out = await send(tmp_path, "snmpinform", *V2, "-t1", "-r0", here.at, "", LINK_DOWN, *about_port(7))
        assert code == 0, out
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            message = inform(request_id=99, index=8)
            loop = asyncio.get_running_loop()
            for _ in range(2):
                await loop.sock_sendto(sender, message, ("127.0.0.1", here.port))
                answer = await asyncio.wait_for(loop.sock_recv(sender, 2000), 3)
                assert answer == message.replace(b"\xa6", b"\xa2", 1)
        await here.counted("repeated", 1)
        assert len(await here.heard(2)) == 2


async def test_signed_and_sealed_informs_and_traps_of_v3(tmp_path: Path) -> None:
    sign = ("-v3", "-l", "authNoPriv", "-u", "sign", "-a", "SHA-256", "-A", "authpass2")
    async with listening() as here:
        for number, user in enumerate((V3, sign), 1):
            code, out = await send(tmp_path, "snmpinform", *user, "-t2", here.at, "", LINK_DOWN, *about_port(number))
            assert code == 0, out
        for number, engine in enumerate(("0x8000000001020304", "0x8000000001020305"), 3):
            await send(tmp_path, "snmptrap", *V3, "-e", engine, here.at, "", LINK_DOWN, *about_port(number))
        readings = await here.heard(4)

    assert [reading.detail for reading in readings] == [f"link_down ifindex-{number}" for number in (1, 2, 3, 4)]
    assert here.receiver.counts["refused"] == 0


async def test_an_inform_after_our_restart_is_taken(tmp_path: Path) -> None:
    for _ in range(2):
        async with listening() as here:
            code, out = await send(tmp_path, "snmpinform", *V3, "-t2", here.at, "", LINK_DOWN, *about_port(7))
            assert code == 0, out
            await here.heard(1)
        await asyncio.sleep(1.1)  # boots are seconds


@pytest.mark.parametrize(
    ("tool", "who", "count"),
    [
        ("snmptrap", ("-v2c", "-c", "public"), "refused"),
        ("snmptrap", ("-v3", "-l", "authNoPriv", "-u", "sign", "-a", "SHA-256", "-A", "not-this-one"), "refused"),
        ("snmptrap", ("-v3", "-l", "noAuthNoPriv", "-u", "sign"), "refused"),
        ("snmptrap", ("-v3", "-l", "noAuthNoPriv", "-u", "nobody"), "refused"),
    ],
)
async def test_what_nobody_we_know_has_sent_is_refused(
    tmp_path: Path, tool: str, who: tuple[str, ...], count: str
) -> None:
    async with listening() as here:
        engine = ("-e", "0x8000000001020304") if "-v3" in who else ()
        await send(tmp_path, tool, *who, *engine, here.at, "", LINK_DOWN, *about_port(7))
        await here.counted(count, 1)

    assert here.readings == []
    assert here.hints == []


async def test_an_inform_with_a_wrong_key_gets_no_acknowledgement(tmp_path: Path) -> None:
    who = ("-v3", "-l", "authNoPriv", "-u", "sign", "-a", "SHA-256", "-A", "not-this-one")
    async with listening() as here:
        code, _ = await send(tmp_path, "snmpinform", *who, "-t1", "-r0", here.at, "", LINK_DOWN, *about_port(7))

    assert code != 0
    assert here.readings == []


async def test_without_users_or_community_their_versions_are_refused(tmp_path: Path) -> None:
    async with listening(Settings("127.0.0.1", 0)) as here:
        await send(tmp_path, "snmptrap", *V3, "-e", "0x8000000001020304", here.at, "", LINK_DOWN)
        await send(tmp_path, "snmptrap", *V2, here.at, "", LINK_DOWN)
        await here.counted("refused", 2)


async def test_unknown_senders_are_counted_and_not_read(tmp_path: Path) -> None:
    async with listening(senders=lambda ip: None) as here:
        await send(tmp_path, "snmptrap", *V2, here.at, "", LINK_DOWN, *about_port(7))
        await here.counted("unknown_sender", 1)

    assert here.receiver.counts["accepted"] == here.receiver.counts["malformed"] == 0


async def test_a_port_without_a_name_is_asked_for_it(tmp_path: Path) -> None:
    async def name(target: str, index: int) -> str | None:
        return {("sw-ward7", 7): "Gi1/0/7"}.get((target, index))

    async with listening(port_name=name) as here:
        await send(tmp_path, "snmptrap", *V2, here.at, "", LINK_DOWN, f"{IF_INDEX}.7", "i", "7")
        assert (await here.heard(1))[0].detail == "link_down Gi1/0/7"


async def test_a_storm_is_bounded_and_counted(tmp_path: Path) -> None:
    """20,000 datagrams: what reaches the spool is a hundred readings at most, what waits is bounded."""
    async with listening() as here:
        messages = [inform(request_id=number, trap=True, index=number % 500 + 1) for number in range(2000)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for round_ in range(10):
                for message in messages:
                    sender.sendto(message, ("127.0.0.1", here.port))
                await asyncio.sleep(0.01 if round_ else 0)
        await asyncio.sleep(0.3)

    counts = here.receiver.counts
    assert counts["received"] > 1000
    assert counts["rate_limited"] >= counts["received"] - 60
    assert len(here.readings) <= 60
    assert len(here.readings) + counts["folded"] <= counts["accepted"] <= 60
    assert MOST_WAITING <= 1000


async def test_noise_is_malformed_and_the_next_trap_is_heard(tmp_path: Path) -> None:
    noise = [
        b"",
        b"\x30",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x30\x84\xff\xff\xff\xff",
        inform(1)[:-3],
        b"\x30\x03\x02\x01\x03",
    ]
    async with listening() as here:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for junk in [*noise, b"\x30" * 9000]:
                sender.sendto(junk, ("127.0.0.1", here.port))
        await here.counted("malformed", len(noise))
        await here.counted("too_large", 1)
        await send(tmp_path, "snmptrap", *V2, here.at, "", LINK_DOWN, *about_port(7))
        await here.heard(1)


def inform(request_id: int, *, trap: bool = False, index: int = 7) -> bytes:
    """A linkDown of our own making, by the tests' BER."""
    from daemons.snmpd import message

    binds = [
        ("1.3.6.1.2.1.1.3.0", ("timeticks", 100)),
        ("1.3.6.1.6.3.1.1.4.1.0", ("oid", LINK_DOWN)),
        (f"{IF_INDEX}.{index}", ("int", index)),
    ]
    return message(COMMUNITY, 0xA7 if trap else 0xA6, request_id, 0, 0, binds)  # type: ignore[arg-type]
