"""Which partitions this worker takes: every second each worker says that it lives, and all share out alike.

No clocks are compared and nothing is written down. Two that both believe to own a partition share its messages; that
costs a repeat at most, since the store and the server that leads take the same batch twice without a change.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable

from healthmon.app.listening import Listening
from healthmon.app.workbench import WorkBench
from healthmon.ingest.partitions import share_of
from healthmon.model.errors import MalformedBatch, TransportDown
from healthmon.model.ports import Clock
from healthmon.runtime import stopping
from healthmon.runtime.supervise import spawn
from healthmon.transport.hands import Beat, decode_beat, encode_beat
from healthmon.transport.pulls import Pulls
from healthmon.transport.workline import WorkLine

log = logging.getLogger(__name__)

BEAT_S = 1.0
#: A worker that was not heard for so long is gone.
LIFE_S = 4.0
#: A new worker listens this long before it takes anything.
LISTEN_S = 2.0


#: Whether the store takes rows, and every counter.
Word = Callable[[], tuple[bool, dict[str, float]]]


class WorkShift:
    """`run` pulls this worker's share until cancelled; `word` gives what the beats say."""

    def __init__(
        self,
        line: WorkLine,
        bench: WorkBench,
        *,
        name: str,
        clock: Clock,
        word: Word,
    ) -> None:
        self._line = line
        self._bench = bench
        self._name = name
        self._clock = clock
        self._word = word
        self._run = secrets.token_hex(8)
        self._others: dict[str, float] = {}  # when they were last heard, in seconds that we listened
        self._listening = Listening(clock)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._twin = False

    async def run(self) -> None:
        """Say that we live, hear the others, and pull what is ours."""
        pulls = self._line.pulls(self._bench.put, self._bench.room)
        async with self._line.beats(self._heard), asyncio.TaskGroup() as group:
            began = self._clock.mono()
            try:
                while True:
                    await self._beat()
                    if self._clock.mono() - began >= LISTEN_S:
                        self._share(group, pulls)
                    await self._clock.sleep(BEAT_S)
            finally:
                await self._part()

    def _share(self, group: asyncio.TaskGroup, pulls: Pulls) -> None:
        listened_s = self._listening.look(connected=self._line.hears)
        gone = [name for name, at in self._others.items() if listened_s - at > LIFE_S]
        for name in gone:
            del self._others[name]
            log.warning("another worker is gone, its agents are shared out", extra={"worker": name})
        mine = share_of(self._name, self._others)
        for partition in self._tasks.keys() - mine:
            self._tasks.pop(partition).cancel()
            self._bench.leaves(partition)
        for partition in sorted(mine - self._tasks.keys()):
            self._bench.begins(partition)
            self._tasks[partition] = spawn(group, f"partition {partition}", self._pull(pulls, partition))

    async def _pull(self, pulls: Pulls, partition: int) -> None:
        while True:
            try:
                await self._bench.sit(partition)
                await self._line.take(pulls, partition)
            except TransportDown as error:
                log.debug("partition cannot be pulled", extra={"partition": partition, "error": str(error)})
            await self._clock.sleep(1.0)

    async def _beat(self, *, left: bool = False) -> None:
        store_ok, counters = self._word()
        beat = Beat(self._name, self._run, len(self._tasks), store_ok, left, counters)
        try:
            await self._line.beat(encode_beat(beat))
        except TransportDown as error:
            log.debug("nobody can hear that this worker lives", extra={"error": str(error)})

    async def _part(self) -> None:
        with contextlib.suppress(TimeoutError):  # then the others miss us
            async with stopping.within(2 * BEAT_S):
                await self._beat(left=True)

    def _heard(self, payload: bytes) -> None:
        try:
            beat = decode_beat(payload)
        except MalformedBatch:
            return
        if beat.worker != self._name:
            if beat.left:
                self._others.pop(beat.worker, None)
            else:
                self._others[beat.worker] = self._listening.seconds
        elif beat.run != self._run and not beat.left and not self._twin:
            self._twin = True
            log.error("another worker has this name: give each its own", extra={"worker": self._name})
