"""The page of a ward over a real socket: the number first, only proofs count as working, forms without scripts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from daemons.wardsite import WardSite, ward_site
from healthmon.model.sample import Outcome

pytestmark = pytest.mark.wire


async def page(site: WardSite, area: str = "ward-7") -> str:
    text = await site.get(f"/area/{area}", token=False)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", str(text)))


def unknown(text: str) -> str:
    return text.split("Works from here")[1].split("Not known")[1]


async def form(site: WardSite, path: str, **fields: str) -> tuple[int, str]:
    async with site.session.post(f"{site.base}/area/{path}", data=fields, allow_redirects=False) as answer:
        return answer.status, re.sub(r"<[^>]+>", " ", await answer.text())


async def test_the_number_comes_first_and_nothing_works_that_was_not_proven_from_there(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        await site.see("ehr-web")  # by the poller in the server room: no proof for a ward
        text = await page(site)
        assert text.index("2-7000") < text.index("Nothing is known to be wrong here")
        assert "Patient record" in unknown(text)
        await site.see("ehr-web", vantage="pc-w7")
        text = await page(site)
        works = text.split("Works from here")[1].split("Not known")[0]
        assert "Patient record seen working at" in works
        assert "Label printing" in unknown(text)
        assert "Patient record" in unknown(await page(site, "ed"))


async def test_a_fault_is_told_with_who_has_it_and_what_is_proven_instead(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        await site.see("ehr-copy", vantage="pc-w7")
        found = await site.fault()
        text = await page(site)
        assert "Patient record: not available" in text
        assert "Nobody in IT has taken it yet" in text
        assert "Use instead: Read-only copy on the downtime PC. Checked and ready at" in text
        assert "Use instead" not in await page(site, "ed")  # nobody proved the copy from there
        await site.post(f"/api/v1/incidents/{found['id']}/ack", by="Duty engineer")
        assert re.search(r"Seen by Duty engineer at \d\d:\d\d, will ring 2-7117", await page(site))


async def test_the_three_answers_and_still_not_working_work_as_plain_forms(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        status, said = await form(site, "ward-7/report", service="ehr", effect="nobody_can_work")
        assert status == 200
        assert "On-call IT is being called now" in said
        text = await page(site)
        assert "You told us at" in text
        (found,) = (await site.get("/api/v1/incidents"))["items"]
        await site.post(f"/api/v1/incidents/{found['id']}/mitigate", by="Duty engineer")
        text = await page(site)
        assert "Still not working for us" in text
        assert "Not yet proven from here" in text
        status, _ = await form(site, "ward-7/report", service="ehr", effect="one_of_us_cannot")
        assert status == 200
        assert (await site.get(f"/api/v1/incidents/{found['id']}"))["state"] == "open"
        status, _ = await form(site, "ward-7/works", incident=found["id"])
        assert status == 303
        assert (await site.get(f"/api/v1/incidents/{found['id']}"))["reports"][0]["works_at"]


async def test_the_downtime_clock_runs_from_the_last_proof_and_a_person_marks_paper(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        assert "Nobody looks at the record from here" in await page(site, "ed")
        await form(site, "ward-7/report", service="ehr", effect="nobody_can_work")
        assert "The record has not been reached from here since" in await page(site)
        status, _ = await form(site, "ward-7/mark", what="paper", by="Nurse in charge")
        assert status == 303
        assert re.search(r"On paper since \d\d:\d\d \(Nurse in charge\)", await page(site))
        assert (await form(site, "ward-7/mark", what="coffee"))[0] == 400
    async with ward_site(tmp_path) as site:
        assert "On paper since" in await page(site)


#: Ward 8 has a downtime PC with a printer and a UPS; ward 7 has none.
WITH_DOWNTIME_PC = {
    "kind: ward, acuity: inpatient, beds: 24,": "kind: ward, acuity: inpatient, beds: 24, downtime_pc: pc-w8,",
    "agents: [": """  - {id: pc-w8, kind: ward-workstation, address: 127.0.0.8, area: ward-8,
     labels: {ups: ups-w8, printer: lp-w8}}
  - {id: ups-w8, kind: ups, address: 127.0.0.9, area: ward-8}
  - {id: lp-w8, kind: printer, address: 127.0.0.10, area: ward-8}
agents: [""",
}


async def test_while_the_clock_runs_the_nearest_downtime_pc_is_named_if_it_was_seen_ready(tmp_path: Path) -> None:
    async with ward_site(tmp_path, **WITH_DOWNTIME_PC) as site:
        for area in ("ward-7", "ward-8"):
            await form(site, f"{area}/report", service="ehr", effect="nobody_can_work")
        for target in ("pc-w8", "ups-w8"):
            await site.see(target)
        assert "owntime PC:" not in await page(site)  # nobody has seen its printer
        await site.see("lp-w8")
        assert re.search(r"Nearest downtime PC: Ward 8 Stroke. Seen ready at \d\d:\d\d", await page(site))
        assert re.search(r"Your downtime PC was seen ready at \d\d:\d\d", await page(site, "ward-8"))
        await site.see("lp-w8", Outcome.FAILED)
        assert "Nearest downtime PC" not in await page(site)


async def test_an_unknown_area_and_a_stuck_engine_name_the_number(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        async with site.session.get(f"{site.base}/area/ward-99") as answer:
            assert answer.status == 404
            assert "2-7000" in await answer.text()
        whole = str(await site.get("/area/ward-7", token=False))
        assert 'class="expiry"' in whole
        assert '<noscript><meta http-equiv="refresh"' in whole
        site.server._last_step_mono -= 60.0
        assert 'class="expiry now"' in str(await site.get("/area/ward-7", token=False))


async def test_what_comes_back_is_called_over_only_after_a_look_from_the_ward(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        found = await site.fault()
        for _ in range(4):
            await site.see("ehr-web")
        state: Any = None
        for _ in range(60):
            state = (await site.get(f"/api/v1/incidents/{found['id']}"))["state"]
            if state == "mitigated":
                break
            await site.see("ehr-web", Outcome.OK)
        assert state == "mitigated"
        assert "Not yet proven from here" in await page(site)
        await site.see("ehr-web", vantage="pc-w7")
        assert "keep using paper until the nurse in charge says stop" in await page(site)
        assert "Not yet proven from here" not in await page(site)


async def test_the_status_page_is_for_everybody_and_names_no_device_and_no_ward(tmp_path: Path) -> None:
    async with ward_site(tmp_path, **{"ward_networks: [127.0.0.0/8]": "ward_networks: [192.0.2.0/24]"}) as site:
        quiet = await site.get("/status?format=json", token=False)
        assert {one["state"] for one in quiet["services"]} <= {"quiet", "unknown"}
        await site.fault()
        found = await site.get("/status?format=json", token=False)
        record = next(one for one in found["services"] if one["name"] == "Patient record")
        assert (record["state"], record["areas"], record["of"]) == ("lost", 3, 3)
        text = str(await site.get("/status", token=False))
        assert "not available in 3 of 3 areas" in text
        assert "2-7000" in text
        for secret in ("ehr-web", "192.0.2", "Ward 7", "inc-"):
            assert secret not in text
            assert secret not in str(found)
