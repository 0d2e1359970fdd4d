"""What is no fault wakes nobody: the stock rules through the whole engine, at three at night."""

from __future__ import annotations

import pytest

from healthmon.alerting.engine import Engine
from healthmon.alerting.engine_settings import EngineSettings
from healthmon.config.loading import load_text
from healthmon.impact.hours import Calendar
from healthmon.model.alert import Phase
from healthmon.model.incident import Incident, Notice
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.model.view import Health

#: A Monday, 03:00 UTC.
NIGHT = 1_795_402_800.0
YEAR_S = 365 * 86_400.0
SITE = """\
organisation: {id: st-elsewhere, name: St Elsewhere, timezone: UTC}
data_dir: /nonexistent
areas:
  - {id: w7, name: Ward 7, kind: ward, acuity: inpatient, beds: 28}
  - {id: ed, name: Emergency, kind: ed, acuity: critical, beds: 20}
services:
  - {id: results, name: Results, tier: 1, used_in: all, needs: [engine]}
  - {id: sign-on, name: Sign-on, tier: 0, used_in: all, needs: [dc]}
targets:
  - {id: dc, kind: domain-controller, address: 192.0.2.2, checks: [{kind: ntp, every: 60s}, {kind: ldap, every: 60s}]}
  - {id: engine, kind: server, address: 192.0.2.5, checks: [{id: hl7, kind: hl7, every: 60s}]}
notify: {channels: {desk: {kind: inbox, path: /nonexistent/desk}}}
alerting: {mode: live}
"""


def night(target: str, check: str, *samples: Sample) -> tuple[set[str], list[Incident], list[Notice]]:
    """The rules that fire, the incidents and the pages after a quarter of an hour of such readings."""
    site = load_text(SITE, env={})
    settings = EngineSettings(mode="live", waking=site.waking, text=site.text)
    engine = Engine(
        estate=site.estate,
        rules=site.rules,
        policies=site.policies,
        severity=site.severity,
        settings=settings,
        staffed=Calendar(site.estate).staffed,
    )
    notices: list[Notice] = []
    for minute in range(15):
        at = NIGHT + 60.0 * minute
        engine.observe([Reading(target, check, "poller", at, 0.1, Outcome.OK, samples=samples)], now=at + 0.2)
        for later in (1.0, 10.0, 30.0, 50.0):
            notices += engine.tick(at + later).notices
    view = engine.view(NIGHT + 900.0, Health("ok", NIGHT, 0.0, True, 0, True, "live"))
    firing = {one.key.rule for one in view.alerts if one.phase is Phase.FIRING and one.key.target == target}
    return firing, list(view.incidents), notices


def age_of(seconds: float) -> Sample:
    return Sample("interface", "last_message_age_seconds", seconds, {"interface": "adt"})


@pytest.mark.parametrize(
    ("target", "check", "sample", "rule"),
    [
        ("engine", "hl7", age_of(3_720.0), "interface-silent"),
        ("dc", "ntp", Sample("ntp", "offset_seconds", 1.2), "clock-apart"),
    ],
)  # fmt: skip
def test_what_may_be_usual_is_on_the_board_and_pages_nobody(target: str, check: str, sample: Sample, rule: str) -> None:
    firing, incidents, notices = night(target, check, sample)
    assert rule in firing
    assert [one.severity for one in incidents if one.root.target == target] == [4]
    assert notices == []


def test_a_clock_that_nears_the_end_of_logins_is_a_warning() -> None:
    firing, incidents, notices = night("dc", "ntp", Sample("ntp", "offset_seconds", 75.0))
    assert "login-clock-apart" in firing
    assert [one.severity for one in incidents] == [3]
    assert {one.severity for one in notices} == {3}


def test_a_certificate_of_ten_years_is_no_news_with_three_years_left() -> None:
    left = Sample("tls", "expires_in_seconds", 2.9 * YEAR_S), Sample("tls", "lifetime_left_ratio", 0.29)
    assert night("dc", "ldap", *left) == (set(), [], [])


def test_messages_that_wait_are_a_fault_at_any_hour() -> None:
    waits = Sample("interface", "oldest_queued_seconds", 1_000.0, {"interface": "adt"})
    firing, incidents, notices = night("engine", "hl7", waits)
    assert "interface-queue-old" in firing
    assert [one.severity for one in incidents] == [1]
    assert notices != []
