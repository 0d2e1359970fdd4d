"""The trap and inform receiver: a source of readings. A trap is a hint; each asks for a poll, which is the truth.

Its readings are always `unknown/unproven`, because a notification says nothing that can be believed alone: UDP loses
the linkUp after a linkDown, v1 and v2c are not signed, and a port that is down is no fault of the switch that says so.
`failed` would let anybody who forges a datagram take a switch down, and nothing would surely bring it back; `ok` would
be taken as proof that it works.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from healthmon.model.ports import Clock
from healthmon.model.sample import Family, Outcome, Reading, Reason, Sample
from healthmon.probes.limits import Pace
from healthmon.probes.resolver import literal
from healthmon.probes.snmp_client import Credentials
from healthmon.probes.trap_pack import OTHER, Meaning, Port, meaning_of, port_of
from healthmon.probes.trap_users import Users
from healthmon.probes.trap_wire import MOST_BYTES, Malformed, Notification, read_message, version_of
from healthmon.runtime.queue import BoundedQueue, FullPolicy

log = logging.getLogger(__name__)

CHECK = "trap"
COUNTS = (
    "received",
    "accepted",
    "unknown_sender",
    "refused",
    "malformed",
    "too_large",
    "rate_limited",
    "repeated",
    "folded",
    "queue_dropped",
    "bugs",
)
FAMILIES = (
    Family("snmp_trap", frozenset({"received_total", "raised", "effect"}), frozenset({"event", "interface"})),
    Family("snmp_trap_receiver", frozenset(f"{name}_total" for name in COUNTS)),
)

#: A sender may say so many at once; its rate is in the settings.
BURST = 50.0
#: All senders together: what reaches the spool, a second.
READINGS_HZ = 50.0
#: The same event of the same port again within this is counted and not told again.
FOLD_S = 1.0
MOST_WAITING = 1000
#: Series and names that are remembered; the oldest go.
MOST_KNOWN = 20_000
_MOST_STRANGERS = 100

#: The port's name from elsewhere (the device's own table), or None.
PortName = Callable[[str, int], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen and whom to believe. Without a community v1 and v2c are refused, without users v3."""

    host: str = "0.0.0.0"
    port: int = 162
    community: str | None = field(default=None, repr=False)
    users: tuple[Credentials, ...] = ()
    per_sender_hz: float = 10.0


@dataclass(frozen=True, slots=True)
class _Heard:
    target: str
    notification: Notification
    at: float


