"""Ports: what the layers ask of each other. One to four methods each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from healthmon.model.plan import Job
from healthmon.model.sample import Query, Reading, Row, Series, Written

if TYPE_CHECKING:  # every agent loads this module, and none of them needs incidents, views and estates
    from healthmon.model.drill import Drill
    from healthmon.model.incident import Command, Entry, Incident, LedgerFilter, LedgerRow, Notice, NoticeFilter, Why
    from healthmon.model.mute import Mute, MuteCommand, MuteEvent, Preview, Standing
    from healthmon.model.oncall import OncallUser, Override, Rota, Shift, Standby
    from healthmon.model.view import View


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> object: ...


class Stillness(Protocol):
    """How long this process got no turn, while somebody was `watching`."""

    @property
    def seconds(self) -> float:
        """In all."""
        ...

    @property
    def long(self) -> int:
        """How many times it lasted a second or more in one piece."""
        ...

    def turns_s(self) -> float:
        """Monotonic seconds in which there were turns: for limits, never for the times of others."""
        ...

    def watching(self) -> AbstractContextManager[None]:
        """Measure meanwhile."""
        ...


class Clock(Protocol):
    """The only source of time. `now` for stamps (Unix s), `mono` for durations (s)."""

    @property
    def standstill(self) -> Stillness: ...

    def now(self) -> float: ...

    def mono(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    def call_later(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Call it once, from the event loop, unless the timer is cancelled; far cheaper than a task that sleeps."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """One network address that the safety block has admitted. family is socket.AF_INET or AF_INET6.

    gentle: inside a medical network; send one packet or make one connection, and nothing more.
    """

    family: int
    ip: str
    port: int
    gentle: bool = False


class Sight(Protocol):
    """What a probe may use: who looks, the clock, the one way to an address, and a transcript.

    waited_s: seconds that `resolve` held the run back on purpose (rates) or that this process stood still; they are
    not the target's time.
    """

    vantage: str
    clock: Clock

    @property
    def waited_s(self) -> float: ...

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Resolve, apply the safety block and the rates. Raises NotAllowed, OSError; every connection goes here."""
        ...

    def trace(self, line: str) -> None:
        """Add a line to the debug transcript of `healthmon probe` (cheap when nobody reads it)."""
        ...


class Probe(Protocol):
    """Ask one target one question. May raise: the runner turns exceptions into readings."""

    async def probe(self, job: Job, sight: Sight) -> Reading: ...


@dataclass(frozen=True, slots=True)
class Sent:
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now; try again, not before `after_s` if given."""

    detail: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """Never with this content to this address; a person must look."""

    detail: str


class Notifier(Protocol):
    """One channel. At least once: the key travels with the message so that the receiver can drop a repeat."""

    async def send(self, notice: Notice) -> Sent | Retry | Dead: ...


class Store(Protocol):
    """Time series. `write` returns when the rows are durable; raises StoreDown when they may not be."""

    async def write(self, rows: Sequence[Row]) -> Written: ...

    async def query(self, query: Query) -> list[Series]: ...

    async def close(self) -> None: ...


class History(Protocol):
    """A store that can give back what came, row by row, as the engine once met it. For backtests and reports."""

    def replay(self, start: float, end: float) -> AsyncIterator[list[Row]]:
        """Raw rows of [start, end) (Unix seconds) in time order, so many at a time. Raises StoreDown."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message."""

    topic: str
    payload: bytes


class Bus(Protocol):
    """An MQTT connection that is up; losing it raises TransportDown from any method."""

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None: ...

    def post(self, messages: Iterable[tuple[str, bytes]]) -> bool:
        """(topic, payload) at QoS 0, in one write that nobody waits for. False: too much waits to go out, none goes."""
        ...

    async def subscribe(self, *topics: str, qos: int = 0) -> None: ...

    def messages(self) -> AsyncIterator[Message]: ...


