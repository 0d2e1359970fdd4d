"""Decides what of a batch is admitted: identity, duplicates, clock skew, declared data only. Pure, no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from healthmon.ingest.epochs import CLONE_WINDOW_S, SKEW_TOLERANCE_S, Track, Turns
from healthmon.ingest.guard import PatientDataGuard, suspicious
from healthmon.ingest.rows import RowMaker
from healthmon.model.journal import Epoch, Ranges
from healthmon.model.sample import Batch, Family, Reading, Row
from healthmon.model.topology import Estate
from healthmon.runtime import ranges

POLLER = "poller"
MAX_EPOCHS_PER_AGENT = 16
MAX_RANGES = 4096
#: So many series are remembered as declared; more are looked up each time.
MAX_SERIES = 500_000
MAX_SEQ = (1 << 63) - 1
#: A reading this far ahead of us after the skew is corrected would be kept long after everything else.
FUTURE_S = 300.0
#: While the server's clock finds back, what it found of other clocks is put right in steps of so much.
FOLLOW_S = 0.5

Declared = Callable[[str, str, str], bool]


@dataclass(frozen=True, slots=True)
class Admitted:
    """What may go on. `readings` are skew-corrected and guarded; `new` False: the engine has them already.

    `rows` is empty when the store has this batch, or when nothing of it was declared; a batch that the store may
    lack is written again. `key` names the batch for the store's queue.
    """

    batch: Batch
    readings: tuple[Reading, ...]
    rows: tuple[Row, ...]
    new: bool
    epoch: Epoch

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.batch.agent, self.batch.epoch, self.batch.seq)


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing of the batch goes on; `reason` is a constant word, `detail` says more."""

    reason: str
    detail: str = ""


