"""Bad messages through a real broker into a real server: each is counted and noted, and good readings keep flowing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from daemons.healthmon import until
from daemons.onesite import CLOCK, OneSite, Speaker, one_site, reading, speaker
from healthmon.model.sample import Batch
from healthmon.transport import codec
from healthmon.transport.bundle import bundle

pytestmark = [pytest.mark.wire, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    with one_site(tmp_path_factory.mktemp("bad"), role_name="server") as found:
        yield found


def flipped(payload: bytes, seed: int) -> bytes:
    """One bit turned over in the first half, where the form is."""
    bits = bytearray(payload)
    rng = random.Random(seed)
    bits[rng.randrange(len(bits) // 2)] ^= 1 << rng.randrange(8)
    return bytes(bits)


def deep(levels: int) -> bytes:
    return b'{"v": 1, "agent": "pc-1", "readings": ' + b"[" * levels + b"]" * levels + b"}"


Make = Callable[[Batch], bytes]
#: what is sent -> the reason under which it is counted
BAD: dict[str, tuple[Make, str]] = {
    "nothing": (lambda b: b"", "malformed"),
    "noise": (lambda b: random.Random(1).randbytes(400), "malformed"),
    "text": (lambda b: b"hello", "malformed"),
    "truncated msgpack": (lambda b: codec.encode(b)[:-9], "malformed"),
    "truncated json": (lambda b: msgspec.json.encode(b)[:-9], "malformed"),
    "deep json": (lambda b: deep(20_000), "malformed"),
    "deep msgpack": (lambda b: b"\x81\xa8readings" + b"\x91" * 20_000 + b"\x90", "malformed"),
    "not utf-8": (lambda b: codec.encode(b).replace(b"pc-1", b"pc\xff1"), "malformed"),
    "an outcome nobody knows": (lambda b: codec.encode(b).replace(b"\xa2ok", b"\xa2ko"), "malformed"),
    "a number for a name": (lambda b: msgspec.json.encode(b).replace(b'"pc-1"', b"7"), "malformed"),
    "not a number": (lambda b: codec.encode(replace(b, sent=float("nan"))), "malformed"),
    "a range backwards": (lambda b: codec.encode(replace(b, dropped=((9, 3),))), "malformed"),
    "seq zero": (lambda b: codec.encode(replace(b, seq=0)), "malformed"),
    "an epoch in words": (lambda b: codec.encode(replace(b, epoch="yesterday")), "malformed"),
    "version 2": (lambda b: codec.encode(replace(b, v=2)), "version"),
    "version 99, other form": (lambda b: b'{"v": 99, "items": {}}', "version"),
    "one MiB and more": (lambda b: codec.encode(b) + b"\x00" * (1 << 20), "oversize"),
    "another agent's name inside": (lambda b: codec.encode(replace(b, agent="pc-2")), "foreign"),
}


def rejected(site: OneSite) -> dict[str, int]:
    return dict(site.health()["ingest_rejected"])


def since(before: dict[str, int], site: OneSite) -> dict[str, int]:
    """What was refused meanwhile."""
    counts = {reason: count - before.get(reason, 0) for reason, count in rejected(site).items()}
    return {reason: count for reason, count in counts.items() if count}


async def good(agent: Speaker) -> None:
    """A good batch still becomes durable."""
    await agent.say()
    await agent.durable()


async def test_every_bad_payload_is_counted_and_noted_and_good_ones_flow(site: OneSite) -> None:
    async with speaker(site) as agent:
        await good(agent)
        before = rejected(site)
        for make, _ in BAD.values():
            await agent.send(make(agent.batch(seq=agent.seq + 100)))
            agent.seq -= 1
            await asyncio.sleep(0.06)  # notes of one reason are not made faster
        await good(agent)
    gone = since(before, site)
    expected: dict[str, int] = {}
    for _, reason in BAD.values():
        expected[reason] = expected.get(reason, 0) + 1
    assert gone == expected
    for reason, count in rejected(site).items():
        assert site.metric("healthmon_ingest_rejected_total", reason=reason) == count
        assert list((site.data / "quarantine").glob(f"{reason}-*.json"))


async def test_of_a_bundle_what_can_be_read_is_taken(site: OneSite) -> None:
    async with speaker(site) as agent:
        await good(agent)
        before = rejected(site)
        parts = [codec.encode(agent.batch(live=False)) for _ in range(3)]
        inner = bundle([codec.encode(agent.batch(seq=agent.seq + 100))])  # none may hide in another
        agent.seq -= 1
        await agent.send(bundle([parts[0], b"noise", parts[1][:-9], inner, *parts[1:]]))
        await agent.send(bundle(parts)[:-9])
        await good(agent)  # the three between are durable too, or it would not be
        assert since(before, site) == {"malformed": 4}
        assert agent.upto == agent.seq


async def test_bits_that_flip_on_the_way_never_stop_it(site: OneSite) -> None:
    async with speaker(site) as agent:
        await good(agent)
        for seed in range(200):
            await agent.send(flipped(codec.encode(agent.batch(seq=agent.seq + 50)), seed))
            agent.seq -= 1
        await good(agent)
    assert site.health()["status"] == "ok"


async def test_strangers_are_refused(site: OneSite) -> None:
    before = rejected(site)
    async with speaker(site, "pc-99") as stranger, speaker(site) as agent:
        await stranger.say()
        await agent.send(codec.encode(agent.batch()), topic="healthmon/v1/small/PC-1/batch")
        await agent.send(b"cpu,host=x value=1", topic=agent.topic("lp"))
        state = {"agent": "pc-1", "state": "stopped", "epoch": agent.epoch, "v": 1}
        await stranger.send(json.dumps(state), topic=stranger.topic("state"))
        await stranger.send(json.dumps(state | {"agent": "pc-99"}), topic=stranger.topic("state"))
        agent.seq = 0
        await good(agent)
    assert since(before, site) == {
        "unknown_agent": 2,
        "foreign": 2,
        "unsupported": 1,
    }
    assert "pc-99" not in {one["agent"] for one in site.get("agents")["items"]}


async def test_readings_that_do_not_fit_leave_the_rest_of_their_batch(site: OneSite) -> None:
    """The batch is taken; what is undeclared or from another's mouth is left out and counted."""
    async with speaker(site) as agent:
        strange = [
            reading("pc-1", target="nobody"),
            reading("pc-1", vantage="pc-2"),
            reading("pc-1", started=CLOCK.now() + 86_400.0),
        ]
        await agent.say(reading("pc-1"), *strange)
        await agent.durable()
    for reason in ("undeclared_target", "foreign_vantage", "bad_time"):
        assert site.metric(f"healthmon_readings_refused_{reason}_total") >= 1.0


