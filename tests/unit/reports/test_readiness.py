"""Readiness: each thing red before an outage, by the fixture that makes it so; what is not seen is never ready."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.ready import NOW, SITE, TODAY, Key, facts, good, reading
from healthmon.impact.refuge import pc_ready
from healthmon.model.sample import Reading
from healthmon.reports.care import Expiry
from healthmon.reports.facts import DAY_S, NOT_READY, READY, SOON, UNKNOWN, Facts, Item, day_state
from healthmon.reports.readiness import items, summary


def by(facts_: Facts, kind: str, id_: str) -> Item:
    return next(one for one in items(facts_) if (one.kind, one.id) == (kind, id_))


#: The database has no evidence of its own: the backup of the keeper is labelled for it.
WHOLE = SITE.replace("{id: keeper, kind: server, address: 192.0.2.12}",
                     "{id: keeper, kind: server, address: 192.0.2.12, labels: {backup_of: ehr-db}}")  # fmt: skip


def test_on_a_good_day_everything_is_ready() -> None:
    found = items(facts(site=WHOLE))
    assert [(one.id, one.why) for one in found if one.state != READY] == []
    assert {one.kind for one in found} == {
        "downtime_pc",
        "downtime_copy",
        "paper_forms",
        "backup",
        "certificate",
        "date",
    }
    assert all(one.why == () for one in found)


def changed(key: Key, **values: float) -> dict[Key, Reading]:
    found = good()
    before = {one.field: one.value for one in found[key].samples}
    labels = dict(found[key].samples[0].labels)
    family = found[key].samples[0].family
    found[key] = reading(*key, family, labels=labels, **{**before, **values})  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("kind", "id_", "readings", "words"),
    [
        ("downtime_pc", "dt-7", changed(("dt-7", "battery"), on_mains=0.0), "runs on its battery"),
        ("downtime_pc", "dt-8", changed(("ups-8", "snmp"), on_battery=1.0), "UPS ups-8 runs on battery"),
        ("downtime_pc", "dt-7", changed(("pr-7", "ipp"), errors=1.0), "printer pr-7 needs somebody"),
        (
            "downtime_copy",
            "viewer",
            changed(("viewer", "downtime-copy"), last_modified_age_seconds=1_801.0),
            "30 min old",
        ),
        ("backup", "keeper/record", changed(("keeper", "backups"), age_seconds=27 * 3600.0), "27 h old"),
        ("backup", "keeper/record", changed(("keeper", "backups"), restore_test_age_seconds=8 * DAY_S), "8 days ago"),
        ("backup", "keeper/record", changed(("keeper", "backups"), off_site=0.0), "no copy off-site"),
        ("backup", "keeper/record", changed(("keeper", "backups"), immutable=0.0), "cannot be changed"),
        ("backup", "keeper/record", changed(("keeper", "backups"), found=0.0), "no backup is found"),
        (
            "certificate",
            "ehr-db/tls",
            changed(("ehr-db", "tls"), lifetime_left_ratio=0.09, expires_in_seconds=20 * DAY_S),
            "expires in 20 days",
        ),
        ("certificate", "ehr-db/tls", changed(("ehr-db", "tls"), expires_in_seconds=-DAY_S), "expired 1 days ago"),
    ],
)
def test_each_fault_is_red_with_its_words(kind: str, id_: str, readings: dict[Key, Reading], words: str) -> None:
    found = by(facts(readings, site=WHOLE), kind, id_)
    assert found.state == NOT_READY
    assert words in " ".join(found.why)


def test_a_certificate_of_ten_years_is_no_news_in_its_ninth() -> None:
    readings = changed(("ehr-db", "tls"), lifetime_left_ratio=0.095, expires_in_seconds=346 * DAY_S)
    assert by(facts(readings, site=WHOLE), "certificate", "ehr-db/tls").state == READY
    soon = changed(("ehr-db", "tls"), lifetime_left_ratio=0.02, expires_in_seconds=80 * DAY_S)
    assert by(facts(soon, site=WHOLE), "certificate", "ehr-db/tls").state == SOON


@pytest.mark.parametrize(
    ("down", "kind", "id_"),
    [("dt-7", "downtime_pc", "dt-7"), ("pr-7", "downtime_pc", "dt-7"), ("ups-8", "downtime_pc", "dt-8")],
)
def test_what_is_down_or_not_seen_is_told_apart(down: str, kind: str, id_: str) -> None:
    assert by(facts(site=WHOLE, down=frozenset({down})), kind, id_).state == NOT_READY
    assert by(facts(site=WHOLE, unseen=frozenset({down})), kind, id_).state == UNKNOWN


@pytest.mark.parametrize("key", [key for key in good() if key[1] in ("battery", "downtime-copy", "backups")])
def test_an_old_reading_proves_nothing(key: Key) -> None:
    found = good()
    old = found | {key: replace(found[key], started=NOW - 3 * 3600.0)}
    before = {(one.kind, one.id): one.state for one in items(facts(site=WHOLE))}
    after = {(one.kind, one.id): one.state for one in items(facts(old, site=WHOLE))}
    moved = {name for name in before if before[name] != after[name]}
    assert all(after[name] == UNKNOWN for name in moved)
    assert moved or key[0] == "dt-8"  # its power is known by its UPS


def test_what_nobody_declared_is_said() -> None:
    bare = SITE.replace(", downtime_pc: dt-7", "").replace(", fallback: {text: Read-only copy, proven_by: viewer}", "")
    assert by(facts(site=bare), "downtime_pc", "ward-7").why == ("no downtime PC is declared",)
    assert by(facts(site=bare), "downtime_copy", "ehr").state == NOT_READY
    assert by(facts(site=SITE), "backup", "ehr-db").why == ("nothing shows a backup of it",)
    assert by(facts(site=SITE), "backup", "ehr-db").services == ("ehr",)
    paper = SITE.replace('version: "4"', 'version: "3"')
    assert by(facts(site=paper), "paper_forms", "pack").why == ("version 3 lies there, 4 is in force",)
    unproven = SITE.replace(", proven_by: viewer", "")
    assert by(facts(site=unproven), "downtime_copy", "ehr").state == UNKNOWN


def test_legacy_has_what_depends_on_it_and_what_is_not_registered_is_found() -> None:
    site = (
        WHOLE + "  legacy: [{id: old, name: Old database, targets: [ehr-db], end_of_support: 2025-01-01, plan: May}]\n"
    )
    old = by(facts(site=site), "legacy", "old")
    assert (old.state, old.services, old.why) == (NOT_READY, ("ehr",), ("out of support since 2025-01-01", "plan: May"))
    readings = good() | {("viewer", "os"): reading("viewer", "os", "host_os", support_left_seconds=-1.0)}
    assert by(facts(readings, site=WHOLE), "legacy", "viewer").why[1] == "not in the register"
    gone = site.replace("plan: May", "retired_on: 2025-06-01")
    assert not [one for one in items(facts(site=gone)) if one.kind == "legacy"]


def test_pcs_without_an_agent_are_seen_from_outside_only() -> None:
    more = """
  - {id: old-pc, kind: ward-workstation, address: 192.0.2.50, area: ward-7, checks: [icmp]}
  - {id: ghost, kind: wow, address: 192.0.2.51, area: ward-7}
