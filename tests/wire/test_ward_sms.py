"""Wards with a telephone are texted by a real server through a gateway: once at loss, once when it is proven back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemons.paging import Receiver
from daemons.wardsite import WardSite, ward_site
from healthmon.model.incident import Incident
from healthmon.model.sample import Outcome

pytestmark = pytest.mark.wire
NURSE, SISTER = "+44 1632 960007", "+44 1632 960070"
TEXTS = """languages: {{areas: {{ward-8: de}}}}
  texts: {{channel: wards, after: 0s, phones: {{
    ward-7: ["{nurse}", "{sister}"], ward-8: ["+49 30 12345678"]}}{more}}}"""


@dataclass
class Texted:
    site: WardSite
    gateway: Receiver

    async def look(self) -> list[tuple[str, str]]:
        """(number, text) of what has been sent so far, once what is due now has gone."""
        await self.site.server.duty.look()
        async with asyncio.timeout(30):
            await self.site.server.dispatcher.idle()
        return [(one.json["to"], one.json["text"]) for one in self.gateway.posted]

    async def told(self, count: int) -> list[tuple[str, str]]:
        """What was sent, once there are so many: a text follows the page, and that may take a moment."""
        async with asyncio.timeout(30):
            while len(said := await self.look()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return said

    async def fault(self) -> Incident:
        await self.site.fault("ehr-web")
        return self.site.server.view().incidents[0]

    async def works(self, vantage: str) -> None:
        """It answers again, from there, until the incident is mitigated."""
        async with asyncio.timeout(60):
            while self.site.server.view().incidents[0].mitigated_at is None:
                await self.site.see("ehr-web", vantage="poller")
                if vantage != "poller":
                    await self.site.see("ehr-web", vantage=vantage)

    async def idle(self) -> None:
        async with asyncio.timeout(30):
            await self.site.server.dispatcher.idle()


@asynccontextmanager
async def texted(folder: Path, more: str = "", **changes: Any) -> AsyncIterator[Texted]:
    gateway = Receiver()
    inbox = f"inbox: {{kind: inbox, path: {folder / 'inbox.jsonl'}}}"
    changes[inbox] = f"{inbox}, wards: {{kind: gateway, url: '{gateway.url}', audience: ward}}"
    try:
        wards = TEXTS.format(nurse=NURSE, sister=SISTER, more=more)
        async with ward_site(folder, wards=wards, **changes) as site, site.sending():
            yield Texted(site, gateway)
    finally:
        await asyncio.to_thread(gateway.stop)


async def test_once_at_loss_and_once_when_the_ward_itself_was_seen_working(tmp_path: Path) -> None:
    async with texted(tmp_path) as wards:
        assert await wards.look() == []
        found = await wards.fault()
        said = await wards.told(3)
        assert [number for number, _ in said] == [NURSE, SISTER, "+49 30 12345678"]
        english, german = said[0][1], said[2][1]
        assert english.startswith("Ward 7 Respiratory: Patient record: not available since ")
        assert "Ring IT service desk: 2-7000." in english
        assert "nicht" in german
        assert all(len(text) <= 160 and "Reply" not in text and "http" not in text for _, text in said)
        assert await wards.look() == said, "once"
        await wards.works("poller")
        assert await wards.look() == said, "a look from the server room is no proof for a ward"
        await wards.site.see("ehr-web", vantage="pc-w7")
        later = await wards.look()
        assert [number for number, _ in later[3:]] == [NURSE, SISTER], "nobody looked from ward 8"
        assert "eachable again since" in later[3][1]
        assert "keep using paper until the nurse in charge says stop" in later[3][1]
        assert await wards.look() == later
    async with texted(tmp_path) as wards:
        assert wards.site.server.incident(found.id) is not None
        assert await wards.look() == [], "a restart tells nothing twice"


async def test_a_ward_that_says_it_does_not_work_gets_no_all_clear(tmp_path: Path) -> None:
    async with texted(tmp_path) as wards:
        await wards.fault()
        said = await wards.look()
        await wards.site.report({"area": "ward-7", "service": "ehr", "effect": "nobody_can_work"})
        for _ in range(30):
            await wards.site.see("ehr-web")
            await wards.site.see("ehr-web", vantage="pc-w7")
        assert [one for one in await wards.look() if one not in said] == []


async def test_only_the_services_and_severities_that_were_asked_for(tmp_path: Path) -> None:
    async with texted(tmp_path, more=", services: [labels]") as wards:
        await wards.fault()
        assert await wards.look() == []


async def test_a_site_in_shadow_texts_nobody(tmp_path: Path) -> None:
    async with texted(tmp_path, **{"alerting: {mode: live}": "alerting: {mode: shadow}"}) as wards:
        await wards.fault()
        assert await wards.look() == []


async def test_what_fails_for_a_moment_is_not_told(tmp_path: Path) -> None:
    async with texted(tmp_path, **{"after: 0s": "after: 10m"}) as wards:
        await wards.fault()
        assert await wards.look() == []
        await wards.site.see("ehr-web", Outcome.OK, times=3)
        assert await wards.look() == []
