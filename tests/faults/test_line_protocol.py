"""Line protocol through a real broker into a real server: mapped, guarded, counted, seen by rules, and harmless."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.healthmon import until
from daemons.onesite import CLOCK, OneSite, speaker

pytestmark = [pytest.mark.wire, pytest.mark.slow]

BLOCK = {
    "hosts": {"LAB-ANALYSER.hospital.example": "srv-icu"},
    "drop_tags": ["dc"],
    "measurements": {
        "cpu": {"fields": ["usage_idle", "mode"], "tags": ["cpu"]},
        "disk": {"fields": ["used_percent"], "tags": ["path"]},
    },
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    folder = tmp_path_factory.mktemp("lines")
    made = OneSite(folder, role_name="server", line_protocol=BLOCK)
    for target in made.site["targets"]:
        if target["id"] in ("pc-1", "srv-icu"):
            push = {"id": "telegraf", "kind": "push", "from": ["pc-1"], "every": "10s"}
            target["checks"] = [*target.get("checks", []), push]
    made.write()
    made.daemon.start()
    try:
        yield made
    finally:
        made.daemon.stop()


def ns(at: float) -> int:
    return int(at * 1e9)


def points(site: OneSite, metric: str, target: str) -> list[float]:
    found = site.get(f"query?metric={metric}&target={target}&range=600s")["items"]
    return [value for series in found for _, value in series["points"]]


async def send(site: OneSite, text: str | bytes, agent: str = "pc-1") -> None:
    async with speaker(site, agent) as tool:
        await tool.send(text, topic=tool.topic("lp"))


async def test_lines_become_points_of_the_declared_target(site: OneSite) -> None:
    now = CLOCK.now()
    await send(
        site,
        f"cpu,host=pc-1,cpu=cpu0,dc=one usage_idle=91.5,usage_nice=1 {ns(now)}\n"
        f"cpu,host=pc-1,cpu=cpu1,dc=one usage_idle=81.5 {ns(now)}\n"
        f"disk,path=/data used_percent=42i {ns(now)}\n"
        f"disk,host=LAB-ANALYSER.hospital.example,path=/ used_percent=43i {ns(now)}\n",
    )
    await asyncio.to_thread(until, lambda: {81.5, 91.5} <= {*points(site, "lp_cpu.usage_idle", "pc-1")}, timeout_s=30)
    assert 42.0 in points(site, "lp_disk.used_percent", "pc-1")
    assert points(site, "lp_disk.used_percent", "srv-icu") == [43.0]
    (series, *_) = site.get("query?metric=lp_cpu.usage_idle&target=pc-1&range=600s")["items"]
    assert set(series["tags"]) >= {"target", "vantage", "check", "cpu"}
    assert not {"dc", "host"} & set(series["tags"])
    assert {one["agent"]: one["state"] for one in site.get("agents")["items"]}["pc-1"] == "up"


async def test_what_was_not_asked_for_is_counted_and_left_out(site: OneSite) -> None:
    now = CLOCK.now()
    before = metrics(site)
    await send(
        site,
        f"mem used=1 {ns(now)}\n"
        f"cpu,host=srv-ed usage_idle=1 {ns(now)}\n"
        f"cpu,secret=1 usage_idle=1 {ns(now)}\n"
        f"cpu usage_idle=1,usage_user=2 {ns(now + 3600)}\n"
        f"cpu usage_user=2 {ns(now)}\n"
        "cpu usage_idle=\n"
        f'cpu,cpu=a mode="NHS 943 476 5919" {ns(now)}\n'
        f"disk,path=end used_percent=7 {ns(now)}\n",
    )
    await asyncio.to_thread(until, lambda: 7.0 in points(site, "lp_disk.used_percent", "pc-1"), timeout_s=30)
    gone = {reason: count - before.get(reason, 0.0) for reason, count in metrics(site).items()}
    assert gone == {
        "undeclared_measurement": 1.0,
        "undeclared_host": 1.0,
        "undeclared_tag": 1.0,
        "bad_time": 1.0,
        "undeclared_field": 1.0,
        "malformed": 1.0,
    }
    assert site.metric("healthmon_samples_refused_patient_data_total") >= 1.0
    assert points(site, "lp_cpu.mode", "pc-1") == []
    notes = [json.loads(note.read_bytes()) for note in (site.data / "quarantine").glob("bad_lines-*.json")]
    assert notes
    assert [note for note in notes if re.search("943.?476", json.dumps(note))] == []


REASONS = ("undeclared_measurement", "undeclared_host", "undeclared_tag", "bad_time", "undeclared_field", "malformed")


def metrics(site: OneSite) -> dict[str, float]:
    return {reason: site.metric("healthmon_lines_refused_total", reason=reason) for reason in REASONS}


async def test_noise_neither_stops_nor_grows_it(site: OneSite) -> None:
    chance = random.Random(7)
    good = b"disk,path=noise used_percent=5"
    async with speaker(site) as tool:
        for _ in range(300):
            noise = bytearray(good * chance.randint(1, 3))
            for _ in range(chance.randint(1, 6)):
                noise[chance.randrange(len(noise))] = chance.randrange(256)
            await tool.send(bytes(noise), topic=tool.topic("lp"))
        await tool.send(b"x" * 900_000, topic=tool.topic("lp"))
        await tool.send(b'm f="' + b"\n" * 500_000, topic=tool.topic("lp"))
        await tool.send(b"disk,path=p used_percent=1\n" * 20_000, topic=tool.topic("lp"))
        await tool.send(f"disk,path=after used_percent=99 {ns(CLOCK.now())}".encode(), topic=tool.topic("lp"))
    await asyncio.to_thread(until, lambda: 99.0 in points(site, "lp_disk.used_percent", "pc-1"), timeout_s=60)
    assert site.health()["status"] == "ok"
    assert "Traceback" not in Path(site.log).read_text()


async def test_a_replay_changes_nothing(site: OneSite) -> None:
    line = f"disk,path=again used_percent=11 {ns(CLOCK.now())}".encode()
    for _ in range(3):
        await send(site, line)
    await send(site, f"disk,path=last used_percent=12 {ns(CLOCK.now())}")
    await asyncio.to_thread(until, lambda: 12.0 in points(site, "lp_disk.used_percent", "pc-1"), timeout_s=30)
    assert points(site, "lp_disk.used_percent", "pc-1").count(11.0) == 1
