"""Every gate between a reading and a page, shut one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.app.whynot import WhyNot
from healthmon.config.loading import load_text
from healthmon.model.errors import NotFound
from healthmon.model.incident import LedgerRow
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.view import Health
from healthmon.web.explanation import explanation, words

START = 1_795_428_000.0  # 2026-11-23T10:00:00Z, a Monday
SITE = """
organisation: {id: t, name: T, timezone: Europe/London}
data_dir: /nonexistent
areas: [{id: w7, name: Ward 7, kind: ward, acuity: inpatient, beds: 28, needs: [sw]}]
services: [{id: ehr, name: Record, tier: 1, used_in: all, needs: [web]}]
targets:
  - {id: sw, kind: switch, address: 192.0.2.1, area: w7, checks: [{kind: icmp, every: 10s}]}
  - {id: web, kind: server, address: 192.0.2.2, needs: [sw], checks: [{kind: icmp, every: 10s}]}
  - {id: pc, kind: ward-workstation, address: 192.0.2.3, area: w7}
notify: {channels: {desk: {kind: inbox, path: /nonexistent/x}}}
"""


class Hospital:
    def __init__(self, more: str = "", site: str = SITE, packs: Sequence[Path] = ()) -> None:
        self.site = load_text(site + more, env={}, pack_dirs=packs)
        alerting = self.site.alerting
        settings = EngineSettings(mode=alerting.mode, waking=self.site.waking, text=self.site.text)
        self.engine = Engine(
            estate=self.site.estate, rules=self.site.rules, policies=self.site.policies, severity=self.site.severity,
            settings=settings, staffed=lambda area, at: True,
        )  # fmt: skip
        self.now = START
        self.ledger: list[LedgerRow] = []
        self.notices: list[Any] = []

    def read(self, target: str, reason: Reason | None = None, *, loss: float = 0.0, **more: Any) -> None:
        outcome = more.pop("outcome", Outcome.FAILED if reason else Outcome.OK)
        sample = Sample("icmp", "loss_ratio", loss)
        found = Reading(target, "icmp", "poller", self.now, 0.1, outcome, reason, samples=(sample,))
        self.engine.observe([found], now=self.now + 0.1)

    def step(self, seconds: float = 10.0) -> None:
        self.now += seconds
        step = self.engine.tick(self.now)
        self.ledger += step.changes.ledger
        self.notices += step.notices

    def gates(self, rule: str, target: str) -> list[tuple[str, bool, str]]:
        view = self.engine.view(self.now, Health("ok", START, 0.0, True, 0, True, "shadow"))
        why = WhyNot(self.site, view, self.notices, self.ledger, self.engine.sides)
        return [(gate.what, gate.open, gate.text) for gate in why.gates(rule, target)]

    def last(self, rule: str, target: str) -> tuple[str, bool, str]:
        return self.gates(rule, target)[-1]


def test_a_rule_that_is_not_about_the_target_says_which_word_does_not_fit() -> None:
    what, is_open, text = Hospital().last("check-failed", "pc")
    assert (what, is_open) == ("selector", False)
    assert text.startswith("check-failed is not about pc: `on.probes` wants icmp, http")
    assert text.endswith("it has no checks")


def test_nobody_has_looked_or_the_look_says_nothing_or_is_old() -> None:
    hospital = Hospital()
    assert hospital.last("check-failed", "sw") == ("readings", False, "nobody has looked at icmp of sw yet")
    hospital.read("sw", Reason.NO_ROUTE, outcome=Outcome.UNKNOWN)
    hospital.step(5.0)
    text = "looked at 4.9 s ago from poller: unknown (no_route): says nothing about the target"
    assert hospital.last("check-failed", "sw") == ("readings", False, text)
    hospital.step(600.0)
    assert "asked for every 10 s: nothing can be judged" in hospital.last("check-failed", "sw")[2]


def test_a_condition_that_is_false_shows_the_present_value() -> None:
    hospital = Hospital()
    hospital.read("sw", loss=0.05)
    hospital.step(1.0)
    text = "the condition does not hold: wants icmp.loss_ratio above 0.2; now icmp.loss_ratio is 0.05"
    assert hospital.last("packet-loss", "sw") == ("condition", False, text)
    assert hospital.last("check-failed", "sw")[2] == (
        "the condition does not hold: wants outcome failed; now icmp is ok"
    )


def test_a_pending_alert_says_what_it_waits_for() -> None:
    hospital = Hospital()
    hospital.read("sw", Reason.TIMEOUT)
    hospital.step(1.0)
    assert hospital.last("check-failed", "sw") == ("hold", False, "it is pending: 1 of 3 readings in a row")


def failing(more: str = "") -> Hospital:
    """The switch is down, and the server behind it does not answer."""
    hospital = Hospital(more)
    for _ in range(4):
        hospital.read("sw", Reason.TIMEOUT)
        hospital.read("web", Reason.TIMEOUT)
        hospital.step()
    return hospital


def test_behind_a_root_and_shadow_mode_are_told() -> None:
    hospital = failing()
    what, is_open, text = hospital.last("check-failed", "web")
    assert (what, is_open) == ("root", False)
    assert text.startswith("it is behind sw, part of incident inc-")
    gates = hospital.gates("check-failed", "sw")
    assert [what for what, _, _ in gates][:4] == ["selector", "condition", "hold", "incident"]
    assert any(what == "shadow" and "would have paged desk" in text for what, _, text in gates)
    assert gates[-1] == ("told", False, "nobody was told: see above")


def test_no_policy_is_told() -> None:
    one = "{id: printers, severities: [5], steps: [{channels: [desk]}]}"
    gates = failing(f"alerting: {{mode: live}}\noncall: {{policies: [{one}]}}\n").gates("check-failed", "sw")
    assert gates[-1][:2] == ("policy", False)
    assert "no policy is about severity" in gates[-1][2]


def test_a_page_that_was_sent_is_no_riddle() -> None:
    what, is_open, text = failing("alerting: {mode: live}\n").last("check-failed", "sw")
    assert (what, is_open) == ("told", True)
    assert text.startswith("people were told: desk at 10:00")


@pytest.mark.parametrize(("rule", "target"), [("chek-failed", "sw"), ("check-failed", "webb")])
def test_unknown_names_are_told_with_the_nearest(rule: str, target: str) -> None:
    with pytest.raises(NotFound, match="did you mean"):
        Hospital().gates(rule, target)


def test_an_incident_in_words() -> None:
    hospital = failing()
    view = hospital.engine.view(hospital.now, Health("ok", START, 0.0, True, 0, True, "shadow"))
    (incident,) = view.incidents
    text = words(explanation(incident, view, hospital.notices, hospital.ledger))
    lines = text.splitlines()
    assert lines[0] == "what:"
    assert "cause:\n  very likely: sw\n    for: sw itself fails (timeout), seen from poller" in text
    assert "  explained by it, no extra page: web" in lines
    assert "  Ward 7: Record: not available (0 of 1 routes left)" in lines
    assert "who was told:\n  nobody" in text
    assert "desk (shadow): would have paged desk" in text
    assert "nobody (behind_root): behind sw" in text
    assert lines[-1].endswith("(healthmon)")
    old = words(explanation(incident, view, hospital.notices, hospital.ledger, shown=False))
    assert "cause:\n  very likely: sw\n  explained by it, no extra page: web" in old


MACHINES = """
organisation: {id: t, name: T, timezone: Europe/London}
data_dir: /nonexistent
areas: [{id: w7, name: Ward 7, kind: ward, acuity: inpatient}]
targets:
""" + "".join(f"  - {{id: srv{n}, kind: server, address: 192.0.3.{n}, area: w7}}\n" for n in range(1, 31))
MACHINES += "agents:\n" + "".join(
    f"  - {{id: srv{n}, target: srv{n}, roles: [windows-server]}}\n" for n in range(1, 31)
)


def machines(lost: int) -> Hospital:
    """Thirty servers are heard for five minutes; then so many fall silent together."""
    hospital = Hospital("notify: {channels: {desk: {kind: inbox, path: /nonexistent/x}}}\n", site=MACHINES)
    for step in range(28):
        for n in range(1, 31):
            if step < 20 or n > lost:
                hospital.engine.heard(f"srv{n}", "up", hospital.now)
        hospital.step(15.0)
    return hospital


def test_machines_that_vanish_together_are_explained_by_any_of_them_and_by_their_group() -> None:
    hospital = machines(lost=10)
    for asked_for in ("srv1", "srv20", "t"):
        gates = hospital.gates("machines-vanish", asked_for)
        said = {what: text for what, is_open, text in gates if is_open}
        assert "10 of 30 that are judged" in said["condition"], asked_for
        assert said["condition"].startswith("in t, the condition holds: wants at least 5 series")
        assert "it is in incident inc-" in said["incident"] or "it is behind" in said["incident"], asked_for
    assert "srv1 is one of them" in hospital.gates("machines-vanish", "srv1")[1][2]
    assert "srv20 is not one of them" in hospital.gates("machines-vanish", "srv20")[1][2]
    assert "asks for silent agents" not in str(hospital.gates("machines-vanish", "srv1"))


def test_a_group_of_which_too_few_hold_says_how_many() -> None:
    what, is_open, text = machines(lost=2).last("machines-vanish", "srv1")
    assert (what, is_open) == ("condition", False)
    assert text.startswith("in t, the condition does not hold: wants at least 5 series, at least 5 %")
    assert text.endswith("now 2 of 30 that are judged: srv1, srv2; srv1 is one of them")


LOSSY = """\
rules:
  - id: lossy-together
    on: {probes: [icmp]}
    condition: {group: {where: {above: {metric: icmp.loss_ratio, value: 0.4}}, count: targets, by: site, at_least: 2}}
    effect: warning
    no_data: clear
    summary: "{detail}"
