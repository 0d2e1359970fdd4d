"""What one look at one thing gives in a world with troubles: outcome, reason, seconds, samples."""

from __future__ import annotations

import random
from dataclasses import dataclass

from healthmon.model.sample import Outcome, Reason, Sample, record
from healthmon.model.topology import Check
from healthmon.simulation.world import DOWN, SLOW, Mode, World

_APP_KINDS = frozenset({"http", "ldap", "dns", "hl7", "ipp"})
_PINGS = 4
_SHALLOW_S = {"icmp": 0.002, "snmp": 0.03, "tcp": 0.004}
_USUAL_S = {"http": 0.22, "ldap": 0.03, "dns": 0.006, "hl7": 0.05, "ipp": 0.05}
_NO_LABELS: dict[str, str] = {}
_SLOWNESS = 12.0


@dataclass(frozen=True, slots=True)
class Face:
    """What a series shows until the world changes. slow: factor on the time it takes; loss: share of packets."""

    outcome: Outcome
    reason: Reason | None = None
    slow: float = 1.0
    loss: float = 0.0

    @property
    def usual(self) -> bool:
        return self.outcome is Outcome.OK and self.slow == 1.0 and self.loss == 0.0


USUAL = Face(Outcome.OK)
_SILENT = Face(Outcome.FAILED, Reason.TIMEOUT)


def face(world: World, target: str, check: Check, *, host: str, area: str | None) -> Face:
    """How the target looks through this check from a host, which stands in `area` (None: the poller's)."""
    if world.modes.get(host) is Mode.CUT and host != target and world.figures[host]:
        return Face(Outcome.UNKNOWN, Reason.NO_ROUTE)
    if check.kind == "http" and not _names_found(world):
        return Face(Outcome.UNKNOWN, Reason.NAME_SERVICE)
    sight = world.sight(host, target)
    if not world.alive(target) or not sight.reaches or (area, target) in world.blocked:
        return _SILENT
    mode = world.modes.get(target)
    if mode is Mode.DEAF and check.kind in ("snmp", "icmp"):
        return _SILENT
    loss = sight.loss if mode is not Mode.LOSSY else 1.0 - (1.0 - sight.loss) * (1.0 - world.figures[target])
    if check.kind in _APP_KINDS:
        return _program(world, target, mode, loss)
    if check.kind == "tcp" and mode is Mode.HUNG:
        return _SILENT
    return Face(Outcome.OK, loss=loss) if loss else USUAL


def _program(world: World, target: str, mode: Mode | None, loss: float) -> Face:
    """A program: its own fault, else that of what it needs."""
    broken = {Mode.HUNG: Reason.TIMEOUT, Mode.ERROR: Reason.BAD_STATUS, Mode.EXPIRED: Reason.CERT_EXPIRED}
    if mode in broken:
        return Face(Outcome.FAILED, broken[mode])
    below = world.goal(world.plant.functions[target])
    if below == DOWN:
        return Face(Outcome.FAILED, Reason.BAD_STATUS)
    slow = world.figures[target] if mode is Mode.SLOW else _SLOWNESS if below == SLOW else 1.0
    return Face(Outcome.OK, slow=max(1.0, slow), loss=loss)


def _names_found(world: World) -> bool:
    """Addresses of web pages are names."""
    service = world.plant.estate.services.get("names")
    return service is None or world.level("names") != DOWN


@record
class Look:
    outcome: Outcome
    reason: Reason | None
    took: float
    samples: tuple[Sample, ...] = ()


_NO_LOSS = (Sample("icmp", "loss_ratio", 0.0, _NO_LABELS),)
#: What most looks give: somebody is there, and says no more.
_ANSWERS = {kind: Look(Outcome.OK, None, took, _NO_LOSS if kind == "icmp" else ()) for kind, took in _SHALLOW_S.items()}
_TELL_MORE = frozenset({"ups", "storage"})


