"""Time by phase, without gaps: the phases of a run add up to the whole of it."""

from __future__ import annotations

from healthmon.model.ports import Sight
from healthmon.model.sample import Reason
from healthmon.probes.reasons import Fault, explain, timed_out

#: What a run was doing in each phase, for the text of a timeout.
_DOING = {
    "dns": "looking up the name",
    "connect": "connecting",
    "proxy": "connecting through the proxy",
    "token": "asking the token service",
    "tls": "in the TLS handshake",
    "handshake": "in the TLS handshake",
    "wait": "waiting for the answer",
    "transfer": "reading the body",
    "answer": "waiting for the answer",
    "banner": "waiting for the greeting",
    "hello": "saying hello",
    "login": "logging in",
    "search": "waiting for the search",
    "algorithms": "waiting for the offer of algorithms",
    "subscribe": "subscribing",
    "publish": "waiting for the acknowledgement",
    "return": "waiting for the message to come back",
    "ack": "waiting for the acknowledgement",
    "associate": "waiting for the association",
    "echo": "waiting for C-ECHO",
    "find": "waiting for C-FIND",
    "capability": "waiting for the capability statement",
    "read": "waiting for the resource",
}


class Phases:
    """`enter` ends the phase before; time that the guard holds the run back belongs to none."""

    def __init__(self, sight: Sight) -> None:
        self.seconds: dict[str, float] = {}
        self.now = ""
        self._sight = sight
        self._mark_s = self._reading_s()

    def enter(self, phase: str) -> None:
        """From now on time counts for this phase; one that is entered again goes on adding."""
        self._book()
        if self.now and self.now != phase:
            self._sight.trace(f"{self.now} done in {self.seconds[self.now] * 1000.0:.1f} ms")
        self.now = phase

    def total_s(self) -> float:
        """Seconds in all phases so far."""
        self._book()
        return sum(self.seconds.values())

    def fields(self) -> dict[str, float]:
        """`connect_seconds` and so on, and `duration_seconds`, which is their sum."""
        total_s = self.total_s()
        return {f"{phase}_seconds": seconds for phase, seconds in self.seconds.items()} | {"duration_seconds": total_s}

    def fault_of(self, error: Exception, timeout_s: float) -> Fault:
        """What ended the run, a timeout with its phase. Raises the error again when it can only be a bug."""
        fault = explain(error)
        if fault is None:
            raise error
        if fault.reason is not Reason.TIMEOUT:
            return fault
        return timed_out(self.seconds.get("dns", 0.0), timeout_s, phase=_DOING.get(self.now, self.now))

    def _reading_s(self) -> float:
        return self._sight.clock.mono() - self._sight.waited_s

    def _book(self) -> None:
        reading_s = self._reading_s()
        if self.now:
            self.seconds[self.now] = self.seconds.get(self.now, 0.0) + max(0.0, reading_s - self._mark_s)
        self._mark_s = reading_s
