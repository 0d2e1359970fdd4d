"""A page by SMS or telephone is answered: a real server sends it to a gateway of ours, whose webhook answers.

The gateway is a recording receiver that we wrote: no provider can be had here. What it is sent, and what it sends, goes
over real HTTP with real signatures.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemons.onesite import WAKING
from daemons.paging import Receiver
from daemons.wardsite import WardSite, ward_site
from healthmon.alerting.notify.webhook import signature
from healthmon.model.errors import JournalDown
from healthmon.model.incident import Incident
from healthmon.model.sample import Outcome

pytestmark = pytest.mark.wire
SECRET = "a secret of the gateway"
ANN, BOB = "+44 7700 900001", "+44 7700 900002"
GATEWAYS = """{{channels: {{
    sms: {{kind: gateway, url: "{gateway}", reply_secret: "a secret of the gateway", most_per_minute: 0}},
    voice: {{kind: gateway, url: "{gateway}", reply_secret: "a secret of the gateway", most_per_minute: 0,
      body: {{to: "{{to}}", say: "{{text}}", reference: "{{key}}"}},
      reply_fields: {{from: To, text: Digits, id: CallSid, key: reference}}}}}}}}"""
PEOPLE = f"""{{policies: [{{id: all, severities: [1, 2, 3, 4, 5], steps: [
    {{to: ["user:ann"], media: 2}}, {{after: 5m, to: ["user:bob"]}}]}}],
  duty_manager: "user:bob", users: [
    {{id: ann, name: Ann Engineer, phone: "{ANN}", channels: [sms, voice]}},
    {{id: bob, name: Bob Engineer, phone: "{BOB}", channels: [sms, voice]}}]}}"""


@dataclass
class Line:
    """What the gateway was given, and its webhook back."""

    site: WardSite
    gateway: Receiver

    async def sent(self, field: str, count: int = 1) -> list[dict[str, Any]]:
        """Messages with this field (`text` by SMS, `say` by telephone), once there are so many."""
        async with asyncio.timeout(15):
            while len(found := [one.json for one in self.gateway.posted if field in one.json]) < count or self.open():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found

    async def fault(self, target: str) -> None:
        """It fails until there is an incident about it."""
        async with asyncio.timeout(15):
            while not any(m.key.target == target for one in self.site.server.view().incidents for m in one.members):
                await self.site.see(target, Outcome.FAILED)

    async def reported(self) -> None:
        """A second incident, that only a ward knows of."""
        said = {"area": "ward-8", "service": "labels", "effect": "nobody_can_work"}
        assert not (await self.site.report(said))["joined"]

    def said(self) -> Incident:
        return next(one for one in self.site.server.view().incidents if one.reports)

    async def about(self, call: dict[str, Any]) -> str | None:
        """Which incident a call is about."""
        told = await asyncio.to_thread(self.site.server.journal.notice, call["reference"])
        return told.incident if told else None

    def open(self) -> bool:
        return not self.site.server.dispatcher.idling

    async def says(self, channel: str, status: int = 200, **body: str) -> str:
        raw = json.dumps(body).encode()
        headers = {"X-Healthmon-Signature": signature(SECRET, raw), "Content-Type": "application/json"}
        url = f"{self.site.base}/api/v1/replies/{channel}"
        async with self.site.session.post(url, data=raw, headers=headers) as answer:
            said = await answer.json()
            assert answer.status == status, said
            return str(said.get("said") or said.get("detail"))

    def incident(self, target: str = "ehr-web") -> Incident:
        found = self.site.server.view().incidents
        return next(one for one in found if any(member.key.target == target for member in one.members))


@asynccontextmanager
async def lined(folder: Path) -> AsyncIterator[Line]:
    gateway = Receiver()
    waking = folder / "packs" / "alerting" / "waking" / "default.yaml"
    waking.parent.mkdir(parents=True)
    waking.write_text(json.dumps(WAKING))
    changes = {
        f"{{channels: {{inbox: {{kind: inbox, path: {folder / 'inbox.jsonl'}}}}}}}": GATEWAYS.format(
            gateway=gateway.url
        ),
        "{policies: [{id: all, severities: [1, 2, 3], steps: [{after: 0s, channels: [inbox]}]}]}": PEOPLE,
    }
    try:
        async with ward_site(folder, **changes) as site, site.sending():
            yield Line(site, gateway)
    finally:
        await asyncio.to_thread(gateway.stop)


async def test_an_sms_is_answered_with_its_code(tmp_path: Path) -> None:
    async with lined(tmp_path) as line:
        await line.fault("ehr-web")
        (page,) = await line.sent("text")
        assert page["to"] == ANN
        assert len(page["text"]) <= 160
        code = re.search(r"Reply (1 \w{4})=", page["text"])
        assert code, page["text"]
        said = await line.says("sms", **{"from": ANN.replace(" ", ""), "text": code[1], "id": "m-1"})
        assert (said, line.incident().owner) == ("Ann Engineer has it", "Ann Engineer")
        (told,) = [one for one in (await line.site.get(f"/api/v1/incidents/{line.incident().id}"))["notices"]
                   if one["channel"] == "sms"]  # fmt: skip
        assert told["result"] == "acknowledged"
        assert await line.says("sms", **{"from": ANN, "text": code[1], "id": "m-1"}) == "known already"


async def test_a_key_on_the_telephone_is_about_the_call_it_is_pressed_in(tmp_path: Path) -> None:
    """Two incidents are open: a telephone has no letters, so the gateway gives back the key of its message."""
    async with lined(tmp_path) as line:
        await line.fault("ehr-web")
        await line.reported()
        calls = await line.sent("say", 2)
        (mine,) = [one for one in calls if await line.about(one) == line.said().id]
        assert "are open" in await line.says("voice", 409, To=ANN, Digits="1", CallSid="c-0")
        assert "not understood" in await line.says("voice", 409, To=ANN, Digits="7", reference=mine["reference"])
        wrong = {"Digits": "1", "reference": mine["reference"], "CallSid": "c-1"}
        assert "nothing open was sent" in await line.says("voice", 404, To="+44 7700 900009", **wrong)
        assert line.said().owner is None
        said = await line.says("voice", To=ANN, Digits="1", CallSid="c-2", reference=mine["reference"])
        assert (said, line.said().owner) == ("Ann Engineer has it", "Ann Engineer")
        assert line.incident("ehr-web").owner is None


async def test_a_pressed_2_asks_the_next_person(tmp_path: Path) -> None:
    async with lined(tmp_path) as line:
        await line.fault("ehr-web")
        (call,) = await line.sent("say")
        said = await line.says("voice", Digits="2", CallSid="c-1", reference=call["reference"])
        assert (said, line.incident().owner) == ("passed on", None)
        pages = await line.sent("text", 2)
        assert [one["to"] for one in pages] == [ANN, BOB]


async def test_an_answer_that_could_not_be_kept_is_kept_when_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lined(tmp_path) as line:
        await line.fault("ehr-web")
        await line.sent("text")
        server = line.site.server

        async def full(command: object) -> Incident:
            raise JournalDown("the disk is full")

        answer = {"from": ANN, "text": "1", "id": "m-1"}
        with monkeypatch.context() as patched:
            patched.setattr(server, "act", full)
            await line.says("sms", 503, **answer)
        assert line.incident().owner is None
        assert await line.says("sms", **answer) == "Ann Engineer has it"
        assert await line.says("sms", **answer) == "known already"


async def test_a_message_about_what_went_into_another_is_answered_there(tmp_path: Path) -> None:
    async with lined(tmp_path) as line:
        await line.fault("ehr-web")
        await line.reported()
        calls = await line.sent("say", 2)
        (mine,) = [one for one in calls if await line.about(one) == line.said().id]
        older, younger = line.incident("ehr-web").id, line.said().id
        await line.site.post(f"/api/v1/incidents/{younger}/merge", into=older, by="Desk")
        assert await line.says("voice", Digits="1", CallSid="c-1", reference=mine["reference"]) == "Ann Engineer has it"
        live = line.site.server.incident(older)
        assert live is not None
        assert live.owner == "Ann Engineer"


async def test_what_is_over_cannot_be_taken(tmp_path: Path) -> None:
    async with lined(tmp_path) as line:
        await line.fault("ehr-web")
        (call,) = await line.sent("say")
        found = line.incident().id
        await line.site.see("ehr-web", times=40)
        await line.site.post(f"/api/v1/incidents/{found}/resolve", by="Desk", reason="cable", impact="none known")
        assert "is over" in await line.says("voice", 404, Digits="1", CallSid="c-1", reference=call["reference"])
