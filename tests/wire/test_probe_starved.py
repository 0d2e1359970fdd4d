"""Real answers that lie in the socket when the time is over: the event loop stood still, and nobody has failed."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from healthmon.model.plan import Job, Safety
from healthmon.model.sample import Outcome, Reading
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock
from healthmon.simulation.snmp_agent import SnmpAgent

pytestmark = pytest.mark.wire

TIMEOUT_S = 0.4
#: Beyond the timeout, the runner's grace included; less than the second after which nothing is believed any more.
STOP_S = 0.8


class Stop:
    """Blocks the event loop from before the answer is sent until long after the look's time is over."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.stops = 0

    def around(self, answer: Callable[[], object]) -> None:
        """For the server's thread: send the answer while the loop stands still, the first time."""
        if self.stops:
            answer()
            return
        begun, answered = threading.Event(), threading.Event()
        self._loop.call_soon_threadsafe(self._stand_still, begun, answered)
        assert begun.wait(30.0)
        answer()
        answered.set()

    def _stand_still(self, begun: threading.Event, answered: threading.Event) -> None:
        self.stops += 1
        begun.set()
        assert answered.wait(30.0)
        time.sleep(STOP_S)


@contextmanager
def server(kind: int, serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A thread that serves until its socket is closed."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        thread = threading.Thread(target=_until_closed, args=(serve, sock), daemon=True)
        thread.start()
        yield sock.getsockname()[1]
        if kind == socket.SOCK_STREAM:
            sock.shutdown(socket.SHUT_RDWR)
        else:
            sock.sendto(b"", sock.getsockname())
    thread.join(30.0)


def _until_closed(serve: Callable[[socket.socket], None], sock: socket.socket) -> None:
    try:
        while True:
            serve(sock)
    except (OSError, EOFError):
        return


async def probe(kind: str, address: str, **params: Any) -> Reading:
    clock = SystemClock()
    guard = Guard(Safety(), clock)
    runner = Runner(vantage="v", guard=guard, clock=clock, probes=load_probe, on_reading=lambda reading: None)
    return await runner.run_once(Job("t", "c", kind, address, 30.0, TIMEOUT_S, params))


async def test_a_greeting_that_came_while_we_stood_still() -> None:
    stop = Stop()

    def serve(sock: socket.socket) -> None:
        peer, _ = sock.accept()
        with peer:
            stop.around(lambda: peer.sendall(b"LIMS 6"))
            peer.recv(1)

    with server(socket.SOCK_STREAM, serve) as port:
        reading = await probe("tcp", "127.0.0.1", port=port, expect="LIMS")
    assert (reading.outcome, stop.stops) == (Outcome.OK, 1), reading.detail
    assert reading.took < STOP_S, "how long we stood still is not the target's time"


async def test_a_page_that_came_while_we_stood_still() -> None:
    stop = Stop()

    def serve(sock: socket.socket) -> None:
        peer, _ = sock.accept()
        with peer:
            peer.recv(4096)
            stop.around(lambda: peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))

    with server(socket.SOCK_STREAM, serve) as port:
        reading = await probe("http", f"http://127.0.0.1:{port}/")
    assert (reading.outcome, stop.stops) == (Outcome.OK, 1), reading.detail


@pytest.mark.parametrize("client", ["gufo", "pysnmp"])
async def test_an_snmp_answer_that_came_while_we_stood_still(client: str) -> None:
    pytest.importorskip({"gufo": "gufo.snmp", "pysnmp": "pysnmp"}[client])
    stop = Stop()
    agent = SnmpAgent({(1, 3, 6, 1, 2, 1, 1, 3, 0): ("ticks", 4_200)})

    def serve(sock: socket.socket) -> None:
        data, peer = sock.recvfrom(4096)
        if not data:
            raise EOFError
        answer = agent._answer(data)
        assert answer is not None
        stop.around(lambda: sock.sendto(answer, peer))

    with server(socket.SOCK_DGRAM, serve) as port:
        reading = await probe("snmp", "127.0.0.1", port=port, retries=0, client=client)
    assert (reading.outcome, stop.stops) == (Outcome.OK, 1), reading.detail


async def test_a_name_that_came_while_we_stood_still() -> None:
    dns = pytest.importorskip("dns.message")
    stop = Stop()

    def serve(sock: socket.socket) -> None:
        data, peer = sock.recvfrom(4096)
        if not data:
            raise EOFError
        answer = dns.make_response(dns.from_wire(data))
        answer.set_rcode(0)
        stop.around(lambda: sock.sendto(answer.to_wire(), peer))

    with server(socket.SOCK_DGRAM, serve) as port:
        reading = await probe("dns", "127.0.0.1", port=port, name="example.org", tries=1)
    assert stop.stops == 1
    assert reading.reason != "timeout", reading.detail
