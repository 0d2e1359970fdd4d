"""Silence of an interface: ages from counters, and the documented push fires the stock rule."""

from __future__ import annotations

import re
from pathlib import Path

from healthmon import probes
from healthmon.alerting.detect.conditions import evaluate, metrics_of
from healthmon.config import load
from healthmon.ingest.guard import PatientDataGuard
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.probes.silence import Ages
from healthmon.transport import codec

ROOT = Path(__file__).parents[3]


def reading(**counts: float) -> Reading:
    samples = [Sample("interface", "messages_total", value, {"interface": name}) for name, value in counts.items()]
    return Reading("engine", "interfaces", "poller", 0.0, 0.0, Outcome.OK, samples=tuple(samples))


def ages(of: Reading) -> dict[str, object]:
    return {s.labels["interface"]: s.value for s in of.samples if s.field == "last_message_age_seconds"}


def test_the_age_is_the_time_since_the_counter_rose() -> None:
    known = Ages()
    assert ages(known.complete(reading(adt=10.0, oru=5.0), 1000.0)) == {"adt": 0.0, "oru": 0.0}
    assert ages(known.complete(reading(adt=10.0, oru=6.0), 1060.0)) == {"adt": 60.0, "oru": 0.0}
    assert ages(known.complete(reading(adt=10.0, oru=6.0), 1120.0)) == {"adt": 120.0, "oru": 60.0}
    assert ages(known.complete(reading(adt=11.0, oru=6.0), 1180.0)) == {"adt": 0.0, "oru": 120.0}


def test_a_reset_is_no_message() -> None:
    known = Ages()
    known.complete(reading(adt=10.0), 0.0)
    assert ages(known.complete(reading(adt=0.0), 60.0)) == {"adt": 60.0}
    assert ages(known.complete(reading(adt=1.0), 120.0)) == {"adt": 0.0}


def test_an_age_that_the_feed_tells_is_left_alone() -> None:
    told = Sample("interface", "last_message_age_seconds", 7.0, {"interface": "adt"})
    both = Reading("e", "c", "v", 0.0, 0.0, Outcome.OK, samples=(*reading(adt=1.0).samples, told))
    assert Ages().complete(both, 50.0) is both


def test_other_readings_pass_as_they_are() -> None:
    other = Reading("e", "c", "v", 0.0, 0.0, Outcome.OK, samples=(Sample("icmp", "loss_ratio", 0.0),))
    assert Ages().complete(other, 0.0) is other


def test_checks_and_targets_do_not_share_a_counter() -> None:
    known = Ages()
    known.complete(reading(adt=10.0), 0.0)
    other = Reading("engine-2", "interfaces", "poller", 0.0, 0.0, Outcome.OK, samples=reading(adt=10.0).samples)
    assert ages(known.complete(other, 90.0)) == {"adt": 0.0}


def test_the_documented_push_is_admitted_and_is_over_the_stock_limit() -> None:
    page = (ROOT / "docs" / "probes.md").read_text(encoding="utf-8")
    (payload,) = re.findall(r"^```json\n(.*?)^```", page, flags=re.M | re.S)
    (pushed,) = codec.decode(payload.strip().encode()).readings
    guard = PatientDataGuard(probes.families())
    assert guard.admit(pushed) == pushed
    rule = next(rule for rule in load(ROOT / "configs" / "minimal.yaml", env={}).rules if rule.id == "interface-silent")
    (verdict,) = evaluate(rule, pushed, metrics_of(rule))
    assert (verdict.bad, verdict.key.labels) == (True, (("interface", "lims-ehr-results"),))
    quiet = reading(adt=1.0)
    (fresh,) = evaluate(rule, Ages().complete(quiet, 0.0), metrics_of(rule))
    assert (fresh.bad, fresh.good) == (False, True)
