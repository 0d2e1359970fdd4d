"""A mute hides a page and nothing else: incidents stand, recoveries pass, ends are final, the floor holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mutenights import GLASS, TWO, add, change, mute_target, silence
from smallsite import T0, Night, hospital

from healthmon.alerting.engine_settings import EngineSettings
from healthmon.alerting.mutes.desk import VERIFY_S
from healthmon.model.errors import Conflict, NotAllowed, NotFound
from healthmon.model.incident import IncidentState, Notice, Why
from healthmon.model.mute import Floor, Match, MuteCommand, MuteSettings, MuteState
from healthmon.model.sample import Reason
from healthmon.model.topology import Team

LIVE = EngineSettings(mode="live", mutes=MuteSettings(site_manager=("site",), reminders=("mail",)))


def site(**more: object) -> Night:
    return Night(hospital(wards=2, pcs=2), settings=LIVE, **more).run(20)


def pages(night: Night) -> list[Notice]:
    return [notice for notice in night.notices if notice.why is not Why.MUTE]


def about_mutes(night: Night) -> list[Notice]:
    return [notice for notice in night.notices if notice.why is Why.MUTE]


def test_a_silenced_target_fails_on_the_board_and_in_the_ledger_and_pages_nobody() -> None:
    night = site()
    made = mute_target(night, "sw-w7")
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(60)
    found = night.only()
    assert found.severity <= 3
    assert not pages(night)
    assert [(one.id, one.kind, one.owner) for one in found.silenced] == [(made.mute.id, "silence", "network")]
    (row,) = [row for row in night.ledger if row.cause == "silenced"]
    assert (row.incident, row.who, row.mute) == (found.id, "pager", made.mute.id)
    assert row.expires_at == made.mute.when.ends_at
    assert "sw-w7 snmp timeout" in row.evidence
    assert "switch is noisy" in row.because
    assert found.title in row.what
    assert "silenced" in [entry.what for entry in found.timeline]


def test_the_page_goes_when_the_silence_ends_and_the_fault_does_not() -> None:
    night = site()
    mute_target(night, "sw-w7", minutes=2)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(115)
    assert not pages(night)
    night.run(15)
    assert [notice.why for notice in pages(night)] == [Why.OPENED]
    assert not night.only().silenced


def test_a_recovery_under_a_silence_is_seen_and_told_to_who_was_paged_before() -> None:
    night = site()
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(30)
    assert len(pages(night)) == 1
    mute_target(night, "sw-w7")
    night.down.clear()
    night.run(40)
    assert night.only_or_mitigated().state is IncidentState.MITIGATED
    assert [notice.why for notice in pages(night)] == [Why.OPENED, Why.MITIGATED]


def test_what_is_not_muted_in_the_same_incident_pages() -> None:
    night = site()
    add(night, silence(Match(rule="http-slow")))
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(40)
    assert pages(night)


@pytest.mark.parametrize(
    "match",
    [Match(area="ward-7"), Match(kind="switch"), Match(target="sw-w*"), Match(site="main", rule="check-failed")],
)
def test_matches(match: Match) -> None:
    night = site()
    add(night, silence(match))
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(40)
    assert not pages(night)
    assert night.only().silenced


def test_the_last_way_of_the_ed_pages_whatever_is_silenced() -> None:
    night = site()
    add(night, silence(Match(target="*")))
    night.down["sw-ed-a"] = Reason.TIMEOUT
    night.run(40)
    assert not pages(night), "one of two: the silence holds"
    night.down["sw-ed-b"] = Reason.TIMEOUT
    night.run(60)
    assert pages(night), "the last one: no silence holds"
    worst = min(night.incidents(), key=lambda one: one.severity)
    assert any(line.area == "ed" for line in worst.impact)
    assert "unsilenced" in [e.what for i in night.incidents() for e in i.timeline] or not worst.silenced


def test_two_people_lift_the_floor_for_four_hours_and_one_does_not() -> None:
    night = site()
    everything = silence(Match(target="*"), minutes=239, floor=TWO)
    for wrong in (everything, replace(everything, approved_by="duty  ENGINEER")):
        with pytest.raises(NotAllowed, match="another named person"):
            add(night, wrong)
    with pytest.raises(NotAllowed, match="4 hours"):
        add(night, silence(Match(target="*"), minutes=241, floor=TWO, approved_by="Clinical lead"))
    made = add(night, replace(everything, approved_by="Clinical lead"))
    night.down["ehr-web"] = Reason.TIMEOUT
    night.run(40)
    assert not pages(night)
    with pytest.raises(NotAllowed, match="never made longer"):
        night.mute(MuteCommand("extend", "Duty engineer", made.mute.id, ends_at=night.now + 5 * 3600))
    refused = [event for step in night.steps for event in step.changes.mutes if event.action == "refused"]
    night.run(1)
    refused = [event for step in night.steps for event in step.changes.mutes if event.action == "refused"]
    assert len(refused) == 4


def test_breaking_the_glass_tells_the_site_manager_and_waits_for_a_review() -> None:
    night = site()
    glass = silence(Match(target="*"), minutes=60, floor=GLASS)
    with pytest.raises(NotAllowed, match="1 hour"):
        add(night, silence(Match(target="*"), minutes=61, floor=GLASS))
    made = add(night, glass)
    night.down["ehr-web"] = Reason.TIMEOUT
    night.run(40)
    assert not pages(night)
    told = [n for n in about_mutes(night) if n.channel == "site"]
    assert len(told) == 1
    assert "BREAK-GLASS" in told[0].subject
    with pytest.raises(NotAllowed, match="not reviewed"):
        add(night, silence(Match(target="ehr-web"), minutes=10, floor=GLASS))
    night.run(3700, step=10)
    assert pages(night), "an hour later it pages"
    with pytest.raises(NotAllowed, match="another person"):
        night.mute(MuteCommand("review", "duty engineer", made.mute.id))
    night.run(24 * 3600, step=300)
    assert len([n for n in about_mutes(night) if "To review" in n.subject]) == 1
    after = night.mute(MuteCommand("review", "Head of IT", made.mute.id))
    assert after.mute.reviewed_by == "Head of IT"


def test_an_override_to_shadow_does_not_hide_the_last_way() -> None:
    settings = replace(LIVE, rule_modes={"check-failed": "shadow"})
    night = Night(hospital(wards=2, pcs=2), settings=settings).run(20)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(40)
    assert not pages(night)
    night.down["ehr-web"] = Reason.TIMEOUT
    night.run(40)
    assert pages(night)


def test_only_expected_signals_of_a_change_are_held_back_and_the_rest_is_put_down_to_it() -> None:
    night = site()
    made = add(night, change("sw-w7", start=night.now))
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(40)
    assert not pages(night)
    assert night.only().changes_open == (made.mute.id,)
    assert [row.cause for row in night.ledger if row.mute] == ["expected"]
    night.down["prn-w7"] = Reason.TIMEOUT
    night.down.pop("sw-w7")
    night.run(60)
    found = [one for one in night.incidents() if one.root and one.root.target == "prn-w7"]
    assert found or pages(night)


def test_an_unexpected_signal_pages_and_names_the_change() -> None:
    night = site()
    made = add(night, change("sw-core", expected=("http-slow",), start=night.now))
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(40)
    (page,) = pages(night)
    assert made.mute.id in page.subject
    assert page.body["changes_open"] == [made.mute.id]


def test_a_change_elsewhere_has_nothing_to_do_with_it() -> None:
    night = site()
    add(night, change("prn-w8", expected=("down",), start=night.now))
    near = add(night, change("sw-core", expected=("warning",), start=night.now))
    night.down["ehr-db-a"] = night.down["prn-w7"] = Reason.TIMEOUT
    night.run(40)
    assert night.incidents()
    assert {one.changes_open for one in night.incidents()} == {(near.mute.id,)}


def test_after_the_window_the_targets_are_asked_and_what_still_fails_pages_as_after_the_change() -> None:
    night = site()
    made = add(night, change("sw-w7", start=night.now, minutes=2))
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(118)
    asked = len(night.asked)
    night.run(VERIFY_S)
    assert not pages(night), "it is still being looked at"
    assert {ask.target for ask in night.asked[asked:]} >= {"sw-w7", "prn-w7"}
    night.run(10)
    (page,) = pages(night)
    assert f"after change {made.mute.id}" in page.subject


def test_what_was_mended_by_the_end_of_the_change_pages_nobody() -> None:
    night = site()
    add(night, change("sw-w7", start=night.now, minutes=2))
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(100)
    night.down.clear()
    night.run(120)
    assert not pages(night)
    assert night.only_or_mitigated().state is IncidentState.MITIGATED


def test_what_fails_while_a_change_is_open_is_confirmed_sooner() -> None:
    def seconds_to_raise(*works: str) -> float:
        night = site()
        if works:
            add(night, change(*works, expected=(), start=night.now))
        night.down["sw-w7"] = Reason.TIMEOUT
        began = night.now
        while not night.incidents():
            night.run(0.5)
        return night.now - began

    assert seconds_to_raise("sw-core") < seconds_to_raise("sw-w8") == seconds_to_raise()


def test_what_is_over_never_comes_back() -> None:
    night = site()
    ended = mute_target(night, "sw-w7").mute
    night.mute(MuteCommand("end", "Duty engineer", ended.id))
    expired = mute_target(night, "sw-w8", minutes=1).mute
    night.run(70)
    states = {one.mute.id: one.state for one in night.view().mutes}
    assert states == {ended.id: MuteState.ENDED, expired.id: MuteState.EXPIRED}
    for id_ in states:
        for command in (
            MuteCommand("extend", "x", id_, ends_at=night.now + 99),
            MuteCommand("end", "x", id_),
            MuteCommand("add", "x", draft=replace(silence(Match(target="sw-w7"), start=night.now), id=id_)),
        ):
            with pytest.raises(Conflict):
                night.mute(command)
    night.tick()
    night.engine = night.make(night.journal.restored())
    night.now -= 3600.0  # the wall clock was put back before the restart
    night.down["sw-w8"] = Reason.TIMEOUT
    night.now += 3700.0
    night.run(40)
    assert pages(night)


def test_a_restart_keeps_every_mute_and_says_nothing_twice() -> None:
    night = site(restart_every_step=True)
    made = mute_target(night, "sw-w7", minutes=15)
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(100)
    assert [one.mute.id for one in night.view().mutes] == [made.mute.id]
    assert not pages(night)
    assert [notice.subject.split(":")[0] for notice in about_mutes(night)] == ["A silence holds back pages"]
    assert len([row for row in night.ledger if row.cause == "silenced"]) == 1


def test_reminders_go_to_the_owning_team_or_to_who_is_named_for_them() -> None:
    estate = hospital(wards=2, pcs=2)
    estate = replace(estate, teams={"network": Team("network", "Network", channels=("net",))})
    night = Night(estate, settings=LIVE).run(20)
    mute_target(night, "sw-w7", minutes=20)
    add(night, replace(silence(Match(target="sw-w8"), start=night.now, minutes=20), owner="Duty manager"))
    night.run(16 * 60, step=5)
    assert sorted(n.channel for n in about_mutes(night)) == ["mail", "net"]
    assert all("ends at" in n.subject for n in about_mutes(night))


def test_what_a_draft_must_satisfy() -> None:
    night = site()
    for draft, words in (
        (silence(Match()), "say what to silence"),
        (silence(Match(target="x"), minutes=200 * 24 * 60), "at most 92 days"),
        (silence(Match(target="x"), start=T0 - 9999, minutes=1), "in the past"),
        (change("nowhere"), "nowhere"),
        (change(), "none given"),
    ):
        with pytest.raises(Conflict, match=words):
            add(night, draft)
    with pytest.raises(NotFound):
        night.mute(MuteCommand("end", "x", "sil-none"))


def test_preview_names_what_would_be_hidden_and_whom_it_leaves_alone() -> None:
    night = site()
    night.down["sw-w7"] = Reason.TIMEOUT
    night.run(40)
    seen = night.engine.preview(silence(Match(target="sw-*")))
    assert "sw-w7" in seen.targets
    assert seen.incidents == (night.only().id,)
    assert {"ward-7", "ed"} <= set(seen.areas)
    assert ("ward-7", "ehr") in seen.uncovered
    assert seen.floor == (("ed", "ehr"),)
    assert not seen.floor_lifted
    one = night.engine.preview(silence(Match(target="sw-ed-a"), floor=Floor.KEEP))
    assert one.uncovered == ()
    assert night.engine.preview(change("sw-w7", expected=())).uncovered == ()


def test_a_site_that_pages_nobody_lists_what_it_would_have_said_of_mutes() -> None:
    night = Night(hospital(wards=2, pcs=2), settings=replace(LIVE, mode="shadow")).run(20)
    add(night, silence(Match(target="sw-w7"), minutes=30, floor=GLASS))
    night.run(1)
    assert not night.notices
    assert [row.cause for row in night.ledger] == ["shadow"]
