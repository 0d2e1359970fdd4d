"""The choke point: networks after resolution, spacing, rates, the stop button."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from healthmon.model.plan import Job, MedicalAllow, MedicalNetwork, Rates, Safety
from healthmon.model.sample import Reason
from healthmon.probes.guard import Guard, GuardedSight
from healthmon.probes.reasons import Finding, Forbidden
from healthmon.runtime.clock import ManualClock, settle

NAMES = {
    "pump.example": ["198.51.100.7"],
    "pump2.example": ["198.51.100.8"],
    "ehr.example": ["192.0.2.10", "203.0.113.10"],
    "mapped.example": ["::ffff:198.51.100.7"],
    "nat64.example": ["64:ff9b::c633:6407"],
    "mixed.example": ["192.0.2.10", "198.51.100.7"],
}

MEDICAL = MedicalNetwork("198.51.100.0/24", (MedicalAllow("icmp", "clinical engineering", "2026-11-01"),), 60.0)


async def lookup(host: str) -> list[tuple[int, str]]:
    if host not in NAMES:
        return [(socket.AF_INET, host)]
    return [(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip) for ip in NAMES[host]]


def job(kind: str = "http", target: str = "t", timeout_s: float = 5.0) -> Job:
    return Job(target, kind, kind, "", 30.0, timeout_s)


def guard(
    clock: ManualClock, *, deny: tuple[str, ...] = (), rates: Rates | None = None, stop: Path | None = None
) -> Guard:
    return Guard(Safety(deny, (MEDICAL,), rates or Rates()), clock, stop_file=stop, lookup=lookup)


async def refusal(sight: GuardedSight, host: str) -> Reason:
    with pytest.raises(Forbidden) as caught:
        await sight.resolve(host, 443)
    return caught.value.fault.reason


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_an_ordinary_name_gives_its_addresses_in_order(clock: ManualClock) -> None:
    found = await guard(clock).sight(job(), "v").resolve("ehr.example", 443)
    assert [(a.ip, a.port, a.gentle) for a in found] == [("192.0.2.10", 443, False), ("203.0.113.10", 443, False)]


async def test_deny_holds_for_the_address_behind_a_name(clock: ManualClock) -> None:
    subject = guard(clock, deny=("203.0.113.0/24", "192.0.2.10"))
    assert await refusal(subject.sight(job(), "v"), "ehr.example") is Reason.NOT_ALLOWED
    assert subject.counts["refused.denied"] == 1
    assert subject.counts["admitted"] == 0


async def test_a_name_with_one_denied_address_uses_only_the_others(clock: ManualClock) -> None:
    found = await guard(clock, deny=("192.0.2.0/24",)).sight(job(), "v").resolve("ehr.example", 443)
    assert [a.ip for a in found] == ["203.0.113.10"]


@pytest.mark.parametrize("host", ["pump.example", "mapped.example", "nat64.example", "198.51.100.7"])
async def test_medical_networks_are_closed_by_default_in_every_disguise(clock: ManualClock, host: str) -> None:
    subject = guard(clock)
    assert await refusal(subject.sight(job("http"), "v"), host) is Reason.NOT_ALLOWED
    assert subject.counts["refused.medical_denied"] == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "224.0.0.1", "255.255.255.255"])
async def test_what_is_not_one_machine_is_never_probed(clock: ManualClock, host: str) -> None:
    assert await refusal(guard(clock).sight(job(), "v"), host) is Reason.NOT_ALLOWED


async def test_the_approved_kind_is_gentle_and_rests_for_the_interval(clock: ManualClock) -> None:
    subject = guard(clock)
    first = subject.sight(job("icmp"), "v")
    assert [a.gentle for a in await first.resolve("pump.example", 0)] == [True]
    first.close()
    await clock.advance(54.0)
    assert await refusal(subject.sight(job("icmp"), "v"), "pump.example") is Reason.RATE_LIMITED
    await clock.advance(3.0)
    late = subject.sight(job("icmp"), "v")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(late.resolve("pump.example", 0))
        await settle()
        assert not waiting.done()
        await clock.advance(3.0)
        assert waiting.done()
    assert late.waited_s == pytest.approx(3.0)


async def test_one_probe_at_a_time_in_a_medical_network(clock: ManualClock) -> None:
    subject = guard(clock)
    first, second = subject.sight(job("icmp", "a"), "v"), subject.sight(job("icmp", "b"), "v")
    await first.resolve("pump.example", 0)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(second.resolve("pump2.example", 0))
        await clock.advance(1.0)
        assert not waiting.done()
        first.close()
        await clock.advance(0.1)
        assert waiting.done()


async def test_a_slot_that_stays_taken_ends_as_rate_limited(clock: ManualClock) -> None:
    subject = guard(clock)
    await subject.sight(job("icmp", "a"), "v").resolve("pump.example", 0)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(refusal(subject.sight(job("icmp", "b"), "v"), "pump2.example"))
        await settle()
        await clock.advance(6.0)
    assert waiting.result() is Reason.RATE_LIMITED


async def test_a_medical_address_behind_an_ordinary_one_is_left_out(clock: ManualClock) -> None:
    found = await guard(clock).sight(job("icmp"), "v").resolve("mixed.example", 0)
    assert [a.ip for a in found] == ["192.0.2.10"]


async def test_a_reload_does_not_forget_what_a_medical_device_has_got(clock: ManualClock) -> None:
    subject = guard(clock)
    first = subject.sight(job("icmp"), "v")
    await first.resolve("pump.example", 0)
    first.close()
    subject.adopt(Safety((), (MEDICAL,), Rates()))
    assert await refusal(subject.sight(job("icmp"), "v"), "pump.example") is Reason.RATE_LIMITED


async def spread(subject: Guard, clock: ManualClock, asks: list[tuple[str, str]], seconds: float) -> list[float]:
    """When each of many simultaneous asks got through."""
    begun, through = clock.mono(), []

    async def one(target: str, host: str) -> None:
        await subject.sight(job(target=target, timeout_s=60.0), "v").resolve(host, 443)
        through.append(clock.mono() - begun)

    async with asyncio.TaskGroup() as group:
        for target, host in asks:
            group.create_task(one(target, host))
        await settle()
        await clock.advance(seconds)
    return through


async def test_the_rate_of_a_target_spreads_its_probes(clock: ManualClock) -> None:
    subject = guard(clock, rates=Rates(per_target_hz=2.0))
    assert await spread(subject, clock, [("t", "192.0.2.1")] * 5, 10.0) == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0])


async def test_the_rate_of_a_subnet_counts_its_targets_together(clock: ManualClock) -> None:
    subject = guard(clock, rates=Rates(per_subnet_hz=10.0))
    asks = [(f"t{n}", f"192.0.2.{n}") for n in range(1, 31)] + [("other", "203.0.113.1")]
    through = await spread(subject, clock, asks, 10.0)
    assert max(through) == pytest.approx(2.9)
    assert all(sum(1 for at in through if start <= at < start + 1.0) <= 12 for start in (0.0, 0.5, 1.0, 1.5))


async def test_ipv6_subnets_are_64_bits_wide(clock: ManualClock) -> None:
    subject = guard(clock, rates=Rates(per_subnet_hz=1.0))
    asks = [("a", "2001:db8::1"), ("b", "2001:db8::ffff"), ("c", "2001:db8:0:1::1")]
    assert sorted(await spread_v6(subject, clock, asks)) == pytest.approx([0.0, 0.0, 1.0])


async def spread_v6(subject: Guard, clock: ManualClock, asks: list[tuple[str, str]]) -> list[float]:
    for _, host in asks:
        NAMES.setdefault(host, [host])
    return await spread(subject, clock, asks, 5.0)


async def test_loopback_has_no_link_to_spare(clock: ManualClock) -> None:
    subject = guard(clock, rates=Rates(per_subnet_hz=1.0))
    assert await spread(subject, clock, [(f"t{n}", "127.0.0.1") for n in range(20)], 1.0) == [0.0] * 20


async def test_the_global_rate_holds_over_all(clock: ManualClock) -> None:
    subject = guard(clock, rates=Rates(per_subnet_hz=1000.0, global_hz=10.0))
    through = await spread(subject, clock, [(f"t{n}", f"10.0.{n}.1") for n in range(21)], 10.0)
    assert max(through) == pytest.approx(2.0)


async def test_waiting_longer_than_the_timeout_is_refused_and_books_nothing(clock: ManualClock) -> None:
    subject = guard(clock, rates=Rates(per_target_hz=0.1))
    await subject.sight(job(), "v").resolve("192.0.2.1", 80)
    for _ in range(3):
        assert await refusal(subject.sight(job(timeout_s=5.0), "v"), "192.0.2.1") is Reason.RATE_LIMITED
    assert subject.counts["refused.target"] == 3
    await clock.advance(10.0)
    sight = subject.sight(job(timeout_s=5.0), "v")
    await sight.resolve("192.0.2.1", 80)
    assert sight.waited_s == 0.0


async def test_the_stop_button_by_call_survives_a_restart(clock: ManualClock, tmp_path: Path) -> None:
    button = tmp_path / "run" / "stop"
    subject = guard(clock, stop=button)
    subject.stop("duty manager")
    assert await refusal(subject.sight(job(), "v"), "192.0.2.1") is Reason.PROBING_STOPPED
    again = guard(clock, stop=button)
    assert again.stopped_by == "duty manager"
    assert await refusal(again.sight(job(), "v"), "192.0.2.1") is Reason.PROBING_STOPPED
    again.resume("duty manager")
    assert not again.stopped
    assert not button.exists()
    assert await again.sight(job(), "v").resolve("192.0.2.1", 80)


async def test_the_stop_button_by_file(clock: ManualClock, tmp_path: Path) -> None:
    button = tmp_path / "stop"
    subject = guard(clock, stop=button)
    await subject.sight(job(), "v").resolve("192.0.2.1", 80)
    button.touch()
    assert await refusal(subject.sight(job(), "v"), "192.0.2.2") is Reason.PROBING_STOPPED
    assert subject.counts["refused.stopped"] == 1


async def test_stopping_while_a_run_waits_for_its_turn_stops_that_run(clock: ManualClock) -> None:
    subject = guard(clock, rates=Rates(per_target_hz=1.0))
    await subject.sight(job(), "v").resolve("192.0.2.1", 80)
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(refusal(subject.sight(job(), "v"), "192.0.2.1"))
        await settle()
        subject.stop("someone")
        await clock.advance(1.0)
    assert waiting.result() is Reason.PROBING_STOPPED


async def test_a_name_that_cannot_be_one_is_bad_params(clock: ManualClock) -> None:
    async def refuse(host: str) -> list[tuple[int, str]]:
        raise UnicodeError("label too long")

    subject = Guard(Safety(), clock, lookup=refuse)
    with pytest.raises(Finding) as caught:
        await subject.sight(job(), "v").resolve("x" * 300, 80)
    assert caught.value.fault.reason is Reason.BAD_PARAMS


def test_a_network_that_is_none_is_an_error_at_once(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        Guard(Safety(deny=("10.0.0.0/99",)), clock)
