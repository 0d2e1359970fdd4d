"""A restart at any instant changes nothing in what is not heard: labels, metrics, series, groups, lookers."""

from __future__ import annotations

import os
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Phases
from hypothesis import strategies as st
from smallsite import FAILED_RULE, RULES, SILENT_RULE, T0, Night, area, check, estate_of, hospital, target

from healthmon.alerting.engine import Engine
from healthmon.alerting.engine_settings import EngineStep
from healthmon.model.alert import Above, Absent, AnyOf, Effect, NoData, OutcomeIs, Rule, Selector
from healthmon.model.condition import Group, Unit
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import Agent, Estate

EXAMPLES = int(os.environ.get("HEALTHMON_PROPERTIES", "25"))
STEP_S = 20.0
FULL = Above("host_disk.used_ratio", 0.9)
SLOW = Above("http.duration_seconds", 2.0)
FROM_MANY = Group(SLOW, count=Unit.VANTAGES, by="target", at_least=2, out_of=2)
MANY_SILENT = Group(Absent(60.0), count=Unit.TARGETS, by="site", at_least=2)
PCS = ("pc-1", "pc-2", "pc-3")
#: What a series says at one moment: nothing, failed, cannot tell, nothing in it, disks (one of them full), quick, slow.
WORDS = "..x?eduqs"


def rules() -> tuple[Rule, ...]:
    made = [FAILED_RULE, SILENT_RULE, replace(SILENT_RULE, id="many-silent", condition=MANY_SILENT)]
    for policy in NoData:
        made += [
            Rule(f"full-{policy.value}", Selector(checks=("disks",)), FULL, Effect.WARNING, policy, "x", hold_s=30.0),
            Rule(f"slow-{policy.value}", Selector(checks=("http",)), FROM_MANY, Effect.DEGRADED, policy, "x"),
        ]
    made.append(Rule("gone", Selector(checks=("http", "own")), Absent(120.0), Effect.WARNING, NoData.HOLD, "x"))
    either = AnyOf((OutcomeIs((Outcome.FAILED,)), FULL))
    made.append(Rule("either", Selector(checks=("disks",)), either, Effect.WARNING, NoData.ALERT, "x"))
    return tuple(made)


def site() -> Estate:
    """A server with disks and a web page; the poller looks at both, three PCs at the page."""
    disks = replace(check("host", 20.0), id="disks", vantages=("poller", "hub"))
    pcs = [target(id_, "workstation", area="ward-7") for id_ in PCS]
    agents = [Agent("poller", "mon"), Agent("hub", "srv"), *(Agent(id_, id_, ("ward-workstation",)) for id_ in PCS)]
    web = target("web", "endpoint", checks=(check("http", 20.0, vantages=("poller", *PCS)), disks))
    return estate_of([target("mon", "server"), target("srv", "server"), web, *pcs], [area("ward-7")], agents=agents)


#: The last is what a PC tells of itself: nobody declares that.
SERIES = [("web", "http", who) for who in ("poller", *PCS)] + [("web", "disks", who) for who in ("poller", "hub")]
SERIES += [("pc-1", "own", "pc-1")]


def reading(series: tuple[str, str, str], word: str, at: float) -> Reading | None:
    disk = {"d": {"root": 0.5}, "u": {"root": 0.5, "usb": 0.95}}.get(word, {})
    samples = tuple(Sample("host_disk", "used_ratio", used, labels={"mount": name}) for name, used in disk.items())
    if word in "qs":
        samples = (Sample("http", "duration_seconds", 0.5 if word == "q" else 5.0),)
    match word:
        case ".":
            return None
        case "x":
            return Reading(*series, at, 0.0, Outcome.FAILED, Reason.TIMEOUT)
        case "?":
            return Reading(*series, at, 0.0, Outcome.UNKNOWN, Reason.NO_ROUTE)
        case _:
            return Reading(*series, at, 0.0, Outcome.OK, samples=samples)


#: For each series a few words, each for so many steps; for each agent whether it speaks, says goodbye, or is silent.
SAID = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(1, 12)), min_size=1, max_size=7)
HEARD = st.lists(st.tuples(st.sampled_from("uuus."), st.integers(1, 15)), min_size=1, max_size=6)
NIGHTS = st.tuples(st.lists(SAID, min_size=len(SERIES), max_size=len(SERIES)), st.lists(HEARD, min_size=4, max_size=4))
Spoken = list[tuple[str, int]]


def at_step(spoken: Spoken, number: int) -> str:
    for word, times in spoken:
        if number < times:
            return word
        number -= times
    return spoken[-1][0]


def play(night: tuple[list[Spoken], list[Spoken]], restarts: frozenset[int], steps: int = 60) -> list[EngineStep]:
    """Each step 20 s; restarts: before which of them the engine is made anew from its journal."""
    said, heard = night
    hand = Night(site(), rules=rules())
    for number in range(steps):
        hand.now = T0 + number * STEP_S
        if number in restarts:
            hand.engine = hand.make(hand.journal.restored())
        feed(hand.engine, said, heard, number, hand.now)
        hand.tick()
    return hand.steps


def feed(engine: Engine, said: list[Spoken], heard: list[Spoken], number: int, now: float) -> None:
    for agent, spoken in zip(("hub", *PCS), heard, strict=True):
        word = at_step(spoken, number)
        if word != ".":
            engine.heard(agent, "up" if word == "u" else "stopped", now)
    looks = [reading(series, at_step(spoken, number), now) for series, spoken in zip(SERIES, said, strict=True)]
    engine.observe([one for one in looks if one is not None], now=now)


@given(NIGHTS, st.frozensets(st.integers(1, 59), min_size=1, max_size=5))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < 100,
    phases=[Phases.explicit, Phases.reuse, Phases.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
def test_a_restart_forgets_no_silence(night: tuple[list[Spoken], list[Spoken]], restarts: frozenset[int]) -> None:
    plain, killed = play(night, frozenset()), play(night, restarts)
    for number, (one, other) in enumerate(zip(plain, killed, strict=True)):
        assert other.changes.alerts == one.changes.alerts, number
        assert other.changes.incidents == one.changes.incidents, number
        assert other.notices == one.notices, number
        assert other.changes.ledger == one.changes.ledger, number


def test_a_restart_right_after_blindness_does_not_forget_that_nobody_could_see() -> None:
    """The way out is cut for a minute: what was not heard meanwhile is asked about from when it is back."""
    gone = Rule("gone", Selector(checks=("read",)), Absent(20.0), Effect.WARNING, NoData.HOLD, "x")
    found = []
    for restarts in (False, True):
        night = Night(hospital(wards=2, pcs=2), rules=(*RULES, gone), restart_every_step=restarts)
        night.run(30.0)
        night.cut.add("poller")
        night.quiet.add("pc-w7-1")
        night.run(60.0)
        night.cut.discard("poller")
        back_at = night.now
        night.run(90.0)
        fired = [a for step in night.steps for a in step.changes.alerts if a.key.rule == "gone" and a.fired_at]
        found.append([(alert.key, alert.since) for alert in fired])
        assert fired
        assert min(alert.since for alert in fired) >= back_at + 15.0
    assert found[0] == found[1]
