"""What conditions say of a reading, with three values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from healthmon.alerting.detect.conditions import Facts, absent_after, cleared, evaluate, holds, metrics_of
from healthmon.model.alert import (
    Above,
    Absent,
    AllOf,
    AnyOf,
    Below,
    Condition,
    Effect,
    NoData,
    Not,
    OutcomeIs,
    Outside,
    Rule,
    Selector,
)
from healthmon.model.condition import OfLast
from healthmon.model.sample import Outcome, Reading, Reason, Sample

OK = Reading("t", "c", "poller", 1000.0, 0.1, Outcome.OK)
FAILED = replace(OK, outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
UNKNOWN = replace(OK, outcome=Outcome.UNKNOWN, reason=Reason.NO_ROUTE)
DISKS = replace(
    OK,
    samples=(
        Sample("host_disk", "used_ratio", 0.95, {"mount": "/"}),
        Sample("host_disk", "used_ratio", 0.10, {"mount": "/var"}),
        Sample("host_disk", "answers", True),
        Sample("tls", "version", "TLSv1.3"),
    ),
)
FAILS = OutcomeIs((Outcome.FAILED,))
FULL = Above("host_disk.used_ratio", 0.9)


def rule(condition: Condition, clear: Condition | None = None) -> Rule:
    return Rule("r", Selector(), condition, Effect.DOWN, NoData.HOLD, "x", clear=clear)


def said(condition: Condition, reading: Reading) -> bool | None:
    one = rule(condition)
    return holds(condition, Facts.of(reading, metrics_of(one)), (("mount", "/"),))


@pytest.mark.parametrize(
    ("condition", "reading", "answer"),
    [
        (FAILS, OK, False),
        (FAILS, FAILED, True),
        (FAILS, UNKNOWN, None),
        (OutcomeIs((Outcome.FAILED,), (Reason.REFUSED,)), FAILED, False),
        (OutcomeIs((Outcome.FAILED,), (Reason.TIMEOUT,)), FAILED, True),
        (OutcomeIs((Outcome.UNKNOWN,)), UNKNOWN, True),
        (FULL, DISKS, True),
        (FULL, OK, None),
        (Below("host_disk.used_ratio", 0.9), DISKS, False),
        (Outside("host_disk.used_ratio", 0.2, 0.9), DISKS, True),
        (Outside("host_disk.used_ratio", 0.2, 0.95), DISKS, False),
        (Above("host_disk.answers", 0.5), DISKS, True),  # a flag is 1
        (Above("tls.version", 0.5), DISKS, None),  # a word is no number
        (Not(FAILS), UNKNOWN, None),
        (Not(FAILS), OK, True),
        (AllOf((FAILS, FULL)), OK, False),
        (AllOf((Not(FAILS), FULL)), OK, None),
        (AllOf((Not(FAILS), FULL)), DISKS, True),
        (AnyOf((FAILS, FULL)), FAILED, True),
        (AnyOf((FAILS, FULL)), OK, None),
        (AnyOf((FAILS, FULL)), DISKS, True),
        (Absent(30.0), OK, False),
    ],
)
def test_holds(condition: Condition, reading: Reading, answer: bool | None) -> None:
    assert said(condition, reading) is answer


def test_one_verdict_per_dimension() -> None:
    verdicts = {verdict.key.labels: verdict for verdict in evaluate(rule(FULL), DISKS, metrics_of(rule(FULL)))}
    assert {labels: verdict.bad for labels, verdict in verdicts.items()} == {
        (("mount", "/"),): True,
        (("mount", "/var"),): False,
    }
    assert verdicts[(("mount", "/"),)].value == 0.95


def test_between_the_limits_is_neither_bad_nor_good() -> None:
    one = rule(FULL, Below("host_disk.used_ratio", 0.8))
    reading = replace(OK, samples=(Sample("host_disk", "used_ratio", 0.85, {"mount": "/"}),))
    (verdict,) = evaluate(one, reading, metrics_of(one))
    assert (verdict.bad, verdict.good) == (False, False)


def test_an_unknown_reading_is_evidence_of_nothing() -> None:
    (verdict,) = evaluate(rule(FAILS), UNKNOWN, frozenset())
    assert (verdict.bad, verdict.good) == (None, False)


def test_the_shortest_silence_that_a_rule_asks_about() -> None:
    assert absent_after(rule(AnyOf((Absent(60.0), Absent(30.0), FAILS)))) == 30.0
    assert absent_after(rule(FAILS)) is None


@pytest.mark.parametrize(
    ("condition", "because"), [(FULL, ()), (AnyOf((FULL, FAILS)), ("host_disk.used_ratio",)), (OfLast(1, 2, FULL), ())]
)
def test_a_clear_of_several_parts_waits_for_the_metric_that_raised_the_alert(
    condition: Condition, because: tuple[str, ...]
) -> None:
    one = rule(condition, AllOf((Below("host_disk.used_ratio", 0.8), OutcomeIs((Outcome.OK,)))))
    for reading, clear in ((OK, False), (replace(OK, samples=(Sample("host_disk", "used_ratio", 0.5),)), True)):
        assert cleared(one, Facts.of(reading, metrics_of(one)), (), because) is clear