class TrapReceiver(asyncio.DatagramProtocol):
    """Filters before it reads: sender, rate, size, community; then meaning and port. Counts everything.

    senders: source address -> target; hint: called at once for every trap of a target, also for those over the rate.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        vantage: str,
        senders: Callable[[str], str | None],
        meanings: Mapping[str, Meaning],
        emit: Callable[[Reading], None],
        hint: Callable[[str], object],
        port_name: PortName | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.transport: asyncio.DatagramTransport | None = None
        self._settings = settings
        self._clock = clock
        self._vantage = vantage
        self._senders = senders
        self._meanings = meanings
        self._emit = emit
        self._hint = hint
        self._port_name = port_name
        self._users = _users(settings, name=vantage, now=clock.now())
        self._paces: OrderedDict[str, Pace] = OrderedDict()
        self._whole = Pace(READINGS_HZ, burst=2 * READINGS_HZ)
        self._strangers: set[tuple[str, str]] = set()
        self._answered: OrderedDict[tuple[str, int], None] = OrderedDict()
        self._series: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        self._last: OrderedDict[tuple[str, str, str], tuple[str, float]] = OrderedDict()
        self._queue: BoundedQueue[_Heard] = BoundedQueue(
            name="traps before they are read", limit=MOST_WAITING, policy=FullPolicy.DROP_OLDEST
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Never raises for what somebody sends."""
        self.counts["received"] += 1
        ip = plain_ip(addr[0])
        target = self._senders(ip)
        if target is None:
            self._say_once("unknown_sender", ip, "trap from an address that is no target")
        elif len(data) > MOST_BYTES:
            self.counts["too_large"] += 1
        else:
            self._from_target(target, ip, data, addr)

    def error_received(self, error: Exception) -> None:
        """An answer to an inform could not be delivered; the sender repeats."""

    async def work(self) -> None:
        """Turn what was heard into readings until cancelled."""
        while True:
            for heard in await self._queue.take(50):
                try:
                    await self._tell(heard)
                except Exception:  # boundary: one trap; a bug in it must not end the listening
                    self.counts["bugs"] += 1
                    log.exception("trap bug", extra={"target": heard.target, "oid": heard.notification.oid})

    def stats(self, target: str) -> Reading:
        """The receiver's own counts, said of the host that it runs on."""
        self.counts["queue_dropped"] = self._queue.dropped
        samples = tuple(Sample("snmp_trap_receiver", f"{name}_total", float(self.counts[name])) for name in COUNTS)
        return Reading(target, "trap-receiver", self._vantage, self._clock.now(), 0.0, Outcome.OK, samples=samples)

    # --- one datagram -----------------------------------------------------------------------------------------

    def _from_target(self, target: str, ip: str, data: bytes, addr: tuple[str, int]) -> None:
        if not self._admitted(ip):
            self.counts["rate_limited"] += 1
            self._hint(target)
            return
        try:
            notification = self._read(ip, data, addr)
        except Malformed as error:
            self.counts["malformed"] += 1
            log.debug("trap not understood", extra={"sender": ip, "error": str(error)})
            return
        if notification is None:
            return
        self.counts["accepted"] += 1
        self._hint(target)
        self._queue.offer(_Heard(target, notification, self._clock.now()))

    def _admitted(self, ip: str) -> bool:
        pace = self._paces.get(ip)
        if pace is None:
            pace = self._paces[ip] = Pace(self._settings.per_sender_hz, burst=BURST)
            _bound(self._paces)
        now = self._clock.mono()
        if pace.wait_s(now) > 0.0:
            return False
        pace.take(now)
        return True

    def _read(self, ip: str, data: bytes, addr: tuple[str, int]) -> Notification | None:
        """The notification, or None when it is refused or has been heard before."""
        if version_of(data) == 3:
            return self._read_signed(ip, data, addr)
        heard = read_message(data)
        community = self._settings.community
        if community is None or not hmac.compare_digest(heard.community, community.encode()):
            self._say_once("refused", ip, "trap with another community")
            return None
        if heard.answer is None:
            return heard.notification
        self._reply(heard.answer, addr)
        return None if self._repeated(ip, heard.notification.request_id or 0) else heard.notification

    def _read_signed(self, ip: str, data: bytes, addr: tuple[str, int]) -> Notification | None:
        if self._users is None:
            self._say_once("refused", ip, "SNMPv3 trap, and no user is configured under traps.users")
            return None
        answered = self.counts["answered"]
        notification = self._users.hear(data, (ip, addr[1]), lambda answer: self._reply(answer, addr))
        if notification is None and self.counts["answered"] == answered:  # what was answered is discovery, or a no
            self._say_once("refused", ip, "SNMPv3 trap that no configured user has signed")
        return notification

    def _reply(self, answer: bytes, addr: tuple[str, int]) -> None:
        self.counts["answered"] += 1
        if self.transport is not None:
            self.transport.sendto(answer, addr)

    def _repeated(self, ip: str, request_id: int) -> bool:
        """An inform whose answer was lost comes again; it is answered again and told once."""
        if (ip, request_id) in self._answered:
            self.counts["repeated"] += 1
            return True
        self._answered[(ip, request_id)] = None
        _bound(self._answered)
        return False

    def _say_once(self, count: str, ip: str, text: str) -> None:
        self.counts[count] += 1
        if (count, ip) not in self._strangers and len(self._strangers) < _MOST_STRANGERS:
            self._strangers.add((count, ip))
            log.warning(text, extra={"sender": ip})

    # --- what it means ----------------------------------------------------------------------------------------

    async def _tell(self, heard: _Heard) -> None:
        meaning = meaning_of(self._meanings, heard.notification.oid)
        interface = await self._interface(heard.target, port_of(heard.notification))
        key = (heard.target, meaning.event, interface)
        self._series[key] = total = self._series.get(key, 0) + 1
        _bound(self._series)
        now = self._clock.mono()
        about = (heard.target, meaning.clears or meaning.event, interface)
        event, told = self._last.get(about, ("", float("-inf")))
        if (event == meaning.event and now - told < FOLD_S) or self._whole.wait_s(now) > 0.0:
            self.counts["folded"] += 1
            return
        self._whole.take(now)
        self._last[about] = (meaning.event, now)
        _bound(self._last)
        self._emit(self._reading(heard, meaning, interface, total))

    async def _interface(self, target: str, port: Port | None) -> str:
        if port is None:
            return ""
        if not port.name and self._port_name is not None:
            return await self._port_name(target, port.index) or f"ifindex-{port.index}"
        return port.name or f"ifindex-{port.index}"

    def _reading(self, heard: _Heard, meaning: Meaning, interface: str, total: int) -> Reading:
        where = {"interface": interface} if interface else {}
        labels = {"event": meaning.event, **where}
        samples = [
            Sample("snmp_trap", "received_total", float(total), labels),
            Sample("snmp_trap", "effect", meaning.effect, labels),
        ]
        if meaning.effect != "info":
            samples.append(Sample("snmp_trap", "raised", 1.0, labels))
        if meaning.clears:
            samples.append(Sample("snmp_trap", "raised", 0.0, {"event": meaning.clears, **where}))
        known = meaning.event if meaning is not OTHER else f"trap {heard.notification.oid[:80]}, which no pack knows"
        detail = f"{known} {interface}".strip()
        return Reading(
            target=heard.target,
            check=CHECK,
            vantage=self._vantage,
            started=heard.at,
            took=0.0,
            outcome=Outcome.UNKNOWN,
            reason=Reason.UNPROVEN,
            detail=detail,
            samples=tuple(samples),
        )


def _users(settings: Settings, *, name: str, now: float) -> Users | None:
    if not settings.users:
        return None
    try:
        return Users(settings.users, name=name, now=now)
    except ModuleNotFoundError as error:
        log.error("SNMPv3 traps are refused; install healthmon[snmp]", extra={"missing": error.name})
        return None


def plain_ip(text: str) -> str:
    """The address without its zone; an IPv4 address that came in over an IPv6 socket as itself."""
    bare = text.partition("%")[0].removeprefix("::ffff:")
    found = literal(bare)
    return found[0][1] if found else bare


def _bound(kept: OrderedDict[Any, Any]) -> None:
    while len(kept) > MOST_KNOWN:
        kept.popitem(last=False)
