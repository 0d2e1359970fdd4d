"""The one choke point in front of the network: every probe, whatever its origin, gets its addresses here."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from healthmon.model.plan import Job, MedicalNetwork, Safety
from healthmon.model.ports import Address, Clock
from healthmon.model.sample import Reason
from healthmon.probes.limits import Pace, Paces
from healthmon.probes.networks import Networks, Ruling
from healthmon.probes.reasons import Finding, Forbidden
from healthmon.probes.resolver import Found, Lookup, Resolver

log = logging.getLogger(__name__)

Trace = Callable[[str], None]

#: A name with more addresses than this is tried at the first ones only.
MOST_ADDRESSES = 4

#: How often a run looks again whether the medical network that it waits for is free.
_SLOT_POLL_S = 0.05


class Guard:
    """Deny, medical networks, rates and the stop button. One for the whole process.

    `counts` has `admitted`, `refused.WHY` (denied, medical_denied, stopped, or a limit) and `waited.LIMIT`; the limits
    are target, subnet, global and medical.
    """

    def __init__(
        self, safety: Safety, clock: Clock, *, stop_file: Path | None = None, lookup: Lookup | None = None
    ) -> None:
        self.clock = clock
        self.lookup: Lookup = lookup or Resolver()
        self.counts: Counter[str] = Counter()
        self._stop_file = stop_file
        self._stopped_by: str | None = None
        self._busy: set[str] = set()
        self._last: dict[str, float] = {}
        self.adopt(safety)

    def adopt(self, safety: Safety) -> None:
        """Take a new safety block; what was sent to medical networks so far is not forgotten."""
        self._networks = Networks(safety)
        self._whole = Pace(safety.rates.global_hz)
        self._subnets = Paces(safety.rates.per_subnet_hz)
        self._targets = Paces(safety.rates.per_target_hz)

    def sight(self, job: Job, vantage: str, trace: Trace | None = None) -> GuardedSight:
        """What one run of one job may see. The caller closes it when the run is over."""
        return GuardedSight(self, job, vantage, trace)

    # the stop button

    @property
    def stopped(self) -> bool:
        """Whether probing is stopped, by a call or by the file."""
        return self.stopped_by is not None

    @property
    def stopped_by(self) -> str | None:
        """Who stopped it; None while probing goes on."""
        return self._stopped_by if self._stopped_by is not None else stop_button(self._stop_file)

    def stop(self, by: str) -> None:
        """No probe leaves from now on, also after a restart when there is a stop file."""
        self._stopped_by = by
        log.warning("probing stopped", extra={"by": by})
        if self._stop_file is not None:
            try:
                self._stop_file.parent.mkdir(parents=True, exist_ok=True)
                self._stop_file.write_text(f"{by}\n")
            except OSError as error:
                log.error("stop file not written; a restart would resume probing", extra={"error": str(error)})

    def resume(self, by: str) -> None:
        """Probe again."""
        self._stopped_by = None
        if self._stop_file is not None:
            self._stop_file.unlink(missing_ok=True)
        log.warning("probing resumed", extra={"by": by})

    def check_stop(self) -> None:
        """Raises Forbidden(probing_stopped) while the stop button is pressed."""
        if self.stopped:
            self.counts["refused.stopped"] += 1
            raise Forbidden(Reason.PROBING_STOPPED, "the stop button is pressed")

    # admission

    def admit(self, found: Found, kind: str) -> list[tuple[int, str, Ruling]]:
        """The addresses that the safety block allows. Raises Forbidden(not_allowed) when there is none."""
        ruled = [(family, ip, self._networks.ruling(ip, kind)) for family, ip in found]
        allowed = [entry for entry in ruled if entry[2].refused is None]
        if not allowed:
            first = ruled[0][2] if ruled else Ruling(refused="the name has no address")
            self.counts["refused.medical_denied" if first.medical else "refused.denied"] += 1
            raise Forbidden(Reason.NOT_ALLOWED, first.refused or "not allowed")
        if allowed[0][2].medical is not None:
            return allowed[:1]  # never a second medical device for one run
        return [entry for entry in allowed if entry[2].medical is None][:MOST_ADDRESSES]

    def paces(self, target: str, ip: str, ruling: Ruling) -> Iterator[tuple[str, Pace]]:
        """The rates that one more probe must fit, narrowest first, by name.

        A run queues at one after the other: a place booked ahead of time at the global rate by a run that still
        waits for its target's own rate would hold everybody else back.
        """
        now = self.clock.mono()
        yield "target", self._targets.of((target, ip), now)
        if ruling.subnet is not None:
            yield "subnet", self._subnets.of(ruling.subnet, now)
        yield "global", self._whole

    def medical_turn_s(self, network: MedicalNetwork, ip: str, *, held: bool) -> float:
        """Seconds to wait before a device of this network may be asked again; 0 = now."""
        if network.cidr in self._busy and not held:
            return _SLOT_POLL_S
        return max(0.0, self._last.get(ip, float("-inf")) + network.every_s - self.clock.mono())

    def enter_medical(self, network: MedicalNetwork, ip: str) -> None:
        """One is in flight now, and the device rests from this moment."""
        self._busy.add(network.cidr)
        self._last[ip] = self.clock.mono()

    def leave_medical(self, network: MedicalNetwork) -> None:
        """The run is over."""
        self._busy.discard(network.cidr)


def stop_button(file: Path | None) -> str | None:
    """Who pressed the stop button that lies in this file; None while there is none."""
    if file is None or not file.exists():
        return None
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text()[:200].strip() or "stop file"
    return "stop file"


class GuardedSight:
    """The `Sight` of one run: `resolve` is the only way to an address. `dns_s` is time spent on names."""

    def __init__(self, guard: Guard, job: Job, vantage: str, trace: Trace | None) -> None:
        self.vantage = vantage
        self.clock = guard.clock
        self.dns_s = 0.0
        self.resolving = False
        self.last: Address | None = None
        self._guard = guard
        self._job = job
        self._trace = trace
        self._medical: dict[str, MedicalNetwork] = {}
        self._waited: set[str] = set()
        self._held_s = 0.0
        standstill = guard.clock.standstill
        self._stood = (standstill.seconds, standstill.long)

    @property
    def waited_s(self) -> float:
        """Seconds that are not the target's: the guard held the run back, or this process stood still."""
        return self._held_s + max(0.0, self.clock.standstill.seconds - self._stood[0])

    @property
    def held_s(self) -> float:
        """Those that the guard held it back."""
        return self._held_s

    @property
    def stood_long(self) -> bool:
        """Whether this process stood still so long that what was not heard says nothing."""
        return self.clock.standstill.long > self._stood[1]

    def trace(self, line: str) -> None:
        """One line of the transcript."""
        if self._trace is not None:
            self._trace(line)

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Addresses that may be probed now, best first; every connection, redirect and recheck comes here."""
        self._guard.check_stop()
        allowed = self._guard.admit(await self._look_up(host), self._job.kind)
        _, ip, ruling = allowed[0]
        if ruling.medical is not None:
            await self._medical_turn(ruling.medical, ip)
        await self._turn(ip, ruling)
        self._guard.check_stop()
        self._guard.counts["admitted"] += 1
        addresses = [Address(family, ip, port, gentle=rule.medical is not None) for family, ip, rule in allowed]
        self.last = addresses[0]
        return addresses

    def close(self) -> None:
        """Give back what the run held."""
        for network in self._medical.values():
            self._guard.leave_medical(network)
        self._medical.clear()

    async def _look_up(self, host: str) -> Found:
        begun = self.clock.mono()
        self.resolving = True
        try:
            found = await self._guard.lookup(host)
        except UnicodeError:
            raise Finding(Reason.BAD_PARAMS, "the address is not a host name") from None
        finally:
            self.dns_s += self.clock.mono() - begun
        self.resolving = False
        if self._trace is not None:
            self._trace(f"resolved {host} to {', '.join(ip for _, ip in found)}")
        return found

    async def _turn(self, ip: str, ruling: Ruling) -> None:
        for limit, pace in self._guard.paces(self._job.target, ip, ruling):
            wait_s = pace.wait_s(self.clock.mono())
            if wait_s > 0.0:
                self._afford(wait_s, limit, f"the {limit} rate of the safety block")
            pace.take(self.clock.mono())
            await self._wait(wait_s)

    async def _medical_turn(self, network: MedicalNetwork, ip: str) -> None:
        while (wait_s := self._guard.medical_turn_s(network, ip, held=network.cidr in self._medical)) > 0.0:
            self._afford(wait_s, "medical", f"the spacing in the medical network {network.cidr}")
            await self._wait(wait_s)
        self._guard.enter_medical(network, ip)
        self._medical[network.cidr] = network

    def _afford(self, wait_s: float, limit: str, why: str) -> None:
        """Raises Forbidden(rate_limited) when the run would wait longer than its timeout."""
        if self._held_s + wait_s > self._job.timeout_s:
            self._guard.counts[f"refused.{limit}"] += 1
            raise Forbidden(Reason.RATE_LIMITED, f"held back by {why}")
        if limit not in self._waited:
            self._waited.add(limit)
            self._guard.counts[f"waited.{limit}"] += 1
        self.trace(f"waiting {wait_s:.3f} s for {why}")

    async def _wait(self, wait_s: float) -> None:
        if wait_s > 0.0:
            self._held_s += wait_s  # booked first: the run's deadline moves with it
            await self.clock.sleep(wait_s)
