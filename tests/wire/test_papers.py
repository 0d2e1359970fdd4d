"""The hours after: call list, situation report, recovery, hand-over and print pack of a live incident."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from daemons.wardsite import WardSite, ward_site
from healthmon.cli import commands
from healthmon.model.incident import Why

pytestmark = pytest.mark.wire
WARDS = "situation_report: {every: 2h, channels: [inbox]}"
ROTA = """users: [{id: ann, name: Ann Engineer}, {id: bob, name: Bob Engineer}]
  rotas: [{id: net, people: [ann, bob]}]
  policies: ["""


async def paper(site: WardSite, kind: str) -> dict[str, Any]:
    found = await site.get(f"/api/v1/papers/{kind}")
    return {part["title"]: part for part in found["parts"]}


async def words(site: WardSite, kind: str) -> str:
    return str(await site.get(f"/api/v1/papers/{kind}?format=text"))


async def test_the_call_list_goes_by_acuity_and_is_ticked_off(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        assert "No area is known" in await words(site, "call-list")
        await site.see("ehr-copy", vantage="pc-w7")
        await site.fault()
        part = (await paper(site, "call-list"))["Areas, the most acute first"]
        assert part["ids"] == ["ed", "ward-7", "ward-8"]
        ed, ward7, _ = part["rows"]
        assert ed[:3] == ["Emergency Department", "2-7100", "Patient record not available"]
        assert (ed[3], ed[4]) == ("nothing is proven ready there: paper", "not rung yet")
        assert "Read-only copy on the downtime PC (ready" in ward7[3]
        await site.report({"area": "ward-7", "service": "ehr", "effect": "one_of_us_cannot"})
        await site.post("/api/v1/rung", who="ed", by="Clinical site manager")
    async with ward_site(tmp_path) as site:  # after a restart too
        ed, ward7, _ = (await paper(site, "call-list"))["Areas, the most acute first"]["rows"]
        assert "by Clinical site manager" in ed[4]
        assert ward7[4].startswith("not rung; they told us")


async def test_the_situation_report_says_what_is_not_known_and_no_end(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        found = await site.fault()
        await site.post(f"/api/v1/incidents/{found['id']}/note", by="Duty engineer", text="Supplier rings back")
        said = await words(site, "situation")
        for known in ("Severity 1", "Nobody has taken it yet", "Supplier rings back", "Not known", "Told",
                      "Next update", "When it will be over is not known"):  # fmt: skip
            assert known in said, known
        assert "ETA" not in said
        assert "%" not in said


async def test_recovery_comes_in_restore_order_with_what_is_proven(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        await site.fault()
        parts = await paper(site, "recovery")
        assert [part["rows"][0][0] for part in parts.values()][-1] == "Patient record"
        assert parts["Stage 2"]["rows"][0][1:] == ["not available", "0 of 3 areas"]


async def test_the_print_pack_has_a_poster_for_each_ward_and_is_made_once_a_week(tmp_path: Path) -> None:
    async with ward_site(tmp_path, wards="languages: {areas: {ward-8: de}}") as site:
        parts = await paper(site, "print-pack")
        assert parts["Ward 7 Respiratory"]["big"] == "2-7000"
        assert any("Nobody can work" in line for line in parts["Ward 7 Respiratory"]["lines"])
        assert any("Niemand kann arbeiten" in line for line in parts["Ward 8 Stroke"]["lines"])
        assert [parts["Downtime checklist"]["rows"][0][0], parts["Downtime checklist"]["rows"][0][2]] == ["5 min", "☐"]
        assert any("Nach 7 Tagen wegwerfen" in line for line in parts["Ward 8 Stroke"]["lines"])
        german = parts["Was bei einem Ausfall zu tun ist"]
        assert (german["language"], german["rows"][0][0]) == ("de", "5 Min.")
        assert "Papier" in german["rows"][1][1]
        await site.server.duty.look()
        await site.server.duty.look()
        (file,) = (tmp_path / "data" / "print-pack").iterdir()
        page = file.read_text()
        assert "2-7117" in page
        assert "<script" not in page
        assert "href=" not in page


async def test_who_rings_wards_reads_the_language_of_the_hospital(tmp_path: Path) -> None:
    async with ward_site(tmp_path, wards="language: de") as site:
        assert "Von keinem Bereich ist ein Ausfall bekannt." in await words(site, "call-list")
        await site.fault()
        (part,) = (await paper(site, "call-list")).values()
        ed = part["rows"][0]
        assert (part["title"], part["head"][2]) == ("Bereiche, die dringendsten zuerst", "Was dort fehlt")
        assert ed[2:] == ["Patient record nicht verfügbar", "dort ist nichts als bereit gesehen: Papier",
                          "noch nicht angerufen"]  # fmt: skip
        page = await site.get("/api/v1/papers/print-pack?format=html")
        assert '<html lang="de">' in page
        assert "Stand " in page
        assert [one for one in await paper(site, "print-pack") if "checklist" in one] == []
        await site.report({"area": "ward-7", "service": "labels", "effect": "can_wait"})
        handover = await paper(site, "handover")
        assert handover["Offene Vorfälle"]["rows"][0][2:4] == ["offen", "niemand"]
        assert handover["Was Stationen gemeldet haben"]["rows"][0][2] == "hat Zeit"
        said = await words(site, "situation")
        assert ("Lagebericht" in said, "Noch niemand." in said or "Verständigt" in said) == (True, True)
        assert "Wann es vorbei ist, ist nicht bekannt" in said
        assert (await paper(site, "recovery"))["Stufe 2"]["rows"][0][1:] == ["nicht verfügbar", "0 von 3 Bereichen"]


async def test_a_situation_report_goes_out_by_itself_once_each_time(tmp_path: Path) -> None:
    async with ward_site(tmp_path, wards=WARDS) as site:
        await site.fault()
        clock = site.server.clock.now
        for hours in (0.0, 2.01, 2.02, 4.01):
            site.server.papers._server.clock.now = lambda at=hours: clock() + at * 3600.0  # type: ignore[method-assign, misc]
            await site.server.duty._send(await site.server.papers.due())
        sent = [event.body for event in site.server.journal.events("notice") if event.body["why"] == Why.DUTY.value]
        reports = [one for one in sent if one["incident"].startswith("situation-")]
        assert len({one["key"] for one in reports}) == 2
        assert "Next update" in reports[0]["text"]


async def test_hand_over_and_the_command_line(tmp_path: Path) -> None:
    async with ward_site(
        tmp_path, **{"oncall: {policies: [": "oncall:\n  " + ROTA, "inbox]}]}]}": "inbox]}]}]"}
    ) as site:
        await site.fault()
        await site.report({"area": "ward-7", "service": "labels", "effect": "can_wait"})
        parts = await paper(site, "handover")
        assert any("Patient record" in row[1] for row in parts["Open incidents"]["rows"])
        assert parts["What wards told us"]["rows"][0][:3] == ["Ward 7 Respiratory", "Label printing", "can wait"]
        assert parts["On call"]["rows"][0][0] == "net"
        config, out = str(tmp_path / "healthmon.yaml"), tmp_path / "pack.html"
        run = CliRunner().invoke
        done = await asyncio.to_thread(run, commands.app, ["paper", "call-list", "--rung", "ward-8", "-c", config])
        assert done.exit_code == 0, done.output
        assert "Ward 8 Stroke" in done.output
        assert "rung" in done.output
        done = await asyncio.to_thread(run, commands.app, ["paper", "print-pack", "-o", str(out), "-c", config])
        assert done.exit_code == 0, done.output
        assert "Emergency Department" in out.read_text()
        done = await asyncio.to_thread(run, commands.app, ["paper", "napkin", "-c", config])
        assert done.exit_code == 2
