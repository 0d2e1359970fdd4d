"""The packaged broker: private, on the same port after a crash, never an orphan, never twice in one directory."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from daemons.nats import nats_server
from daemons.process import listens
from healthmon.model.errors import ConfigError, TransportDown
from healthmon.model.plan import Broker
from healthmon.runtime.backoff import Backoff
from healthmon.runtime.clock import SystemClock
from healthmon.transport import embedded as embedded_module
from healthmon.transport import mqtt
from healthmon.transport.embedded import _WATCHER, EmbeddedBroker

pytestmark = pytest.mark.wire


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    nats_server()
    return tmp_path / "broker"


@pytest.fixture
async def embedded(folder: Path) -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker(folder, clock=SystemClock()) as broker:
        yield broker


async def publish(broker: EmbeddedBroker, payload: bytes = b"x", *, retain: bool = False) -> None:
    await publish_to(broker.broker, payload, retain=retain)


async def publish_to(broker: Broker, payload: bytes = b"x", *, retain: bool = False) -> None:
    async with mqtt.connector(broker, client_id="test")() as bus:
        await bus.publish("t/x", payload, retain=retain)


async def retained(broker: EmbeddedBroker) -> bytes:
    async with mqtt.connector(broker.broker, client_id="test")() as bus:
        await bus.subscribe("t/x", qos=1)
        async with asyncio.timeout(10):
            return (await anext(bus.messages())).payload


async def until(true: object, within_s: float = 15.0) -> None:
    assert callable(true)
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  a process outside gives no event
            await asyncio.sleep(0.02)


async def test_it_listens_on_loopback_only_and_keeps_its_files_private(embedded: EmbeddedBroker, folder: Path) -> None:
    await publish(embedded)
    assert embedded.pid is not None
    listening = [c.laddr.ip for c in psutil.Process(embedded.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert set(listening) == {"127.0.0.1"}
    for name in ("password", "nats-server.conf", "nats-server.pid"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    assert embedded.broker.password
    assert len(embedded.broker.password) >= 20
    assert embedded.broker.password not in repr(embedded.broker)


async def test_what_runs_beside_it_does_not_try_mqtt_5_with_it(embedded: EmbeddedBroker, folder: Path) -> None:
    await publish(embedded)
    assert "protocol version" not in (folder / "nats-server.log").read_text()
    await publish_to(replace(embedded.broker, mqtt5=True))  # who does not know that is let in all the same
    assert "unacceptable protocol version of 5" in (folder / "nats-server.log").read_text()


async def test_nobody_comes_in_without_the_password(embedded: EmbeddedBroker) -> None:
    for broker in (replace(embedded.broker, password="guess"), replace(embedded.broker, username=None, password=None)):
        with pytest.raises(TransportDown):
            async with mqtt.connector(broker, client_id="intruder")():
                pytest.fail("it was let in")


async def test_a_restart_keeps_port_password_and_messages(folder: Path) -> None:
    async with EmbeddedBroker(folder, clock=SystemClock()) as first:
        await publish(first, b"kept", retain=True)
    async with EmbeddedBroker(folder, clock=SystemClock()) as second:
        assert second.broker == first.broker
        assert await retained(second) == b"kept"


async def test_a_given_port_is_used(folder: Path, unused_port: int) -> None:
    async with EmbeddedBroker(folder, port=unused_port, clock=SystemClock()) as broker:
        assert broker.broker.url == f"mqtt://127.0.0.1:{unused_port}"


@pytest.fixture
def unused_port() -> int:
    from daemons.process import free_port

    return free_port()


async def test_after_kill_9_it_is_back_on_the_same_port_with_what_was_acknowledged(embedded: EmbeddedBroker) -> None:
    await publish(embedded, b"before", retain=True)
    first, where = embedded.pid, embedded.broker
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: embedded.restarts == 1 and embedded.pid not in (None, first))
    async with asyncio.timeout(15):
        while True:
            try:
                assert await retained(embedded) == b"before"
                break
            except TransportDown:
                await asyncio.sleep(0.05)
    assert embedded.broker == where


@pytest.mark.parametrize(("good_run_s", "rests"), [(3600.0, 3), (0.0, 0)])
async def test_one_that_keeps_dying_is_started_ever_more_seldom(
    folder: Path, monkeypatch: pytest.MonkeyPatch, good_run_s: float, rests: int
) -> None:
    """One that ran well before is started at once."""
    asked: list[float] = []

    class Rests(Backoff):
        def next_s(self) -> float:
            asked.append(super().next_s())
            return 0.0

    monkeypatch.setattr(embedded_module, "Backoff", Rests)
    monkeypatch.setattr(embedded_module, "GOOD_RUN_S", good_run_s)
    async with EmbeddedBroker(folder, clock=SystemClock()) as broker:
        for _ in range(3):
            before, pid = broker._up_at, broker.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda before=before: broker._up_at > before, 60.0)
    assert len(asked) == rests


async def test_a_clean_stop_leaves_no_process_and_no_pid_file(folder: Path) -> None:
    async with EmbeddedBroker(folder, clock=SystemClock()) as broker:
        pid = broker.pid
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not (folder / "nats-server.pid").exists()


async def test_a_second_one_in_the_same_directory_is_refused(embedded: EmbeddedBroker, folder: Path) -> None:
    with pytest.raises(ConfigError, match="in use by another healthmon"):
        async with EmbeddedBroker(folder, clock=SystemClock()):
            pytest.fail("two brokers on one store")
    await publish(embedded)


async def test_the_body_error_passes_and_the_child_ends(folder: Path) -> None:
    broker = EmbeddedBroker(folder, clock=SystemClock())
    pids: list[int | None] = []

    async def fail_inside() -> None:
        async with broker:
            pids.append(broker.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_inside()
    assert pids[0] is not None
    assert not psutil.pid_exists(pids[0])


async def test_a_port_that_is_taken_is_told(folder: Path) -> None:
    taken = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    async with taken:
        with pytest.raises(TransportDown, match="is taken by another program"):
            async with EmbeddedBroker(folder, port=port, clock=SystemClock()):
                pytest.fail("it cannot listen there")


PARENT = """
import asyncio, sys
from healthmon.runtime.clock import SystemClock
from healthmon.transport.embedded import EmbeddedBroker

