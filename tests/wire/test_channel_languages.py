"""One channel reads German, the other English: of the same incident, from the same server; wards in theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemons.wardsite import ward_site
from healthmon.alerting.notify.shorttext import gsm, short_text
from healthmon.app.phrasing import phraser

pytestmark = pytest.mark.wire
WARDS = "language: en\n  languages: {areas: {ward-8: de}, channels: {inbox: de}}"


async def test_a_channel_and_a_ward_read_their_own_language(tmp_path: Path) -> None:
    async with ward_site(tmp_path, wards=WARDS) as site:
        found = await site.fault()
        assert "not available" in found["title"]
        notices = site.server.journal.notices(found["id"])
        assert notices
        assert all("nicht verfügbar" in one.subject for one in notices)
        assert all("Noch hat es niemand übernommen" in one.text for one in notices)
        short = short_text(site.server.journal.notice(notices[0].key))  # type: ignore[arg-type]
        assert short == gsm(short)
        assert len(short) <= 160
        assert short.endswith("=habe ich 2=nicht meins")
        german = str(await site.get("/area/ward-8", token=False))
        assert '<html lang="de">' in german
        assert "Patient record: nicht verfügbar" in german
        assert '<html lang="en">' in str(await site.get("/area/ward-7", token=False))
        said = await site.report({"area": "ward-8", "service": "ehr", "effect": "can_wait"})
        assert "IT service desk anrufen: 2-7000" in said["said"]


async def test_without_other_languages_nothing_is_said_anew(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        assert phraser(site.server.site) is None