def look(
    world: World, target: str, check: Check, shown: Face, *, at: float, load: float, chance: random.Random
) -> Look:
    """One look: what the face lets through, with the scatter of a real one. load: 0 (night) to 1 (Monday morning)."""
    if shown.outcome is not Outcome.OK:
        quick = shown.reason in (Reason.BAD_STATUS, Reason.CERT_EXPIRED)
        return Look(shown.outcome, shown.reason, 0.05 if quick else check.timeout_s if shown.reason else 0.01)
    if check.kind in _SHALLOW_S:
        return _shallow(world, target, check, shown, at=at, chance=chance)
    if check.kind == "host_print_queue":
        running = 0.0 if world.modes.get(target) is Mode.HUNG else 1.0
        return Look(Outcome.OK, None, 0.02, (Sample("host_print_spooler", "running", running, _NO_LABELS),))
    usual = _USUAL_S[check.kind] * chance.lognormvariate(0.0, 0.25)
    took = usual * (0.7 + 0.8 * load + shown.slow - 1.0)
    if shown.loss:
        lost = sum(chance.random() < shown.loss for _ in range(_PINGS))
        took += (0.0, 0.3, 1.0, 3.0, 9.0)[lost]  # retransmission timers of TCP: each loss in a row doubles the wait
    if took >= check.timeout_s:
        return Look(Outcome.FAILED, Reason.TIMEOUT, check.timeout_s)
    return Look(Outcome.OK, None, took, _figures(world, target, check.kind, took, at))


def _shallow(world: World, target: str, check: Check, shown: Face, *, at: float, chance: random.Random) -> Look:
    if not shown.loss and (check.kind != "snmp" or world.plant.estate.targets[target].kind not in _TELL_MORE):
        return _ANSWERS[check.kind]
    took = _SHALLOW_S[check.kind]
    lost = sum(chance.random() < shown.loss for _ in range(_PINGS)) if shown.loss else 0
    if lost == _PINGS:
        return Look(Outcome.FAILED, Reason.TIMEOUT, check.timeout_s)
    if check.kind == "icmp":
        return Look(Outcome.OK, None, took, (Sample("icmp", "loss_ratio", lost / _PINGS, _NO_LABELS),))
    return Look(Outcome.OK, None, took, _device(world, target, at) if check.kind == "snmp" else ())


def _device(world: World, target: str, at: float) -> tuple[Sample, ...]:
    """What a device says of itself."""
    kind, mode = world.plant.estate.targets[target].kind, world.modes.get(target)
    if kind == "ups":
        on_battery = mode is Mode.BATTERY
        left = max(0.0, 1_500.0 - 20.0 * (at - world.since[target])) if on_battery else 1_800.0
        return (
            Sample("snmp_ups", "on_battery", float(on_battery), _NO_LABELS),
            Sample("snmp_ups", "remaining_seconds", left, _NO_LABELS),
        )
    if kind == "storage":
        return (Sample("snmp_component", "ok", float(mode is not Mode.SLOW), {"component": "controller-1"}),)
    return ()


def _figures(world: World, target: str, kind: str, took: float, at: float) -> tuple[Sample, ...]:
    if kind == "http":
        return (Sample("http", "duration_seconds", took, _NO_LABELS),)
    if kind == "ldap":
        return (Sample("ldap", "duration_seconds", took, _NO_LABELS),)
    if kind == "dns":
        return (Sample("dns", "answer_seconds", took, _NO_LABELS),)
    if kind == "hl7":
        waits = at - world.since[target] if world.modes.get(target) is Mode.STUCK else 2.0
        marks = {"interface": "results"}
        return (
            Sample("hl7", "ack_seconds", took, _NO_LABELS),
            Sample("interface", "oldest_queued_seconds", waits, marks),
            Sample("interface", "last_message_age_seconds", waits + 3.0, marks),
        )
    return ()