async def test_a_clock_an_hour_off_is_corrected_and_shown(site: OneSite) -> None:
    async with speaker(site, "pc-2", clock_off_s=-3600.0) as agent:
        began = CLOCK.now()
        first = codec.encode(agent.batch())
        await agent.send(first)
        while not agent.upto:  # as a spool does: what could be out of the broker's backlog fixes no clock
            with contextlib.suppress(TimeoutError):
                await agent.durable(within_s=1.0)
                break
            await agent.send(codec.encode(agent.batch(seq=1)))
            agent.seq = 1
    (status,) = [one for one in site.get("agents")["items"] if one["agent"] == "pc-2"]
    assert status["skew_s"] == pytest.approx(3600.0, abs=5.0)
    assert (status["state"], status["epoch"], status["seq"]) == ("up", agent.epoch, 1)
    assert not status["cloned"]
    (series,) = site.get("query?metric=host_cpu.utilisation_ratio&vantage=pc-2&range=300s")["items"]
    assert datetime.fromisoformat(series["points"][-1][0]).timestamp() == pytest.approx(began, abs=5.0)


async def test_a_gap_that_nobody_declared_is_shown(site: OneSite) -> None:
    async with speaker(site) as agent:
        await agent.say()
        agent.seq += 3
        await agent.say(dropped=((2, 2),))
        await agent.durable(1)

        def shown() -> bool:
            (status,) = [one for one in site.get("agents")["items"] if one["agent"] == "pc-1"]
            return (status["epoch"], status["gaps"], status["dropped"]) == (agent.epoch, 2, 1)

        await asyncio.to_thread(until, shown, timeout_s=10, what="two gaps and one dropped batch")