async def main():
    async with EmbeddedBroker(sys.argv[1], clock=SystemClock()) as broker:
        print(broker.pid, broker.broker.url, flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


def parent(folder: Path) -> tuple[subprocess.Popen[str], int, str]:
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid, url = process.stdout.readline().split()
    return process, int(pid), url


def gone(pid: int, within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_the_child_dies_with_a_killed_parent(folder: Path) -> None:
    process, pid, _ = parent(folder)
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    assert gone(pid)


async def test_a_restart_right_after_a_kill_takes_over_the_port(folder: Path) -> None:
    process, pid, url = parent(folder)
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    async with EmbeddedBroker(folder, clock=SystemClock()) as broker:
        assert broker.broker.url == url
        assert broker.pid != pid
        await publish(broker)


def test_where_there_is_no_deathsig_a_watcher_ends_the_child() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    watcher = subprocess.Popen([sys.executable, "-I", "-c", _WATCHER, str(child.pid)], stdin=subprocess.PIPE)
    try:
        time.sleep(0.2)
        assert child.poll() is None
        watcher.communicate()  # closes its standard input, as the end of the parent does
        assert child.wait(10) == -signal.SIGTERM
    finally:
        child.kill()
        child.wait()


async def test_an_orphan_is_ended_and_its_port_taken_over(folder: Path) -> None:
    """An orphan made by hand: the same program on the same configuration, as left by a parent without a deathsig."""
    async with EmbeddedBroker(folder, clock=SystemClock()) as first:
        pass
    orphan = subprocess.Popen(  # noqa: ASYNC220
        [nats_server(), "-c", str(folder / "nats-server.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    (folder / "nats-server.pid").write_text(f"{orphan.pid}\n")
    try:
        await until(listens(int((folder / "port").read_text())))  # it runs, it is not on its way to exec
        async with EmbeddedBroker(folder, clock=SystemClock()) as second:
            assert orphan.poll() is not None or gone(orphan.pid)
            assert second.broker == first.broker
            await publish(second)
    finally:
        orphan.kill()
        orphan.wait()


async def test_a_stale_pid_file_of_a_stranger_harms_nobody(folder: Path) -> None:
    folder.mkdir(parents=True)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])  # noqa: ASYNC220
    try:
        (folder / "nats-server.pid").write_text(f"{stranger.pid}\n")
        async with EmbeddedBroker(folder, clock=SystemClock()) as broker:
            await publish(broker)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
