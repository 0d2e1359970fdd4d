"""The state table of an alert, row by row, and what no sequence may do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.alerting.detect.state import advance, due_at, expire
from healthmon.model.alert import (
    Alert,
    AlertKey,
    Effect,
    NoData,
    OutcomeIs,
    Phase,
    Rule,
    Selector,
    Verdict,
)
from healthmon.model.sample import Outcome

KEY = AlertKey("r", "t", "c", "poller")
RULE = Rule("r", Selector(), OutcomeIs((Outcome.FAILED,)), Effect.DOWN, NoData.HOLD, "x", confirm=3, clear_confirm=2)
#: b bad, g good, m between the limits (neither), u nothing to judge
WORDS = {"b": (True, False), "g": (False, True), "m": (False, False), "u": (None, False)}
LETTERS = {Phase.CLEAR: ".", Phase.PENDING: "p", Phase.FIRING: "F", Phase.CLEARING: "c"}


def trace(script: str, rule: Rule = RULE, every_s: float = 1.0) -> str:
    """The phase after each verdict of the script, one letter each."""
    alert: Alert | None = None
    seen = ""
    for index, letter in enumerate(script):
        at = 1000.0 + index * every_s
        bad, good = WORDS[letter]
        alert = advance(alert, Verdict(KEY, bad, good, at), rule, at)
        seen += LETTERS[alert.phase if alert else Phase.CLEAR]
    return seen


@pytest.mark.parametrize(
    ("rule", "script", "phases"),
    [
        (RULE, "bbb", "ppF"),
        (RULE, "bbgbbb", "pp.ppF"),
        (RULE, "bubub", "ppppF"),  # unknown neither counts nor breaks the row
        (RULE, "uuug", "...."),
        (RULE, "bbbgg", "ppFc."),
        (RULE, "bbbgbgg", "ppFcFc."),
        (RULE, "bbbgugg", "ppFcc.."),
        (RULE, "bbbuuu", "ppFFFF"),  # and never clears anything
        (RULE, "bbbmmm", "ppFFFF"),
        (RULE, "bbbgmgg", "ppFcFc."),  # between the limits is not clear
        (RULE, "bmb", "p.p"),
        (replace(RULE, confirm=1, clear_confirm=1), "bgb", "F.F"),
        (replace(RULE, confirm=1, hold_s=3.0), "bbbbb", "pppFF"),
        (replace(RULE, confirm=3, hold_s=1.0), "bbb", "ppF"),
        (replace(RULE, confirm=1, clear_confirm=1, keep_s=3.0), "bgggg", "Fccc."),
        (replace(RULE, confirm=1, clear_confirm=1, keep_s=3.0), "bggbgggg", "FccFccc."),
    ],
)
def test_traces(rule: Rule, script: str, phases: str) -> None:
    assert trace(script, rule) == phases


def test_a_hold_runs_out_between_two_readings() -> None:
    rule = replace(RULE, confirm=1, hold_s=10.0)
    alert = advance(None, Verdict(KEY, True, False, 1000.0), rule, 1000.0)
    assert alert is not None
    assert due_at(alert, rule) == 1010.0
    assert expire(alert, rule, 1009.9) == alert
    fired = expire(alert, rule, 1010.0)
    assert fired is not None
    assert (fired.phase, fired.fired_at, fired.bad_since) == (Phase.FIRING, 1010.0, 1000.0)


def test_a_keep_time_runs_out_between_two_readings() -> None:
    rule = replace(RULE, confirm=1, clear_confirm=1, keep_s=10.0)
    alert = advance(None, Verdict(KEY, True, False, 1000.0), rule, 1000.0)
    alert = advance(alert, Verdict(KEY, False, True, 1005.0), rule, 1005.0)
    assert alert is not None
    assert due_at(alert, rule) == 1015.0
    assert expire(alert, rule, 1014.0) == alert
    assert expire(alert, rule, 1015.0) is None


def test_an_unconfirmed_alert_has_no_deadline() -> None:
    rule = replace(RULE, confirm=3, hold_s=10.0)
    alert = advance(None, Verdict(KEY, True, False, 1000.0), rule, 1000.0)
    assert alert is not None
    assert due_at(alert, rule) is None
    held = expire(alert, rule, 2000.0)
    assert held is not None
    assert held.phase is Phase.PENDING


@given(
    st.text("bgmu", max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.0, 2.0]),
    st.sampled_from([0.0, 2.0]),
)
def test_it_fires_only_confirmed_and_clears_only_confirmed(
    script: str, confirm: int, clear_confirm: int, hold_s: float, keep_s: float
) -> None:
    rule = replace(RULE, confirm=confirm, clear_confirm=clear_confirm, hold_s=hold_s, keep_s=keep_s)
    phases = trace(script, rule)
    judged = [(letter, phase) for letter, phase in zip(script, phases, strict=True) if letter != "u"]
    for index, (letter, phase) in enumerate(judged):
        before = judged[index - 1][1] if index else "."
        if phase == "F" and before in ".p":
            assert "".join(one for one, _ in judged[max(0, index + 1 - confirm) : index + 1]) == "b" * confirm
        if phase == "." and before in "Fc":
            assert (
                "".join(one for one, _ in judged[max(0, index + 1 - clear_confirm) : index + 1]) == "g" * clear_confirm
            )
        assert not (letter == "b" and phase in ".c")