"""


def test_a_group_of_readings_is_found_by_its_members_and_by_its_place(tmp_path: Path) -> None:
    rules = tmp_path / "alerting" / "rules"
    rules.mkdir(parents=True)
    (rules / "mine.yaml").write_text(LOSSY)
    hospital = Hospital(packs=[tmp_path])
    hospital.read("sw", loss=0.5)
    hospital.read("web", loss=0.1)
    hospital.step(1.0)
    text = hospital.last("lossy-together", "web")[2]
    assert text.endswith("now 1 of 2 that are judged: sw; web is not one of them")
    hospital.read("web", loss=0.5)
    hospital.step(1.0)
    for asked_for in ("sw", "web", "t"):
        gates = hospital.gates("lossy-together", asked_for)
        assert [what for what, _, _ in gates][-1] != "condition", gates
        assert "now 2 of 2 that are judged: sw, web" in {what: text for what, _, text in gates}["condition"]
    with pytest.raises(NotFound):
        hospital.gates("lossy-together", "nowhere")
    with pytest.raises(NotFound):
        hospital.gates("packet-loss", "t")


def test_a_baseline_in_a_group_says_that_it_learns() -> None:
    hospital = Hospital(
        site=SITE.replace("checks: [{kind: icmp, every: 10s}]}\n  - {id: pc", "checks: [http]}\n  - {id: pc")
    )
    found = Reading(
        "web", "http", "poller", hospital.now, 0.1, Outcome.OK, samples=(Sample("http", "duration_seconds", 0.2),)
    )
    hospital.engine.observe([found], now=hospital.now + 0.2)
    hospital.step(1.0)
    text = hospital.last("slow-from-wards", "web")[2]
    assert "until it knows 3 earlier periods" in text, text


def test_after_a_quiet_night_what_was_is_told() -> None:
    """Two faults an hour ago: one paged, one was behind it; both are over."""
    hospital = failing("alerting: {mode: live}\n")
    for _ in range(40):
        hospital.read("sw")
        hospital.read("web")
        hospital.step()
    view = hospital.engine.view(hospital.now, Health("ok", START, 0.0, True, 0, True, "live"))
    rows = [LedgerRow(START, "", "check-failed/sw/icmp@poller#1", "nobody", "clean_stop", "it was shut down cleanly")]
    why = WhyNot(hospital.site, view, hospital.notices, hospital.ledger, hospital.engine.sides)
    for target, outcome in (("sw", "people were told: desk at 10:00"), ("web", "it was behind sw: no extra page")):
        assert why.gates("check-failed", target)[-1].what == "condition"
        assert why.incident("check-failed", target) is None
        newest = why.newest("check-failed", target, view.incidents)
        said = [gate.text for gate in why.before("check-failed", target, newest, rows)]
        assert said[0].startswith("2026-11-23 10:00 to 10:0"), said
        assert "it was in incident inc-" in said[0]
        assert said[1].startswith(outcome)
        assert said[-1] == "2026-11-23 10:00: it was shut down cleanly"
    assert why.newest("packet-loss", "sw", view.incidents) is None
    assert why.subject("check-failed", "sw") == "check-failed/sw/"