#: Opens one connection; the caller reconnects with backoff.
Connect = Callable[[], AbstractAsyncContextManager[Bus]]


class Queries(Protocol):
    """What surfaces may read."""

    def view(self) -> View: ...

    async def changed(self, version: int, timeout_s: float, spacing_s: float = 0.0) -> View:
        """The first view newer than `version`, or the present one after `timeout_s`.

        For `spacing_s` only what is news to people counts: an incident that changed, an act.
        """
        ...

    async def series(self, query: Query) -> list[Series]: ...

    async def notices(self, incident: str) -> Sequence[Notice]: ...

    async def timeline(self, incident: str) -> Sequence[Entry]:
        """Every line that was ever written about it, oldest first; the incident itself drops the middle of many."""
        ...

    async def ledger(
        self, limit: int, before: float | None = None, wanted: LedgerFilter | None = None
    ) -> Sequence[LedgerRow]: ...

    async def preview(self, mute: Mute) -> Preview:
        """What a silence or change would hide if it were in force now."""
        ...

    async def mute_events(self, mute: str) -> Sequence[MuteEvent]:
        """The audit of one silence or change, oldest first."""
        ...


class Duty(Protocol):
    """Who is on call, and what people may change in it. Raises NotFound, Conflict."""

    def oncall(self, at: float | None = None) -> Sequence[Standby]: ...

    def schedule(self, rota: str, start: float, end: float) -> Sequence[Shift]: ...

    def rota(self, rota: str) -> Rota: ...

    def users(self) -> Mapping[str, OncallUser]: ...

    def overrides(self, rota: str) -> Sequence[Override]: ...

    async def loads(self) -> Mapping[str, int]:
        """Pages in the present shift of whoever is on call, by rota."""
        ...

    async def override(self, wanted: Override) -> Override: ...

    async def swap(self, first: Override, second: Override) -> Sequence[Override]: ...

    async def end_override(self, override: str, by: str) -> Sequence[Override]: ...

    async def reply(self, channel: str, raw: bytes, signature: str) -> str:
        """A gateway's webhook: somebody answered, or a message was delivered. Raises NotAllowed, NotFound, Conflict."""
        ...


@dataclass(frozen=True, slots=True)
class Previewed:
    """What a channel would carry of a notice."""

    channel: str
    kind: str
    subject: str
    text: str


class Letters(Protocol):
    """The told-log for people. Raises NotFound, Conflict."""

    async def told(self, limit: int, before: float | None, wanted: NoticeFilter) -> Sequence[Notice]:
        """Newest first, due strictly before a moment."""
        ...

    async def resend(self, key: str, by: str) -> Notice:
        """A dead notice again, once, under a key of its own."""
        ...

    async def previews(self, incident: str | None, why: Why) -> Sequence[Previewed]:
        """What every channel would carry of this incident (None: of an example)."""
        ...


class Drills(Protocol):
    """Fire drills. Raises NotFound, Conflict."""

    def drills(self) -> Sequence[Drill]:
        """Newest first."""
        ...

    def drill(self, id_: str) -> Drill: ...

    async def begin(self, agent: str | None, by: str) -> Drill: ...

    async def acknowledge(self, id_: str, by: str) -> Drill: ...


class Commands(Protocol):
    """What surfaces may do. Raises NotFound, Conflict, NotAllowed."""

    async def act(self, command: Command) -> Incident: ...

    async def mute(self, command: MuteCommand) -> Standing:
        """A person makes, extends, ends or reviews a silence or a change; the answer comes after the commit."""
        ...

    async def probing(self, *, resume: bool, by: str) -> None: ...

    async def acknowledge_by_token(self, token: str, by: str) -> Incident: ...

    async def pass_by_token(self, token: str, by: str, to: str) -> Incident:
        """Seen, not mine: the other answer to a page. The link is spent only when `to` means somebody."""
        ...

    async def incident_for_token(self, token: str) -> Incident: ...
