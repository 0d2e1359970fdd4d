"""A preview names what a mute can reach, by rule and check too, and nobody as left alone who is not."""

from __future__ import annotations

import pytest
from mutenights import change, silence
from smallsite import Night, hospital

from healthmon.model.mute import Change, Match, Preview, Silence

NIGHT = Night(hospital(wards=2, pcs=2)).run(1)


def seen(draft: Silence | Change) -> Preview:
    return NIGHT.engine.preview(draft)


def test_a_rule_about_slowness_is_about_what_can_be_slow_and_hides_no_loss() -> None:
    found = seen(silence(Match(rule="http-slow")))
    assert found.targets == ("ehr-readonly", "ehr-web")
    assert (found.uncovered, found.floor) == ((), ())


def test_a_rule_about_silence_is_about_what_hosts_agents() -> None:
    found = seen(silence(Match(rule="agent-silent")))
    assert set(found.targets) == {"mon", "pc-w7-1", "pc-w7-2", "pc-w8-1", "pc-w8-2"}
    assert found.uncovered == ()


@pytest.mark.parametrize(
    "match", [Match(rule="check-failed"), Match(check="tcp"), Match(rule="check-*", kind="server")]
)
def test_a_rule_or_check_about_failures_hides_losses(match: Match) -> None:
    found = seen(silence(match))
    assert "ad" in found.targets
    assert "pc-w7-1" not in found.targets
    assert ("ed", "ehr") in found.floor


def test_a_check_without_failures_of_its_own_targets_names_no_other() -> None:
    found = seen(silence(Match(check="read")))
    assert found.targets == ("ehr-web",)


@pytest.mark.parametrize(
    ("expected", "hides"),
    [("down", True), ("check-failed", True), ("timeout", True), ("*", True), ("http", True),
     ("degraded", False), ("http-slow", False), ("warning", False)],
)  # fmt: skip
def test_a_change_hides_losses_when_it_expects_them(expected: str, hides: bool) -> None:
    found = seen(change("ehr-web", expected=(expected,)))
    assert (("ward-7", "ehr") in found.uncovered) is hides
