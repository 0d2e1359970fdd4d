"""POST tickets in the shapes of three systems: the first human report of their incident, kept without any text."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemons.wardsite import WardSite, ward_site

pytestmark = pytest.mark.wire
TOKEN = "a secret of the ticket system"
WARDS = (
    """tickets:
    snow: {{shape: servicenow, token: "{token}", areas: {{"Respiratory, 3rd floor": ward-7}}, services: {{EPR: ehr}}}}
    heat: {{shape: ivanti, token: "ivanti-{token}"}}
    jsm: {{shape: jira, token: "jira-{token}", fields: {{area: issue.fields.customfield_7.value}}}}
""".replace("{token}", TOKEN)
    .replace("{{", "{")
    .replace("}}", "}")
)
SECRET = "Mr John Smith, NHS 943 476 5919, cannot be found"


def stamp(ago_s: float = 0.0, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return datetime.fromtimestamp(time.time() - ago_s, UTC).strftime(form)


def snow(**more: Any) -> dict[str, Any]:
    return {
        "number": "INC0012345", "opened_at": stamp(60), "state": "1", "short_description": SECRET,
        "location": {"display_value": "Respiratory, 3rd floor"}, "cmdb_ci": "EPR", "caller_id": "jsmith",
    } | more  # fmt: skip


HEAT = {"IncidentNumber": 4711, "CreatedDateTime": stamp(60, "%Y-%m-%dT%H:%M:%SZ"), "Status": "Active",
        "Location": "Ward 7 Respiratory", "Service": "Patient record", "Symptom": SECRET}  # fmt: skip
JIRA = {"webhookEvent": "jira:issue_created", "issue": {"key": "IT-42", "fields": {
    "created": stamp(60, "%Y-%m-%dT%H:%M:%S.000+0000"), "status": {"name": "Open"}, "summary": SECRET,
    "components": [{"name": "patient record"}], "customfield_7": {"value": "ward-7"}}}}  # fmt: skip


async def tell(site: WardSite, body: Any, token: str = TOKEN, status: int = 200) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with site.session.post(f"{site.base}/api/v1/tickets", json=body, headers=headers) as answer:
        said = await answer.json()
        assert answer.status == status, said
        return dict(said)


@pytest.mark.parametrize(("body", "token"), [(snow(), TOKEN), (HEAT, f"ivanti-{TOKEN}"), (JIRA, f"jira-{TOKEN}")])
async def test_a_ticket_is_the_first_human_report_and_nothing_of_its_text_stays(
    tmp_path: Path, body: dict[str, Any], token: str
) -> None:
    async with ward_site(tmp_path, wards=WARDS) as site:
        found = await site.fault()
        said = await tell(site, body, token)
        assert (said["area"], said["service"], said["incidents"]) == ("ward-7", "ehr", [found["id"]])
        after = await site.get(f"/api/v1/incidents/{found['id']}")
        assert after["lead_s"] < 0  # it was written a minute ago, before the alarm
        listed = (await site.get("/api/v1/tickets"))["items"]
        assert [(one["number"], one["opened_at"]) for one in listed] == [
            (said["number"], after["first_human_report_at"])
        ]
        with sqlite3.connect(f"file:{tmp_path / 'data' / 'journal.sqlite'}?mode=ro", uri=True) as db:
            disk = "".join(
                str(body) for (body,) in db.execute("SELECT body FROM event UNION SELECT body FROM incident")
            )
        assert "Smith" not in disk
        assert "jsmith" not in disk


async def test_a_ticket_that_came_first_is_found_when_monitoring_sees_the_fault(tmp_path: Path) -> None:
    async with ward_site(tmp_path, wards=WARDS) as site:
        assert (await tell(site, snow()))["incidents"] == []
    async with ward_site(tmp_path, wards=WARDS) as site:
        found = await site.fault()
        await site.server.tickets.look()
        assert (await site.get(f"/api/v1/incidents/{found['id']}"))["first_human_report_at"]


async def test_the_same_ticket_is_kept_once_and_each_turn_of_it_too(tmp_path: Path) -> None:
    async with ward_site(tmp_path, wards=WARDS) as site:
        opened = stamp(300)
        for state in ("1", "1", "6", "reopened"):
            await tell(site, snow(state=state, opened_at=opened))
        listed = (await site.get("/api/v1/tickets"))["items"]
        assert [one["state"] for one in listed] == ["open", "resolved", "reopened"]


async def test_what_cannot_be_used_is_answered_and_a_stranger_is_refused(tmp_path: Path) -> None:
    async with ward_site(tmp_path, wards=WARDS) as site:
        assert "number" in (await tell(site, {"hello": SECRET}, status=422))["detail"]
        await tell(site, snow(), token="nobody-knows-this-one", status=401)
        odd = await tell(site, snow(opened_at="yesterday", location=["a"], cmdb_ci=None, number="INC1"))
        assert (odd["area"], odd["service"], odd["incidents"]) == (None, None, [])


async def test_reports_can_be_read_back_with_how_they_went(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        said = await site.report({"area": "ward-7", "service": "ehr", "effect": "nobody_can_work"})
        await site.post(f"/api/v1/incidents/{said['incident']}/ack", by="Duty engineer")
        (one,) = (await site.get("/api/v1/reports"))["items"]
        assert (one["area"], one["effect"], one["incident"]) == ("ward-7", "nobody_can_work", said["incident"])
        assert one["owned_at"]
        assert (await site.get("/api/v1/reports?until=2020-01-01T00:00:00Z"))["items"] == []