class Pipeline:
    """One per server. `epochs` is what the journal restored; `declared` may widen which checks exist."""

    def __init__(
        self,
        *,
        estate: Estate,
        families: Mapping[str, Family],
        epochs: Mapping[tuple[str, str], Epoch],
        declared: Declared | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.guard = PatientDataGuard(families)
        self._tracks = {key: Track.restored(epoch) for key, epoch in epochs.items()}
        self._epochs_of: dict[str, set[str]] = {}
        for agent, epoch in self._tracks:
            self._epochs_of.setdefault(agent, set()).add(epoch)
        self._turns: dict[str, Turns] = {}
        self._slowed_s = 0.0
        self._jumps: Collection[float] = ()
        self._declared = declared
        self.reload(estate)

    def adopt(self, estate: Estate, *, families: Mapping[str, Family], declared: Declared | None) -> None:
        """Take another configuration; nothing that was received is forgotten."""
        self.guard.adopt(families)
        self._declared = declared
        self.reload(estate)

    def reload(self, estate: Estate) -> None:
        """Take a new site model; nothing that was received is forgotten."""
        self._estate = estate
        self._rows = RowMaker(estate)
        self._said: set[tuple[str, str, str]] = set()
        self._checks = {id: frozenset(check.id for check in target.checks) for id, target in estate.targets.items()}

    def admit(self, batch: Batch, *, topic_agent: str, received_at: float, backlog: bool = False) -> Admitted | Refused:
        """Judge one batch. `backlog`: it may have waited in the broker while nobody listened."""
        track = self._tracks.get((batch.agent, batch.epoch))
        refused = self._refuse(batch, topic_agent, track) or self._unsettled(batch, track, received_at, backlog=backlog)
        if refused:
            self.counters[f"batches_refused_{refused.reason}"] += 1
            return refused
        track = track or self._first_heard(batch, received_at)
        new = self._receive(track, batch, received_at)
        readings = tuple(self._readings(batch, _skew(track, batch, received_at), received_at))
        stored = ranges.contains(track.store, batch.seq)
        rows = () if stored else self._rows.rows_of(readings)
        self.counters["batches_admitted" if new else "batches_repeated"] += 1
        if new:
            self.counters["readings_admitted"] += len(readings)
        return Admitted(batch, readings, rows, new, track.frozen())

    def follow(self, slowed_s: float, jumps: Collection[float]) -> None:
        """The server's clock has gone slower by so much in all: what it found of other clocks goes with it.

        jumps: by how much it has jumped forward of late; a message that is late by just that did not wait.
        """
        self._jumps = jumps
        by_s = slowed_s - self._slowed_s
        if by_s >= FOLLOW_S:
            self._slowed_s = slowed_s
            for track in self._tracks.values():
                track.slow(by_s)

    def recall(self, epoch: Epoch) -> None:
        """What somebody else has found of an epoch that is not known here."""
        if (epoch.agent, epoch.epoch) not in self._tracks:
            self._begin(Track.restored(epoch))

    def hear(self, epoch: Epoch, seq: int, *, live: bool) -> bool:
        """A batch that a worker has admitted; whether it is new here."""
        track = self._tracks.get((epoch.agent, epoch.epoch))
        if track is None:
            track = Track.restored(replace(epoch, received=(), durable=()))
            self._begin(track)
        before = track.received
        track.take_word(epoch, seq)
        turns = self._turns.setdefault(epoch.agent, Turns(epoch.epoch))
        if live and turns.note(epoch.epoch, epoch.last_at):
            self.counters["agents_cloned"] += 1
        return track.received is not before

    def known(self, readings: Iterable[Reading]) -> tuple[Reading, ...]:
        """Those of what this configuration declares."""
        return tuple(reading for reading in readings if self._is_declared(reading))

    def store_has(self, agent: str, epoch: str, seq: int) -> None:
        """The store made this batch durable."""
        track = self._tracks.get((agent, epoch))
        if track:
            track.store = ranges.add(track.store, seq)

    def journal_has(self, agent: str, epoch: str, seq: int) -> None:
        """The engine's journal made this batch durable."""
        track = self._tracks.get((agent, epoch))
        if track:
            track.journal = ranges.add(track.journal, seq)

    def ack(self, agent: str, epoch: str) -> tuple[int, Ranges]:
        """(upto, ranges) of what is durable in both; (0, ()) for an epoch never heard."""
        track = self._tracks.get((agent, epoch))
        durable = track.durable() if track else ()
        return ranges.contiguous_upto(durable), durable

    def speaks_with(self, agent: str) -> str:
        """The epoch of the last batch of an agent; empty for one never heard."""
        turns = self._turns.get(agent)
        return turns.newest if turns else ""

    def epoch(self, agent: str, epoch: str) -> Epoch | None:
        """What is known of one epoch now."""
        track = self._tracks.get((agent, epoch))
        return track.frozen() if track else None

    def newest(self) -> dict[str, Track]:
        """Of each agent the epoch that spoke last, for status pages; to be read only."""
        found: dict[str, Track] = {}
        for (agent, _), track in self._tracks.items():
            if agent not in found or track.last_at >= found[agent].last_at:
                found[agent] = track
        return found

    def cloned(self, now: float) -> frozenset[str]:
        """Agents of which two epochs spoke by turns within the last minute: a cloned disk image."""
        return frozenset(
            agent
            for agent, turns in self._turns.items()
            if turns.cloned_at is not None and now - turns.cloned_at <= CLONE_WINDOW_S
        )

    def rejected(self) -> dict[str, int]:
        """Counts by reason for `healthmon_ingest_rejected_total`."""
        prefixes = ("batches_refused_", "readings_refused_", "samples_refused_")
        return {name: count for name, count in self.counts().items() if name.startswith(prefixes)}

    def counts(self) -> dict[str, int]:
        """Every counter, the guard's included; all monotone."""
        return dict(self.counters + self.guard.counts)

    def _refuse(self, batch: Batch, topic_agent: str, track: Track | None) -> Refused | None:
        if batch.agent != topic_agent:
            return Refused("foreign", f"{topic_agent} published a batch of {batch.agent}")
        if batch.agent != POLLER and batch.agent not in self._estate.agents:
            return Refused("unknown_agent", batch.agent)
        if not 1 <= batch.seq <= MAX_SEQ or any(not 1 <= low <= high <= MAX_SEQ for low, high in batch.dropped):
            return Refused("bad_sequence", f"seq {batch.seq}")
        if track and len(track.received) >= MAX_RANGES and not ranges.contains(track.received, batch.seq):
            return Refused("too_many_gaps", f"{len(track.received)} ranges")
        return None

    def _unsettled(self, batch: Batch, track: Track | None, received_at: float, *, backlog: bool) -> Refused | None:
        """A first message that waited in the broker would fix a wrong skew; the agent sends it again."""
        if track is None and backlog and received_at - batch.sent > SKEW_TOLERANCE_S:
            return Refused("skew_unsettled", "first message of an epoch out of a backlog")
        return None

    def _begin(self, track: Track) -> None:
        """Remember it; of one agent the oldest is forgotten. A whole fleet begins at once, so nothing looks at all."""
        known = self._epochs_of.setdefault(track.agent, set())
        while len(known) >= MAX_EPOCHS_PER_AGENT:
            oldest = min(known, key=lambda epoch: (self._tracks[track.agent, epoch].last_at, epoch))
            known.discard(oldest)
            del self._tracks[track.agent, oldest]
            self.counters["epochs_forgotten"] += 1
        known.add(track.epoch)
        self._tracks[track.agent, track.epoch] = track

    def _first_heard(self, batch: Batch, received_at: float) -> Track:
        track = Track.first_heard(batch, received_at)
        self._begin(track)
        if track.skew_for(batch):
            self.counters["clocks_corrected"] += 1
        return track

    def _receive(self, track: Track, batch: Batch, received_at: float) -> bool:
        if track.note_clock(batch, received_at, self._jumps):
            self.counters["clock_steps"] += 1
        before = track.received
        track.received = ranges.add(before, batch.seq)
        if batch.dropped or track.dropped:
            track.dropped = ranges.subtract(ranges.merge(track.dropped, batch.dropped), track.received)[-MAX_RANGES:]
        track.last_at = max(track.last_at, received_at)
        turns = self._turns.setdefault(batch.agent, Turns(batch.epoch))
        if batch.live and turns.note(batch.epoch, received_at):
            self.counters["agents_cloned"] += 1
        return track.received is not before

    def _readings(self, batch: Batch, skew_s: float, received_at: float) -> Iterable[Reading]:
        for reading in batch.readings:
            reason = self._refuse_reading(batch, reading, skew_s, received_at)
            if reason:
                self.counters[f"readings_refused_{reason}"] += 1
                continue
            guarded = self.guard.admit(reading)
            yield replace(guarded, started=guarded.started + skew_s) if skew_s else guarded

    def _refuse_reading(self, batch: Batch, reading: Reading, skew_s: float, received_at: float) -> str | None:
        if reading.vantage != batch.agent:
            return "foreign_vantage"
        if not self._is_declared(reading):
            return "undeclared_target"
        if not 0.0 < reading.started + skew_s <= received_at + FUTURE_S or not 0.0 <= reading.took < 86_400.0:
            return "bad_time"
        if not 0.0 <= reading.rest_s <= 3600.0:
            return "bad_time"
        return None

    def _is_declared(self, reading: Reading) -> bool:
        """What was found once stands until the configuration changes."""
        series = (reading.target, reading.check, reading.vantage)
        if series in self._said:
            return True
        declared = self._found_declared(reading)
        if declared and len(self._said) < MAX_SERIES:
            self._said.add(series)
        return declared

    def _found_declared(self, reading: Reading) -> bool:
        checks = self._checks.get(reading.target)
        if checks is None:
            return False
        if reading.check in checks:
            return True
        host = self._estate.vantage_target(reading.vantage)
        if host and host.id == reading.target:  # role packs give an agent's own host more checks than the file says
            return is_check_id(reading.check) and not suspicious(reading.check)
        return bool(self._declared and self._declared(reading.target, reading.check, reading.vantage))


def _skew(track: Track, batch: Batch, received_at: float) -> float:
    """What corrects its times; the newest where its own segment's, found under a wrong clock, leads beyond now."""
    skew_s, newest_s = track.skew_for(batch), track.clock[-1][1]
    if skew_s > newest_s and any(one.started + skew_s > received_at + FUTURE_S for one in batch.readings):
        return newest_s
    return skew_s


def is_check_id(text: str) -> bool:
    """The id form of the site model: `[a-z0-9][a-z0-9_-]{0,62}`."""
    plain = text.replace("_", "").replace("-", "")
    return 1 <= len(text) <= 63 and plain.isascii() and plain.isalnum() and plain == plain.lower() and text[0].isalnum()
