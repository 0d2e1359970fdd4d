"""What ends on a day: legacy systems, certificates, licences; and PCs that are seen from outside only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from healthmon.model.sample import Reading
from healthmon.reports.facts import (
    DAY_S,
    NOT_READY,
    PC_KINDS,
    READY,
    SOON,
    UNKNOWN,
    Facts,
    Item,
    day_state,
)

#: A certificate is red at a tenth of its life and yellow at a third, never before these days; other dates at 7 and 30.
CERT_RED, CERT_YELLOW = 0.1, 1 / 3
CERT_RED_D, CERT_YELLOW_D = 30, 90
DATE_RED_D, DATE_YELLOW_D = 7, 30
LEGACY_YELLOW_D = 180


def legacy(facts: Facts) -> Iterator[Item]:
    """The register, with what depends on each; and machines that say themselves that their system is past its time."""
    registered = {id_ for one in facts.care.legacy for id_ in one.targets}
    for one in facts.care.legacy:
        if one.retired_on is not None and one.retired_on <= facts.today:
            continue
        state, why = day_state(
            one.end_of_support, facts.today, yellow=LEGACY_YELLOW_D, red=0, past="out of support since"
        )
        plan = (f"plan: {one.plan}",) if one.plan and why else ()
        yield Item("legacy", one.id, f"{one.name} ({one.system})" if one.system else one.name, state, (*why, *plan),
                   None, facts.services_behind(one.targets), _iso(one.end_of_support))  # fmt: skip
    for target in facts.estate.targets.values():
        left = facts.value(target.id, "host_os", "support_left_seconds")
        if target.id in registered or left is None or left > LEGACY_YELLOW_D * DAY_S:
            continue
        past = left <= 0
        why_ = "its system is out of support" if past else f"support of its system ends in {left / DAY_S:.0f} days"
        yield Item("legacy", target.id, target.name, NOT_READY if past else SOON, (why_, "not in the register"),
                   target.area, facts.services_behind([target.id]))  # fmt: skip


def outside_only(facts: Facts) -> Iterator[Item]:
    """PCs without an agent: seen from outside, or not at all."""
    inside = {agent.target for agent in facts.estate.agents.values()}
    for target in facts.estate.targets.values():
        if target.kind in PC_KINDS and target.id not in inside:
            seen = bool(target.checks)
            why = "seen from outside only: no agent runs on it" if seen else "nobody looks at it at all"
            yield Item("outside_only", target.id, target.name, SOON if seen else UNKNOWN, (why,), target.area)


def certificates(facts: Facts) -> Iterator[Item]:
    """Every certificate that a check has seen, by the share of its life that is left."""
    for (id_, check), reading in _once(facts).items():
        values = {one.field: one.value for one in reading.samples if one.family == "tls"}
        left, share = values.get("expires_in_seconds"), values.get("lifetime_left_ratio")
        if not isinstance(left, float):
            continue
        left_now = left - (facts.now - reading.started)
        state = NOT_READY if left_now <= 0 else READY
        if left_now > 0 and isinstance(share, float):
            share_now = share * left_now / left if left > 0 else 0.0
            red = share_now < CERT_RED and left_now < CERT_RED_D * DAY_S
            yellow = share_now < CERT_YELLOW and left_now < CERT_YELLOW_D * DAY_S
            state = NOT_READY if red else SOON if yellow else READY
        why = () if state == READY else (_left(left_now),)
        ends = date.fromordinal(facts.today.toordinal() + int(left_now // DAY_S)).isoformat()
        name = facts.estate.targets[id_].name
        yield Item("certificate", f"{id_}/{check}", name, state, why, None, facts.services_behind([id_]), ends)


def dates(facts: Facts) -> Iterator[Item]:
    """Licences, contracts and the like, and healthmon's own."""
    for kind, listed in (("date", facts.care.expiries), ("own", facts.own)):
        for one in listed:
            state, why = day_state(one.on, facts.today, yellow=DATE_YELLOW_D, red=DATE_RED_D, past="ended on")
            owner = (f"owner: {one.owner}",) if one.owner and why else ()
            yield Item(
                kind, one.id, f"{one.name} ({one.kind})", state, (*why, *owner), None, one.services, _iso(one.on)
            )


def _left(seconds: float) -> str:
    if seconds <= 0:
        return f"expired {-seconds / DAY_S:.0f} days ago"
    return (
        f"expires in {seconds / DAY_S:.0f} days" if seconds >= 2 * DAY_S else f"expires in {seconds / 3600:.0f} hours"
    )


def _iso(on: date | None) -> str | None:
    return on.isoformat() if on else None


def _once(facts: Facts) -> dict[tuple[str, str], Reading]:
    """One reading for each check of a target: the newest, whoever looked."""
    found: dict[tuple[str, str], Reading] = {}
    for id_, reading in facts.readings():
        known = found.get((id_, reading.check))
        if known is None or known.started < reading.started:
            found[id_, reading.check] = reading
    return found