agents:
"""
    site = WHOLE.replace("\nagents:\n", more)
    assert by(facts(site=site), "outside_only", "old-pc").why == ("seen from outside only: no agent runs on it",)
    assert by(facts(site=site), "outside_only", "ghost").state == UNKNOWN


def test_dates_and_our_own() -> None:
    own = (Expiry("web", "the board's certificate", "certificate", date(2025, 11, 27)),)
    assert by(facts(own=own), "own", "web").state == NOT_READY
    assert day_state(date(2025, 12, 20), TODAY, yellow=30, red=7, past="ended on") == (SOON, ("ends in 26 days",))
    assert day_state(None, TODAY, yellow=30, red=7, past="")[0] == UNKNOWN


def test_the_summary_counts_everything_once() -> None:
    found = items(facts(site=WHOLE))
    assert sum(sum(states.values()) for states in summary(found).values()) == len(found)


@given(st.sets(st.sampled_from(sorted(good())), max_size=8))
def test_taking_evidence_away_makes_nothing_ready(gone: set[Key]) -> None:
    whole = {(one.kind, one.id): one.state for one in items(facts(site=WHOLE))}
    left = {key: one for key, one in good().items() if key not in gone}
    for one in items(facts(left, site=WHOLE, down=frozenset(), unseen=frozenset(key[0] for key in gone))):
        assert one.state != READY or whole.get((one.kind, one.id)) == READY


@pytest.mark.parametrize("fault", ["none", *(f"{key[0]}/{key[1]}" for key in good())])
def test_a_page_names_only_what_the_readiness_page_calls_ready(fault: str) -> None:
    """The engine judges downtime PCs by the same evidence: with each piece taken away, it is never kinder."""
    left = {key: one for key, one in good().items() if f"{key[0]}/{key[1]}" != fault}
    for pc in ("dt-7", "dt-8"):
        seen = facts(left, site=WHOLE, unseen=frozenset({fault.partition("/")[0]}) - {pc})
        fresh = {one: [r for r in seen.latest(one) if seen.fresh(r)] for one in seen.estate.targets}
        named = pc_ready(seen.estate, pc, lambda id_, fresh=fresh: fresh[id_])  # type: ignore[misc]
        assert named <= (by(seen, "downtime_pc", pc).state == READY)
        assert named or fault != "none"
