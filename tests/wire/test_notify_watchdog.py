"""The watchdog beside a real server process that is stopped, frozen, stuck and mended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.process import Daemon, free_port, listens
from healthmon.alerting.notify import make_channel
from healthmon.alerting.notify.inbox import read_inbox
from healthmon.app.watchdog import Look, Seen, Watch, look_at, run_watchdog, witnessed
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

SERVER = """
import json, pathlib, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        age_s = float(pathlib.Path(sys.argv[2]).read_text())
        body = json.dumps({"status": "ok", "engine_tick_age_s": age_s, "store_ok": True}).encode()
        self.send_response(200 if self.path == "/api/v1/health" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""


class Patient:
    """The server that is watched, as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._age = folder / "age"
        self.engine_age(0.1)
        argv = [sys.executable, "-c", SERVER, str(self.port), str(self._age)]
        self.daemon = Daemon(argv, ready=listens(self.port), log=folder / "server.log")
        self.daemon.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def engine_age(self, seconds: float) -> None:
        self._age.write_text(str(seconds))

    def signal(self, how: signal.Signals) -> None:
        assert self.daemon.process
        self.daemon.process.send_signal(how)


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    server = Patient(tmp_path)
    yield server
    with contextlib.suppress(ProcessLookupError, AssertionError):
        server.signal(signal.SIGCONT)
    server.daemon.stop()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    return tmp_path / "inbox.jsonl"


def watch(patient: Patient, tmp_path: Path, **more: Any) -> Watch:
    settings = {"every_s": 0.05, "timeout_s": 1.0, "tries": 3, "clear_tries": 2}
    return Watch(patient.url, tmp_path / "watchdog.sqlite", **{**settings, **more})


@contextlib.asynccontextmanager
async def watching(what: Watch, inbox: Path) -> AsyncIterator[None]:
    stop = asyncio.Event()
    channels = {"inbox": make_channel("inbox", {"path": str(inbox)})}
    async with asyncio.TaskGroup() as group:
        group.create_task(run_watchdog(what, channels, SystemClock(), stop))
        yield
        stop.set()


async def until(true: Callable[[], bool], what: str) -> None:
    """Wait for it; the limit guards against hanging, it measures nothing."""
    async with asyncio.timeout(40):
        while not true():  # noqa: ASYNC110 (other processes and threads change it)
            await asyncio.sleep(0.02)
    assert true(), what


def whys(inbox: Path) -> list[str]:
    return [message["why"] for message in read_inbox(inbox)]


async def looks(count: int) -> None:
    await asyncio.sleep(count * 0.1)


Fault = Callable[[Patient], None]
FAULTS: dict[str, tuple[Fault, Fault, str]] = {
    "stopped": (lambda p: p.daemon.kill9(), lambda p: p.daemon.start(), "cannot be reached"),
    "frozen": (lambda p: p.signal(signal.SIGSTOP), lambda p: p.signal(signal.SIGCONT), "does not answer (frozen)"),
    "stuck": (lambda p: p.engine_age(99.0), lambda p: p.engine_age(0.2), "its engine stands still"),
}


@pytest.mark.parametrize(("hurt", "heal", "words"), FAULTS.values(), ids=FAULTS)
async def test_each_fault_is_told_once_and_so_is_its_end(
    hurt: Fault, heal: Fault, words: str, patient: Patient, inbox: Path, tmp_path: Path
) -> None:
    async with watching(watch(patient, tmp_path), inbox):
        await looks(5)
        assert whys(inbox) == []
        hurt(patient)
        await until(lambda: whys(inbox) == ["opened"], "the page")
        await looks(5)
        await asyncio.to_thread(heal, patient)
        await until(lambda: len(whys(inbox)) > 1, "the end")
        await looks(5)
    assert whys(inbox) == ["opened", "mitigated"]
    page, end = read_inbox(inbox)
    assert words in page["text"]
    assert (page["severity"], page["incident"]["kind"]) == (1, "blind")
    assert page["incident_id"] == end["incident_id"]
    assert page["key"] != end["key"]


async def test_a_restarted_watchdog_repeats_nothing_and_still_tells_the_end(
    patient: Patient, inbox: Path, tmp_path: Path
) -> None:
    what = watch(patient, tmp_path)
    patient.engine_age(99.0)
    async with watching(what, inbox):
        await until(lambda: whys(inbox) == ["opened"], "the page")
    async with watching(what, inbox):
        await looks(8)
    assert whys(inbox) == ["opened"]
    patient.engine_age(0.1)
    async with watching(what, inbox):
        await until(lambda: len(whys(inbox)) > 1, "the end")
    assert whys(inbox) == ["opened", "mitigated"]
    patient.engine_age(99.0)
    async with watching(what, inbox):
        await until(lambda: len(whys(inbox)) > 2, "the next episode")
    assert len({message["key"] for message in read_inbox(inbox)}) == 3


async def test_a_page_that_could_not_go_out_goes_out_after_the_restart(
    patient: Patient, inbox: Path, tmp_path: Path
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    what = watch(patient, tmp_path)
    patient.engine_age(99.0)
    async with watching(what, Path("/dev/full")):
        await looks(10)
    async with watching(what, inbox):
        await until(lambda: whys(inbox) == ["opened"], "the page")


async def test_its_own_dead_network_is_no_news_of_the_server(patient: Patient, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as near:
        alive = f"127.0.0.1:{near.getsockname()[1]}"
        silent = Look(Seen.SILENT, "refused")
        assert await witnessed(watch(patient, tmp_path, witnesses=(alive,)), silent) == silent
    refuses = f"127.0.0.1:{free_port()}"
    assert await witnessed(watch(patient, tmp_path, witnesses=(refuses,)), silent) == silent, "a refusal is an answer"
    with socket.socket() as full:  # a listener whose queue is full takes no more connections
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        gone = f"127.0.0.1:{full.getsockname()[1]}"
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        found = await witnessed(watch(patient, tmp_path, timeout_s=0.3, witnesses=(gone,)), silent)
        for filler in fillers:
            filler.close()
    assert found.seen is Seen.OWN_NETWORK


async def test_other_answers(patient: Patient, tmp_path: Path) -> None:
    assert (await look_at(watch(patient, tmp_path))).seen is Seen.OK
    elsewhere = Watch(patient.url + "/board", tmp_path / "x.sqlite")
    assert await look_at(elsewhere) == Look(Seen.WRONG, "HTTP 404")
    nobody = Watch(f"http://127.0.0.1:{free_port()}", tmp_path / "x.sqlite")
    assert await look_at(nobody) == Look(Seen.SILENT, "Connection refused")
    tls = Watch(patient.url.replace("http:", "https:"), tmp_path / "x.sqlite")
    assert (await look_at(tls)).seen is Seen.SILENT
