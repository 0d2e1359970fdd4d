"""The words of a page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemons.paging import MORNING, estate, impact, incident, mitigated
from healthmon.alerting.oncall import wording
from healthmon.model.incident import Entry, IncidentKind, Root, ServiceState, Why

ESTATE = estate()


def test_a_page_names_area_service_cause_and_local_time() -> None:
    assert wording.text(incident(), Why.OPENED, ESTATE).splitlines() == [
        "Ward 7: Patient record not available",
        "The ward switch does not answer.",
        "",
        "- Ward 7 (ward with 28 beds): Patient record: not available",
        "Very likely: sw-ward7 (icmp: timeout)",
        "First sign 09:59, severity 2.",
        "Nobody has taken it yet.",
        "Incident inc-1",
    ]


def test_the_first_steps_of_the_runbook_stand_in_the_page_and_not_in_the_all_clear() -> None:
    guided = incident(first_steps=("Call estates.", "Look at the neighbours.", "Shut down in order."))
    page = wording.text(guided, Why.OPENED, ESTATE)
    assert "1. Call estates.\n2. Look at the neighbours.\n3. Shut down in order.\n" in page
    over = wording.text(mitigated(guided, MORNING + 600), Why.MITIGATED, ESTATE)
    assert "Call estates" not in over


def test_the_end_never_says_resolved_to_a_ward() -> None:
    text = wording.text(mitigated(incident(), MORNING + 600), Why.MITIGATED, ESTATE)
    assert "Reachable again since 10:10; keep using paper until the nurse in charge says stop." in text
    assert "resolved" not in text.lower()
    assert "Nobody has taken it" not in text


def test_a_person_who_says_it_works_is_quoted_as_such() -> None:
    said = (Entry(MORNING + 500, "mitigated", "switch replaced", by="network on call"),)
    text = wording.text(mitigated(incident(timeline=said), MORNING + 600), Why.MITIGATED, ESTATE)
    assert "IT reports working again since 10:10" in text


def test_nothing_mapped_is_not_no_impact() -> None:
    text = wording.text(incident(impact=(), impact_known="none"), Why.OPENED, ESTATE)
    assert "Clinical impact not known: nothing is mapped behind sw-ward7." in text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (ServiceState.DEGRADED, "slow or partly working"),
        (ServiceState.AT_RISK, "working, no spare route left"),
        (ServiceState.UNKNOWN, "we cannot see"),
    ],
)
def test_states_are_in_the_agreed_words(state: ServiceState, words: str) -> None:
    assert words in wording.text(incident(impact=impact("ed", state=state)), Why.OPENED, ESTATE)


def test_a_fallback_is_named_only_when_it_was_proven() -> None:
    (line,) = impact("ward-7")
    with_paper = replace(line, fallback_text="read-only copy")
    assert "read-only" not in wording.text(incident(impact=(with_paper,)), Why.OPENED, ESTATE)
    proven = replace(with_paper, fallback_proven_at=MORNING - 60)
    assert "instead: read-only copy (proven 09:59)" in wording.text(incident(impact=(proven,)), Why.OPENED, ESTATE)


def test_doubt_names_the_alternatives_and_no_figure() -> None:
    doubt = incident(root=Root("sw-ward7", "icmp", "timeout", 0.4, ("sw-core", "ehr-web")))
    assert "One of these: sw-ward7, sw-core, ehr-web" in wording.text(doubt, Why.OPENED, ESTATE)
    assert "0.4" not in wording.text(doubt, Why.OPENED, ESTATE)


def test_a_long_list_is_cut_and_counted() -> None:
    many = incident(impact=impact(*["ward-7"] * 20))
    assert "and 8 more, see the board" in wording.text(many, Why.OPENED, ESTATE)


def test_subjects_say_what_changed() -> None:
    assert wording.subject(incident(1), Why.WORSE).startswith("[sev 1] WORSE: ")
    assert wording.subject(incident(kind=IncidentKind.BLIND), Why.OPENED).startswith("[sev 2, monitoring fault] ")
