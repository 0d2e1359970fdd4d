"""One suite over both SNMP libraries: what the port promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.snmpd import (
    AUTH_PASSWORD,
    COMMUNITY,
    PRIV_PASSWORD,
    SEALING,
    SIGNING,
    Request,
    agent,
    every_pair,
    make_snmpd,
    response,
    silent_port,
    snmpd,
    walk_tool,
)
from healthmon.model.sample import Reason
from healthmon.probes.snmp_client import (
    Credentials,
    Device,
    SnmpClient,
    SnmpTrouble,
    read_column,
    read_scalars,
)
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
SYS_UPTIME = "1.3.6.1.2.1.1.3.0"
SYS_NAME = "1.3.6.1.2.1.1.5.0"
ABSENT = "1.3.6.1.2.1.1.99.0"
IF_NAME = "1.3.6.1.2.1.31.1.1.1.1"
COLUMN = "1.3.6.1.4.1.99999.1.1"

USERS = {
    "noauth": Credentials("3", "", "open"),
    "sha": Credentials("3", "", "sign-sha", "SHA", AUTH_PASSWORD),
    "sha-aes": Credentials("3", "", "seal-sha", "SHA", AUTH_PASSWORD, "AES", PRIV_PASSWORD),
    "sha256-aes": Credentials("3", "", "seal-sha256", "SHA-256", AUTH_PASSWORD, "AES", PRIV_PASSWORD),
    "sha512-aes256": Credentials("3", "", "seal-sha512", "SHA-512", AUTH_PASSWORD, "AES-256", PRIV_PASSWORD),
}
V2C = Credentials("2c", COMMUNITY)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with snmpd(tmp_path_factory.mktemp("snmpd")) as port:
        yield port


@pytest.fixture(params=["gufo", "pysnmp"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[SnmpClient]:
    made: Any
    if request.param == "gufo":
        pytest.importorskip("gufo.snmp")
        from healthmon.probes.snmp_gufo import GufoClient

        made = GufoClient(clock=SystemClock())
    else:
        pytest.importorskip("pysnmp")
        from healthmon.probes.snmp_pysnmp import PysnmpClient

        made = PysnmpClient(clock=SystemClock())
    yield made
    await made.close()


def device(port: int, who: Credentials = V2C, *, timeout_s: float = 2.0, most: int = 20) -> Device:
    return Device("127.0.0.1", port, who, timeout_s=timeout_s, retries=1, max_repetitions=most)


async def get(client: SnmpClient, to: Device, *oids: str) -> dict[str, Any]:
    async with client.session(to) as session:
        return await read_scalars(session, oids, retries=to.retries)


async def fails(client: SnmpClient, to: Device) -> Reason:
    with pytest.raises(SnmpTrouble) as caught:
        await get(client, to, SYS_UPTIME)
    assert caught.value.detail
    return caught.value.reason


class TestRealAgent:
    async def test_scalars_have_types_and_what_is_absent_is_absent(self, client: SnmpClient, port: int) -> None:
        found = await get(client, device(port), SYS_NAME, SYS_OBJECT_ID, SYS_UPTIME, ABSENT)
        assert set(found) == {SYS_NAME, SYS_OBJECT_ID, SYS_UPTIME}
        assert found[SYS_NAME] == b"sw-ward7"
        assert found[SYS_OBJECT_ID].startswith("1.3.6.1.4.1.8072.")
        assert isinstance(found[SYS_UPTIME], int)

    async def test_many_scalars_are_asked_in_pieces(self, client: SnmpClient, port: int) -> None:
        wanted = [f"1.3.6.1.2.1.2.2.1.{column}.1" for column in (1, 2, 3, 4, 5, 7, 8)] * 4
        wanted += [f"1.3.6.1.2.1.1.99.{n}" for n in range(60)]
        found = await get(client, device(port), *wanted)
        assert set(found) == set(wanted[:7])

    @pytest.mark.parametrize("most", [1, 2, 50])
    async def test_a_column_is_what_net_snmp_says(self, client: SnmpClient, port: int, most: int) -> None:
        expected = [oid for oid, _ in walk_tool(port, IF_NAME)]
        async with client.session(device(port, most=most)) as session:
            column = await read_column(session, IF_NAME, retries=1, most=1000)
        assert [f"{IF_NAME}.{index}" for index, _ in column.rows] == expected
        assert ("1", b"lo") in column.rows
        assert column.trouble is None

    @pytest.mark.parametrize("user", USERS)
    async def test_version_3(self, client: SnmpClient, port: int, user: str) -> None:
        for _ in range(2):  # the second time by a kept session
            assert await get(client, device(port, USERS[user]), SYS_NAME) == {SYS_NAME: b"sw-ward7"}

    @pytest.mark.parametrize(
        "who",
        [
            Credentials("3", "", "seal-sha", "SHA", "not the password", "AES", PRIV_PASSWORD),
            Credentials("3", "", "nobody", "SHA", AUTH_PASSWORD, "AES", PRIV_PASSWORD),
            Credentials("3", "", "seal-sha", "SHA", AUTH_PASSWORD),
            Credentials("3", "", "seal-sha"),
        ],
        ids=["wrong password", "unknown user", "not encrypted", "not signed"],
    )
    async def test_an_agent_that_refuses_says_so(self, client: SnmpClient, port: int, who: Credentials) -> None:
        assert await fails(client, device(port, who)) is Reason.AUTH_FAILED

    @pytest.mark.parametrize(
        "who",
        [
            Credentials("2c", "wrong"),
            Credentials("3", "", "seal-sha", "SHA", AUTH_PASSWORD, "AES", "not the password"),
        ],
        ids=["community", "encryption key"],
    )
    async def test_an_agent_that_cannot_say_so_is_silent(self, client: SnmpClient, port: int, who: Credentials) -> None:
        assert await fails(client, device(port, who, timeout_s=0.2)) in (Reason.TIMEOUT, Reason.AUTH_FAILED)

    async def test_an_unknown_protocol_is_our_lack(self, client: SnmpClient, port: int) -> None:
        who = Credentials("3", "", "seal-sha", "SHA", AUTH_PASSWORD, "AES-512", PRIV_PASSWORD)
        assert await fails(client, device(port, who)) is Reason.NO_LIBRARY

    async def test_many_conversations_at_once_are_not_mixed_up(self, client: SnmpClient, port: int) -> None:
        wanted = [f"1.3.6.1.2.1.2.2.1.{column}.1" for column in (1, 2, 3, 4)] * 6

        async def one(oid: str) -> tuple[str, dict[str, Any]]:
            return oid, await get(client, device(port), oid)

        for oid, found in await asyncio.gather(*(one(oid) for oid in wanted)):
            assert set(found) == {oid}

    @pytest.mark.parametrize("user", ["noauth", "sha-aes"])
    async def test_a_restarted_agent_is_found_again(self, client: SnmpClient, tmp_path: Path, user: str) -> None:
        daemon, port = make_snmpd(tmp_path)
        daemon.start()
        try:
            to = device(port, USERS[user], timeout_s=1.0)
            assert await get(client, to, SYS_NAME)
            daemon.stop()
            daemon.start()
            assert await get(client, to, SYS_NAME)
        finally:
            daemon.stop()


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with snmpd(tmp_path_factory.mktemp("pairs"), users=every_pair()) as port:
        yield port


@pytest.mark.parametrize("auth", SIGNING)
async def test_every_pair_of_signing_and_sealing(client: SnmpClient, paired: int, auth: str) -> None:
    for priv in SEALING:
        who = Credentials("3", "", f"{auth}.{priv}".lower(), auth, AUTH_PASSWORD, priv, PRIV_PASSWORD)
        assert await get(client, device(paired, who), SYS_NAME) == {SYS_NAME: b"sw-ward7"}, priv


class TestVersion1:
    """The oldest agents: no bulk, no "nothing here" beside other answers, no 64-bit counters."""

    def old(self, port: int) -> Device:
        return device(port, Credentials("1", COMMUNITY))

    async def test_scalars(self, client: SnmpClient, port: int) -> None:
        found = await get(client, self.old(port), SYS_NAME, ABSENT, SYS_OBJECT_ID, f"{ABSENT}.1", SYS_UPTIME)
        assert set(found) == {SYS_NAME, SYS_OBJECT_ID, SYS_UPTIME}
        assert await get(client, self.old(port), ABSENT) == {}

    async def test_a_column(self, client: SnmpClient, port: int) -> None:
        expected = [oid for oid, _ in walk_tool(port, IF_NAME)]
        async with client.session(self.old(port)) as session:
            column = await read_column(session, IF_NAME, retries=1, most=1000)
            past_the_end = await read_column(session, "1.3.6.1.9", retries=1, most=1000)
        assert [f"{IF_NAME}.{index}" for index, _ in column.rows] == expected
        assert (column.trouble, past_the_end.rows, past_the_end.trouble) == (None, (), None)

    async def test_a_wrong_community_is_silence(self, client: SnmpClient, port: int) -> None:
        assert await fails(client, device(port, Credentials("1", "wrong"), timeout_s=0.2)) is Reason.TIMEOUT


async def test_silence_is_a_timeout_after_every_retry(client: SnmpClient) -> None:
    with silent_port() as port:
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await fails(client, device(port, timeout_s=0.2)) is Reason.TIMEOUT
        assert 0.35 < loop.time() - began < 5.0


async def test_a_closed_port_is_refused_where_the_library_can_tell(client: SnmpClient) -> None:
    with silent_port() as port:
        pass
    can_tell = type(client).__name__ == "GufoClient"
    assert await fails(client, device(port, timeout_s=0.5)) is (Reason.REFUSED if can_tell else Reason.TIMEOUT)


async def test_every_type(client: SnmpClient) -> None:
    values: dict[str, Any] = {
        f"{COLUMN}.1": ("int", -7),
        f"{COLUMN}.2": ("counter32", 2**32 - 1),
        f"{COLUMN}.3": ("counter64", 2**64 - 1),
        f"{COLUMN}.4": ("gauge32", 2**32 - 1),
        f"{COLUMN}.5": ("timeticks", 123),
        f"{COLUMN}.6": ("octets", b"\xff\x00caf\xc3\xa9"),
        f"{COLUMN}.7": ("octets", b""),
        f"{COLUMN}.8": ("oid", "1.3.6.1.4.1.9.1.634"),
        f"{COLUMN}.9": ("ip", "192.0.2.7"),
        f"{COLUMN}.10": ("opaque", b"\x9fx\x04\x3f\x80\x00\x00"),
    }
    expected = [-7, 2**32 - 1, 2**64 - 1, 2**32 - 1, 123, b"\xff\x00caf\xc3\xa9", b"", "1.3.6.1.4.1.9.1.634"]
    expected += ["192.0.2.7", b"\x9fx\x04\x3f\x80\x00\x00"]
    async with agent(values) as (_, port):
        assert await get(client, device(port), *values) == dict(zip(values, expected, strict=True))
        async with client.session(device(port)) as session:
            column = await read_column(session, COLUMN, retries=0, most=100)
    assert [value for _, value in column.rows] == expected


def quick(port: int) -> Device:
    return device(port, timeout_s=0.3, most=10)


def rows(count: int, column: str = COLUMN) -> dict[str, Any]:
    return {f"{column}.{n}": ("int", n) for n in range(1, count + 1)}


async def test_a_table_that_ends_with_the_mib_or_with_another_column(client: SnmpClient) -> None:
    other = "1.3.6.1.4.1.99999.1.2"
    async with agent(rows(50) | rows(3, other)) as (_, port), client.session(device(port)) as session:
        first = await read_column(session, COLUMN, retries=0, most=100)
        last = await read_column(session, other, retries=0, most=100)
        none = await read_column(session, "1.3.6.1.4.1.99999.2", retries=0, most=100)
    assert [value for _, value in first.rows] == list(range(1, 51))
    assert [value for _, value in last.rows] == [1, 2, 3]
    assert (none.rows, none.trouble, first.trouble, last.trouble) == ((), None, None, None)


async def test_rows_before_a_stall_are_kept(client: SnmpClient) -> None:
    def stall(request: Request, answer: bytes) -> bytes | None:
        return answer if request.number <= 2 else None

    async with agent(rows(100), twist=stall) as (_, port), client.session(quick(port)) as session:
        column = await read_column(session, COLUMN, retries=1, most=1000)
    assert [value for _, value in column.rows] == list(range(1, 21))
    assert column.trouble is not None
    assert column.trouble.reason is Reason.TIMEOUT


async def test_one_lost_packet_costs_nothing(client: SnmpClient) -> None:
    def lose(request: Request, answer: bytes) -> bytes | None:
        return None if request.number == 3 else answer

    async with agent(rows(50), twist=lose) as (server, port), client.session(quick(port)) as session:
        column = await read_column(session, COLUMN, retries=1, most=1000)
    assert [value for _, value in column.rows] == list(range(1, 51))
    assert column.trouble is None
    assert len(server.requests) >= 6


@pytest.mark.parametrize("most", [1, 10])
async def test_oids_that_do_not_increase_end_the_walk(client: SnmpClient, most: int) -> None:
    def loop(request: Request, _: bytes) -> bytes:
        last = int(request.oids[0].rpartition(".")[2]) if request.oids[0] != COLUMN else 0
        ahead = [(last + n) % 7 + 1 for n in range(request.repetitions)]
        return response(request, [(f"{COLUMN}.{n}", ("int", n)) for n in ahead])

    async with agent(rows(1), twist=loop) as (_, port), client.session(device(port, most=most)) as session:
        column = await asyncio.wait_for(read_column(session, COLUMN, retries=0, most=1000), 10)
    assert [value for _, value in column.rows] == list(range(1, 8))


async def test_an_endless_table_is_cut(client: SnmpClient) -> None:
    def endless(request: Request, _: bytes) -> bytes:
        last = int(request.oids[0].rpartition(".")[2]) if request.oids[0] != COLUMN else 0
        return response(request, [(f"{COLUMN}.{last + n + 1}", ("int", n)) for n in range(request.repetitions)])

    async with agent(rows(1), twist=endless) as (_, port), client.session(device(port)) as session:
        column = await read_column(session, COLUMN, retries=0, most=105)
    assert len(column.rows) == 105
    assert column.trouble is not None
    assert column.trouble.reason is Reason.TOO_LARGE


async def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(client: SnmpClient) -> None:
    held: list[bytes] = []

    def late(request: Request, answer: bytes) -> bytes | None:
        if request.number == 1:
            held.append(answer)
            return None
        if held and server.transport:
            server.transport.sendto(held.pop(), peer[0])
        return answer

    peer: list[Any] = []
    async with agent(rows(9)) as (server, port):
        server.twist = late
        original = server.datagram_received

        def note(data: bytes, addr: Any) -> None:
            peer[:] = [addr]
            original(data, addr)

        server.datagram_received = note  # type: ignore[method-assign]
        async with client.session(device(port, timeout_s=0.3)) as session:
            with pytest.raises(SnmpTrouble):
                await session.get([f"{COLUMN}.1"])
            assert await session.get([f"{COLUMN}.2"]) == {f"{COLUMN}.2": 2}


async def test_an_answer_that_is_too_big_is_asked_in_halves(client: SnmpClient) -> None:
    values = {f"{COLUMN}.{n}": ("octets", b"x" * 200) for n in range(1, 21)}
    async with agent(values, most_bytes=1000) as (_, port):
        assert len(await get(client, device(port), *values)) == 20


@pytest.mark.parametrize("garbage", [b"", b"\x30", b"GET / HTTP/1.1", bytes(range(256)), b"\x30\x84\xff\xff\xff\xff"])
async def test_what_is_not_snmp_is_no_answer_or_a_bad_one(client: SnmpClient, garbage: bytes) -> None:
    async with agent(rows(1), twist=lambda request, answer: garbage) as (_, port):
        assert await fails(client, device(port, timeout_s=0.2)) in (Reason.TIMEOUT, Reason.BAD_RESPONSE)


async def test_a_cancelled_request_does_not_spoil_the_next(client: SnmpClient) -> None:
    async with agent(rows(3), twist=lambda request, answer: None if request.number == 1 else answer) as (_, port):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await get(client, device(port, timeout_s=5.0), f"{COLUMN}.1")
        assert await get(client, device(port, timeout_s=5.0), f"{COLUMN}.2") == {f"{COLUMN}.2": 2}
