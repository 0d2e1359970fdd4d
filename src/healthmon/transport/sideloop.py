"""A Bus that lives on a selector loop in a side thread, for main loops that cannot watch sockets (Windows)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from healthmon.model.errors import TransportDown
from healthmon.model.ports import Bus, Message
from healthmon.runtime.supervise import spawn
from healthmon.transport.arrivals import Arrivals

Result = TypeVar("Result")


class SideBus:
    """Hands every call to the bus in the side thread and its arrivals back to this loop."""

    def __init__(self, bus: Bus, *, side: asyncio.AbstractEventLoop, home: asyncio.AbstractEventLoop) -> None:
        self._bus = bus
        self._side = side
        self._home = home
        self._arrivals = Arrivals()

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        await self._across(self._bus.publish(topic, payload, qos=qos, retain=retain))

    def post(self, messages: Iterable[tuple[str, bytes]]) -> bool:
        """True once the side loop has them; what it finds no room for nobody hears of."""
        if self._arrivals.lost is not None:
            raise TransportDown(self._arrivals.lost)
        self._side.call_soon_threadsafe(self._post, tuple(messages))
        return True

    def _post(self, messages: Iterable[tuple[str, bytes]]) -> None:
        with contextlib.suppress(TransportDown):
            self._bus.post(messages)

    async def subscribe(self, *topics: str, qos: int = 0) -> None:
        await self._across(self._bus.subscribe(*topics, qos=qos))

    def messages(self) -> AsyncIterator[Message]:
        return self._arrivals

    async def _across(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the side loop and await it on this one."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._side))

    async def pump(self) -> None:
        """Runs on the side loop: arrivals, and at last the loss."""
        try:
            async for message in self._bus.messages():
                self._home.call_soon_threadsafe(self._arrivals.put, message)
        except TransportDown as down:
            self._home.call_soon_threadsafe(self._arrivals.end, str(down))


@asynccontextmanager
async def in_side_thread(open_bus: Callable[[], AbstractAsyncContextManager[Bus]]) -> AsyncIterator[Bus]:
    """Open a bus on a selector loop in a thread of its own, and close it with the block."""
    home = asyncio.get_running_loop()
    opened: asyncio.Future[SideBus] = home.create_future()
    leave: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def live() -> None:
        side, left = asyncio.get_running_loop(), asyncio.Event()
        leave.append((side, left))
        async with open_bus() as bus, asyncio.TaskGroup() as group:
            proxy = SideBus(bus, side=side, home=home)
            pump = spawn(group, "side-bus-pump", proxy.pump())
            home.call_soon_threadsafe(_settle, opened, proxy)
            await left.wait()
            pump.cancel()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(live())
        except Exception as error:  # boundary: the thread's only way to tell is the future
            home.call_soon_threadsafe(_settle, opened, error)

    thread = threading.Thread(target=run, name="side-bus", daemon=True)
    thread.start()
    try:
        yield await opened
    finally:
        for side, left in leave:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                side.call_soon_threadsafe(left.set)
        await asyncio.to_thread(thread.join)


def _settle(future: asyncio.Future[SideBus], result: SideBus | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(TransportDown(str(result)))
    else:
        future.set_result(result)
