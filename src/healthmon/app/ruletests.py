"""Rule tests run: the readings of each test through the detection code under a clock of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from healthmon.alerting.detect.trial import Trial
from healthmon.config.problems import Spot
from healthmon.config.ruletests import ReadingsForm, RuleTest, series_of
from healthmon.impact.hours import Calendar
from healthmon.ingest.pipeline import POLLER
from healthmon.model.alert import Alert, AlertKey, Phase
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import Estate

_SPEAKS_EVERY_S = 15.0
Alerts = Mapping[AlertKey, Alert]
_WORDS = {"firing": (Phase.FIRING, Phase.CLEARING), "pending": (Phase.PENDING,)}


@dataclass(frozen=True, slots=True)
class Heard:
    """One moment of a story: a reading, or an agent's word."""

    at: float
    reading: Reading | None = None
    agent: str = ""
    state: str = "up"


@dataclass(frozen=True, slots=True)
class Miss:
    """One expectation that was not met. `at_s` counts from the beginning of the test."""

    spot: Spot
    at_s: float
    rule: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.spot}: at {_clock(self.at_s)}: {self.rule}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one test, and which rules it saw firing and expected quiet."""

    test: RuleTest
    misses: tuple[Miss, ...]
    history: tuple[str, ...]  # every change of phase, in words
    fired: frozenset[str] = frozenset()
    kept_quiet: frozenset[str] = frozenset()

    @property
    def ok(self) -> bool:
        return not self.misses


def _told(test: RuleTest, moments: Sequence[Heard], looks: Iterable[float]) -> tuple[Trial, dict[float, Alerts]]:
    """The story through a trial of the rules, with the alerts at each time of `looks`, which must rise."""
    site, estate = test.site, _without_silent_poller(test)
    rules = [rule for rule in site.rules if rule.id in test.rules]
    trial = Trial(rules, estate, staffed=Calendar(estate, site.holidays).staffed)
    trial.start(test.form.begins)
    seen: dict[float, Alerts] = {}
    queue = deque(moments)
    for look in looks:
        while queue and queue[0].at <= look:
            moment = queue.popleft()
            if moment.reading is not None:
                trial.read(moment.reading)
            else:
                trial.pass_time(moment.at)
                trial.heard(moment.agent, moment.state, moment.at)
        trial.pass_time(look)
        seen[look] = dict(trial.desk.alerts)
    return trial, seen


def _without_silent_poller(test: RuleTest) -> Estate:
    """The poller is declared everywhere; in a story that is not about it, nobody misses it."""
    estate = test.site.estate
    spoken_of = {one.agent for one in test.form.readings}
    agents = {id_: agent for id_, agent in estate.agents.items() if id_ != POLLER or id_ in spoken_of}
    return replace(estate, agents=agents)


def run_rule_test(test: RuleTest) -> Verdict:
    """Tell the story, and say where it went otherwise than expected."""
    form = test.form
    moments = sorted((m for one in form.readings for m in _moments(one, test)), key=lambda moment: moment.at)
    looks = sorted({form.begins + one.at for one in form.expect} | {moments[-1].at})
    trial, seen = _told(test, moments, looks)
    fired: dict[str, float] = {}
    for moved in trial.transitions:
        for name in (moved.key.rule, f"{moved.key.rule}/{moved.key.target}") if moved.after is Phase.FIRING else ():
            fired.setdefault(name, moved.at - form.begins)
    misses = [miss for n, one in enumerate(form.expect) for miss in _missed(test, n, seen[form.begins + one.at])]
    misses += [
        Miss(test.never_spot, fired[rule], rule, "never to fire", "firing") for rule in form.never if rule in fired
    ]
    history = tuple(f"{_clock(one.at - form.begins)} {one.key}: {one.after.value}" for one in trial.transitions)
    asked_quiet = {name for one in form.expect for name in one.quiet} | set(form.never)
    asked_firing = {name for one in form.expect for name in one.firing}
    return Verdict(test, tuple(misses), history, _rules(asked_firing), _rules(asked_quiet))


def _missed(test: RuleTest, number: int, alerts: Alerts) -> Iterator[Miss]:
    """What one `expect` wanted and did not get."""
    form = test.form.expect[number]
    for expected in ("firing", "pending", "quiet"):
        for name in getattr(form, expected):
            found = sorted({_word(alert) for alert in alerts.values() if _about(alert, name)})
            if expected not in (found or ["quiet"]):
                yield Miss(test.expect_spots[number], form.at, name, expected, ", ".join(found) or "quiet")
            elif expected == "quiet" and "firing" in found:
                yield Miss(test.expect_spots[number], form.at, name, expected, "firing")


def _about(alert: Alert, name: str) -> bool:
    rule, _, target = name.partition("/")
    return alert.key.rule == rule and target in ("", alert.key.target)


def _word(alert: Alert) -> str:
    """A pending alert is quiet for those who do not ask for it."""
    return next((word for word, phases in _WORDS.items() if alert.phase in phases), "quiet")


def _moments(form: ReadingsForm, test: RuleTest) -> Iterator[Heard]:
    """Every single moment that one entry stands for."""
    begins, end = test.form.begins, form.at if form.to is None else form.to
    target, check, every_s = ("", "", form.every or _SPEAKS_EVERY_S) if form.agent else series_of(form, test.site)
    count = int((end - form.at) / every_s + 1e-9) + 1
    for number in range(count):
        at = begins + form.at + number * every_s
        if form.agent is not None:
            yield Heard(at, agent=form.agent, state=form.heard)
            continue
        share = number / (count - 1) if count > 1 else 0.0
        reason = form.reason or (Reason.TIMEOUT if form.outcome is Outcome.FAILED else None)
        if form.outcome is Outcome.UNKNOWN and reason is None:
            reason = Reason.NO_ROUTE
        samples = tuple(_sample(name, values, form.labels, share) for name, values in form.values.items())
        yield Heard(at, Reading(target, check, form.vantage, at, 0.0, form.outcome, reason, samples=samples))


def _sample(metric: str, values: Sequence[float | bool | str], labels: Mapping[str, str], share: float) -> Sample:
    family, _, name = metric.partition(".")
    first, last = values[0], values[-1]
    if isinstance(first, str) or isinstance(last, str):
        return Sample(family, name, first, dict(labels))
    return Sample(family, name, float(first) + (float(last) - float(first)) * share, dict(labels))


def _rules(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.partition("/")[0] for name in names)


def _clock(seconds: float) -> str:
    """`90s` as 1m30s."""
    whole, rest = divmod(round(seconds, 3), 60.0)
    hours, minutes = divmod(int(whole), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if whole else "") + f"{rest:g}s"