async def test_a_cloned_agent_is_a_finding(site: OneSite) -> None:
    async with speaker(site, "pc-3") as one, speaker(site, "pc-3") as other:
        for _ in range(4):
            await one.say()
            await other.say()

        def shown() -> bool:
            (status,) = [a for a in site.get("agents")["items"] if a["agent"] == "pc-3"]
            return bool(status["cloned"])

        await asyncio.to_thread(until, shown, timeout_s=10, what="pc-3 is cloned")


async def test_a_flood_does_not_fill_the_disk_or_hold_up_the_good(site: OneSite) -> None:
    async with speaker(site) as flood, speaker(site) as agent:
        began = CLOCK.mono()
        for number in range(3000):
            await flood.client.publish(flood.topic(), os.urandom(64), qos=0)
            if number % 500 == 0:
                await good(agent)
        await good(agent)
        took = CLOCK.mono() - began
    notes = list((site.data / "quarantine").iterdir())
    print(f"3000 bad messages in {took:.2f} s; {len(notes)} notes, {sum(n.stat().st_size for n in notes)} bytes")
    assert len(notes) <= 100 * len(rejected(site))
    assert all(note.stat().st_size < 1000 for note in notes)


async def test_nothing_that_is_sent_stops_or_grows_the_server(site: OneSite) -> None:
    """Oversize, deep, noise, replays, damaged copies and foreign topics in one storm; the memory is looked at after."""
    assert site.daemon.process is not None
    server = psutil.Process(site.daemon.process.pid)
    chance = random.Random(11)
    async with speaker(site) as storm, speaker(site, "pc-2") as agent:
        await good(agent)
        await asyncio.sleep(1.0)
        before = server.memory_info().rss
        fine = codec.encode(storm.batch())
        for number in range(600):
            payload = (
                fine,  # the same again and again
                flipped(fine, number),
                fine[: chance.randrange(len(fine))],
                deep(chance.randrange(1, 5_000)),
                chance.randbytes(chance.randrange(2_000)),
                msgspec.msgpack.encode({"v": 1, "readings": {"x" * 50: [number] * 200}}),
            )[number % 6]
            await storm.client.publish(storm.topic(), payload, qos=0)
            if number % 3 == 0:
                topic = f"healthmon/v1/small/{chance.randbytes(4).hex()}/{chance.choice(['batch', 'state', 'lp'])}"
                await storm.client.publish(topic, payload, qos=0)
            if number % 20 == 0:
                await storm.send(b"\x00" * ((1 << 20) + number))
                await good(agent)
        await good(agent)
        await asyncio.sleep(1.0)
        grown = server.memory_info().rss - before
    print(f"the server grew by {grown / (1 << 20):.1f} MiB")
    assert grown < 64 << 20
    assert site.health()["status"] == "ok"


async def test_a_note_says_what_a_person_needs_and_nothing_more(site: OneSite) -> None:
    async with speaker(site) as agent:
        await agent.say(agent="pc-2")
        agent.seq = 0
        await good(agent)
    notes = [json.loads(note.read_bytes()) for note in (site.data / "quarantine").glob("foreign-*.json")]
    headed: dict[str, Any] = next(note for note in notes if note["header"])
    assert set(headed) == {"at", "agent", "where", "bytes", "sha256", "format", "header"}
    assert set(headed["header"]) <= {"v", "epoch", "seq", "sent", "live"}


def test_no_traceback_stands_in_the_log(site: OneSite) -> None:
    text = Path(site.log).read_text()
    assert "Traceback" not in text
    assert text.count("payload refused") < 30, "said once for each agent and reason"
