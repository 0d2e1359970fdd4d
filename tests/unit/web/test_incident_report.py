"""The report after an incident: every section, every recorded fact, nothing that was not recorded."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from daemons.paging import MORNING, estate, incident, member, notice
from healthmon.model.incident import Entry, IncidentState, LedgerRow, NoticeResult, Why
from healthmon.web.incidentreport import Record, markdown, page

GOLDEN = Path(__file__).parents[2] / "golden" / "incident-report.md"
STORY = (
    Entry(MORNING, "opened", "Opened: sw-ward7 does not answer"),
    Entry(MORNING + 120.0, "ack", "Acknowledged", "Ann Engineer"),
    Entry(MORNING + 900.0, "note", "Power lead was out", "Ann Engineer"),
    Entry(MORNING + 1200.0, "mitigated", "Reachable again"),
    Entry(MORNING + 1500.0, "reopened", "Failed again"),
    Entry(MORNING + 2400.0, "resolved", "lead replaced; impact: one drug round on paper", "Ann Engineer"),
)


def record() -> Record:
    closed = incident(
        1,
        state=IncidentState.RESOLVED,
        owner="Ann Engineer",
        acknowledged_at=MORNING + 120.0,
        mitigated_at=MORNING + 2100.0,
        resolved_at=MORNING + 2400.0,
        episode=2,
        impact_note="one drug round on paper",
        members=(member(), replace(member("pc-w7-01"), behind="sw-ward7")),
        timeline=STORY,
    )
    told = (
        notice("a" * 16, channel="sms", to="+44", person="ann", result=NoticeResult.ACKNOWLEDGED, at=MORNING + 2.0,
               delivered_at=MORNING + 120.0),
        notice("b" * 16, channel="mail", result=NoticeResult.DEAD, detail="SMTP 550", at=MORNING + 3.0),
        notice("c" * 16, channel="sms", why=Why.RESOLVED, result=NoticeResult.SENT, at=MORNING + 2401.0),
    )  # fmt: skip
    held = (LedgerRow(MORNING + 5.0, "inc-1", "k", "nobody", "behind_root", "behind sw-ward7"),)
    return Record(closed, told, held, estate())


def test_the_report_is_the_one_that_was_agreed() -> None:
    assert markdown(record()) == GOLDEN.read_text(encoding="utf-8")


def test_what_people_wrote_is_text_in_both_forms() -> None:
    evil = replace(record(), incident=replace(record().incident, title="<script>x</script> [a](http://b) *"))
    assert "<script>" not in page(evil)
    assert "&lt;script&gt;" in page(evil)
    assert not re.search(r"(?<!\\)\[a\]", markdown(evil))


def test_an_incident_of_which_nothing_more_is_known_says_so() -> None:
    bare = Record(incident(2, impact=(), impact_known="none", root=None), (), (), estate())
    text = markdown(bare)
    assert "Accepted: not recorded" in text
    assert "nothing was mapped behind it, so this is not known" in text
    assert "Nobody accepted it. Why?" in text
    assert "no impact" not in text.casefold()
