"""POST reports through a real server: never refused, on disk before the answer, always somebody to ring."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from daemons.wardsite import WardSite, ward_site
from healthmon.model.errors import JournalDown

pytestmark = pytest.mark.wire
GOOD = {"area": "ward-7", "service": "ehr", "effect": "nobody_can_work"}
RING = {"name": "IT service desk", "phone": "2-7000"}


def on_disk(site: WardSite) -> str:
    with sqlite3.connect(f"file:{site.folder / 'data' / 'journal.sqlite'}?mode=ro", uri=True) as db:
        tables = ("SELECT body FROM incident", "SELECT body FROM event")
        return "\n".join(str(body) for sql in tables for (body,) in db.execute(sql))


async def test_a_report_is_on_disk_before_the_answer_and_names_whom_to_ring(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        said = await site.report(GOOD)
        assert '"area":"ward-7"' in on_disk(site).replace('\\"', '"')
        assert (said["taken"], said["safe"], said["severity"], said["ring"]) == (True, True, 2, RING)
        assert "2-7000" in said["said"]
        assert "2-7117" in said["said"]  # the ward's own number, which IT rings back
        assert said["paged"] is True
        (found,) = (await site.get("/api/v1/incidents"))["items"]
        assert (found["id"], found["reports"][0]["count"]) == (said["incident"], 1)
        assert -1 < found["lead_s"] <= 0
        await site.post(f"/api/v1/incidents/{found['id']}/ack", by="Duty engineer")
        again = await site.report(GOOD)
        assert (again["joined"], again["report"]["count"], again["has_it"]["name"]) == (True, 2, "Duty engineer")
        assert "Duty engineer has it since" in again["said"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{broken", {"Content-Type": "application/json"}),
        (b"\xff\xfe\x00", {"Content-Type": "application/json"}),
        (b"", {}),
        (b"[1, 2]", {"Content-Type": "application/json"}),
        (b"area=ward-7&effect=nobody_can_work", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"x" * 200_000, {"Content-Type": "text/plain"}),
        (b"--x\r\nbroken", {"Content-Type": "multipart/form-data; boundary=x"}),
        (b"--x\r\nbroken", {"Content-Type": "multipart/form-data"}),
        (b"a=%ff&b", {"Content-Type": "application/x-www-form-urlencoded; charset=nonsense"}),
    ],
)
async def test_whatever_the_body_is_it_is_taken(tmp_path: Path, body: bytes, headers: dict[str, str]) -> None:
    async with ward_site(tmp_path) as site:
        said = await site.report(body, headers=headers)
        assert (said["taken"], said["ring"]) == (True, RING)
        assert said["incident"] is not None


@pytest.mark.parametrize(
    "more",
    [
        {"area": "ward-99"}, {"service": "teleporter"}, {"effect": "panic"}, {"area": None, "service": 7},
        {"colour": "red"}, {"area": "Ward 7 Respiratory", "service": "patient record"}, {"text": "x" * 60_000},
    ],
)  # fmt: skip
async def test_what_is_not_known_is_taken_all_the_same(tmp_path: Path, more: dict[str, Any]) -> None:
    async with ward_site(tmp_path) as site:
        said = await site.report(GOOD | more)
        assert (said["taken"], said["safe"], said["ring"]) == (True, True, RING)
        if more.get("area") == "Ward 7 Respiratory":
            assert (said["report"]["area"], said["report"]["service"]) == ("ward-7", "ehr")


async def test_what_looks_like_a_patient_is_dropped_and_the_answer_says_so(tmp_path: Path) -> None:
    secret = "Mr John Smith, NHS 943 476 5919"
    async with ward_site(tmp_path) as site:
        said = await site.report(GOOD | {"text": secret, "area": secret})
        assert said["text_dropped"] is True
        assert "not kept" in said["said"]
        kept = await site.report(GOOD | {"text": "the whole corridor is dark"})
        assert kept["text_dropped"] is False
        disk = on_disk(site)
    assert "Smith" not in disk
    assert "943 476" not in disk
    assert "the whole corridor is dark" in disk


async def test_a_flood_is_one_report_with_a_count_and_every_one_is_answered(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        answers = await asyncio.gather(*(site.report(GOOD) for _ in range(300)))
        assert all(one["taken"] and one["safe"] for one in answers)
        assert max(one["report"]["count"] for one in answers) == 300
        assert len((await site.get("/api/v1/incidents"))["items"]) == 1


async def test_the_same_key_counts_once_and_never_refuses(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site:
        for body in (GOOD, GOOD, GOOD | {"text": "again"}):
            said = await site.report(body, headers={"Idempotency-Key": "a" * 40})
        assert said["report"]["count"] == 1
        said = await site.report(GOOD, headers={"Idempotency-Key": "a" * 4000})
        assert said["report"]["count"] == 2


async def test_a_stuck_engine_still_puts_it_on_disk_and_has_it_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ward_site(tmp_path) as site:
        monkeypatch.setattr("healthmon.app.wardbook.ENGINE_WAIT_S", 0.2)
        async with site.server._step_lock:  # a step that does not end
            said = await site.report(GOOD)
            assert (said["taken"], said["safe"]) == (True, True)
            site.server.journal.close()  # kill -9: nothing of the engine's memory is written any more
    async with ward_site(tmp_path) as site:
        await site.server.wards.look()
        (found,) = (await site.get("/api/v1/incidents"))["items"]
        assert [(one["area"], one["count"]) for one in found["reports"]] == [("ward-7", 1)]
        await site.server.wards.look()
    async with ward_site(tmp_path) as site:
        await site.server.wards.look()
        assert [one["count"] for one in (await site.get("/api/v1/incidents"))["items"][0]["reports"]] == [1]


async def test_an_engine_that_crashes_keeps_no_ward_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise RuntimeError("a bug")

    async with ward_site(tmp_path) as site:
        with monkeypatch.context() as broken:
            broken.setattr("healthmon.alerting.engine.Engine.report", crash)
            said = await site.report(GOOD)
        assert (said["taken"], said["safe"], said["incident"]) == (True, True, None)
        assert "Ring IT service desk now: 2-7000" in said["said"]
        await site.server.wards.look()
        assert len((await site.get("/api/v1/incidents"))["items"]) == 1


async def test_a_full_disk_says_ring_now_and_it_is_kept_until_the_disk_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is a stand-in here: every write is refused as SQLite refuses it."""

    def full(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with ward_site(tmp_path) as site:
        with monkeypatch.context() as disk:
            disk.setattr(site.server.journal, "commit", full)
            disk.setattr(site.server.journal, "append", full)
            said = await site.report(GOOD)
            assert (said["taken"], said["safe"]) == (True, False)
            assert "Ring IT service desk now: 2-7000" in said["said"]
            with pytest.raises(JournalDown):
                await site.server.step()
        await site.server.step()
        await site.server.wards.look()
        (found,) = (await site.get("/api/v1/incidents"))["items"]
        assert found["reports"][0]["count"] == 1


async def test_strangers_and_other_web_sites_are_told_whom_to_ring(tmp_path: Path) -> None:
    async with ward_site(tmp_path, **{"ward_networks: [127.0.0.0/8]": "ward_networks: [192.0.2.0/24]"}) as site:
        said = await site.report(GOOD, status=401)
        assert "2-7000" in said["detail"]
        told = await site.report(GOOD, headers={"Authorization": f"Bearer {site.token}"})
        assert told["taken"]
    async with ward_site(tmp_path) as site:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert "2-7000" in (await site.report(GOOD, status=403, headers=headers))["detail"]


async def test_shadow_mode_says_that_nobody_was_called(tmp_path: Path) -> None:
    async with ward_site(tmp_path, **{"mode: live": "mode: shadow"}) as site:
        said = await site.report(GOOD)
        assert said["paged"] is False
        assert "Nobody has been called by this. Ring IT service desk now: 2-7000" in said["said"]
