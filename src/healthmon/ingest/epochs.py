"""What is known of one agent's epoch: which numbers came, which are durable, and how its clock is off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from healthmon.model.journal import Epoch
from healthmon.model.sample import Batch
from healthmon.runtime import ranges
from healthmon.runtime.ranges import Ranges

#: A clock nearer than this to ours is left alone: the network and the queues cost as much.
SKEW_TOLERANCE_S = 2.0
#: A jump of the sender's wall clock against its own monotonic clock that starts a new clock segment.
CLOCK_STEP_S = 30.0
#: A clock that jumps more often than this within one epoch is beyond repair; the last correction stays.
MAX_CLOCK_SEGMENTS = 64
#: So many live batches in a row, over so long, are off by the same: our own clock moved since the skew was fixed.
AGREE_LEAST, AGREE_S = 3, 30.0

#: Two epochs of one agent heard by turns within this time mean that its disk image was cloned.
CLONE_WINDOW_S = 60.0


@dataclass(slots=True)
class Track:
    """The live state of one (agent, epoch). `store` and `journal` are the two halves of durable."""

    agent: str
    epoch: str
    first_at: float
    last_at: float
    clock: list[tuple[int, float, float]] = field(default_factory=list)  # (from seq, skew s, sent - mono), by seq
    received: Ranges = ()
    store: Ranges = ()
    journal: Ranges = ()
    dropped: Ranges = ()
    _odd: list[tuple[float, float]] = field(default_factory=list)  # (received, off by s) of live batches that agree

    @classmethod
    def first_heard(cls, batch: Batch, received_at: float) -> Track:
        """An epoch nobody has seen before: its skew is fixed here."""
        skew_s = skew_of(batch.sent, received_at)
        return cls(batch.agent, batch.epoch, received_at, received_at, clock=[(0, skew_s, batch.sent - batch.mono)])

    @classmethod
    def restored(cls, epoch: Epoch) -> Track:
        """What the journal holds: whatever it received is journaled, only `durable` is surely in the store."""
        return cls(
            epoch.agent,
            epoch.epoch,
            epoch.first_at,
            epoch.last_at,
            clock=list(epoch.clock) or [(0, epoch.skew_s, 0.0)],
            received=epoch.received,
            store=epoch.durable,
            journal=epoch.received,
            dropped=epoch.declared_dropped,
        )

    def frozen(self) -> Epoch:
        """The journal's form."""
        return Epoch(
            self.agent,
            self.epoch,
            self.clock[-1][1],
            self.first_at,
            self.last_at,
            received=self.received,
            durable=self.durable(),
            declared_dropped=self.dropped,
            clock=tuple(self.clock),
        )

    def take_word(self, epoch: Epoch, seq: int) -> None:
        """One more number, and what a worker has found of this epoch; its ranges may begin late, so they are added."""
        self.received = self.journal = ranges.add(self.received, seq)
        self.store = ranges.merge(self.store, epoch.durable)
        self.dropped = ranges.subtract(ranges.merge(self.dropped, epoch.declared_dropped), self.received)
        self.last_at = max(self.last_at, epoch.last_at)
        self.clock = list(epoch.clock) or self.clock

    def durable(self) -> Ranges:
        """In the store and in the journal: what the agent may delete."""
        return ranges.intersect(self.store, self.journal)

    def gaps(self) -> Ranges:
        """Numbers between the lowest and the highest received that neither came nor were declared as dropped."""
        if len(self.received) < 2:
            return ()
        known = ranges.merge(self.received, self.dropped)
        return ranges.gaps(known, self.received[-1][1], start=self.received[0][0])

    def skew_for(self, batch: Batch) -> float:
        """Seconds to add to the times of this batch; the same for every redelivery.

        Its own clock says which segment it belongs to: what was taken before a step may be sent after it, and what was
        taken after a step while nobody listened has lower numbers than the batch that showed it. Else its number does.
        """
        segments = self.clock[::-1]
        if batch.clock is not None and len(segments) > 1:
            for _, skew_s, reference in segments:
                if reference and abs(reference - batch.clock) <= SKEW_TOLERANCE_S:
                    return skew_s
        return next(skew_s for start, skew_s, _ in segments if start <= batch.seq)

    def note_clock(self, batch: Batch, received_at: float, jumps: Iterable[float] = ()) -> bool:
        """Start a new segment when the sender's wall clock has jumped, or ours has; True when one has.

        A message that merely waited in a queue looks late too, but its wall clock and its monotonic clock agree. They
        agree as well when it was our clock that moved: then it is late by a jump of ours, or several in a row tell it.
        """
        start, skew_s, reference = self.clock[-1]
        if not batch.live or (self.received and batch.seq <= self.received[-1][1]):
            return False
        off_by_s = received_at - batch.sent - skew_s
        if abs(off_by_s) <= SKEW_TOLERANCE_S:  # a suspended laptop shifts the two clocks, yet tells the right time
            self.clock[-1] = (start, skew_s, batch.sent - batch.mono)
            self._odd.clear()
            return False
        moved = bool(reference) and abs(batch.sent - batch.mono - reference) > SKEW_TOLERANCE_S
        if abs(off_by_s) <= CLOCK_STEP_S or len(self.clock) >= MAX_CLOCK_SEGMENTS:
            return False
        early = off_by_s < 0.0  # no queue brings a message before it was sent
        jumped = any(abs(off_by_s - jump_s) <= SKEW_TOLERANCE_S for jump_s in jumps)
        if not (moved or early or jumped or self._agree(off_by_s, received_at)):
            return False
        self._odd.clear()
        self.clock.append((batch.seq, skew_of(batch.sent, received_at), batch.sent - batch.mono))
        return True

    def slow(self, by_s: float) -> None:
        """The server's own clock has lost so much: what is sent from now on is that much nearer to it."""
        start, skew_s, reference = self.clock[-1]
        self.clock[-1] = (start, skew_s - by_s, reference)

    def _agree(self, off_by_s: float, received_at: float) -> bool:
        """Live batches agree for a while on another time than ours: no queue does that, it gets longer or shorter."""
        if not self._odd or abs(off_by_s - self._odd[0][1]) > SKEW_TOLERANCE_S:
            self._odd = [(received_at, off_by_s)]
            return False
        self._odd.append((received_at, off_by_s))
        return len(self._odd) >= AGREE_LEAST and received_at - self._odd[0][0] >= AGREE_S


@dataclass(slots=True)
class Turns:
    """Which epochs of one agent speak live, by turns.

    A new spool changes the epoch once, and a spool whose disk recovers goes back once; two machines with one
    identity keep changing.
    """

    newest: str
    heard: dict[str, float] = field(default_factory=dict)  # epoch -> when last
    returns: list[float] = field(default_factory=list)
    cloned_at: float | None = None

    def note(self, epoch: str, at: float) -> bool:
        """Hear one live batch; True when it shows, for the first time in a while, that two machines speak."""
        self.heard = {name: when for name, when in self.heard.items() if at - when <= CLONE_WINDOW_S}
        self.returns = [when for when in self.returns if at - when <= CLONE_WINDOW_S]
        if epoch != self.newest and epoch in self.heard:
            self.returns.append(at)
        self.newest = epoch
        self.heard[epoch] = at
        if len(self.returns) < 2:
            return False
        before, self.cloned_at = self.cloned_at, at
        return before is None or at - before > CLONE_WINDOW_S


def skew_of(sent: float, received_at: float) -> float:
    """Server clock minus agent clock in seconds, 0 when they agree well enough."""
    offset = received_at - sent
    return offset if abs(offset) > SKEW_TOLERANCE_S else 0.0
