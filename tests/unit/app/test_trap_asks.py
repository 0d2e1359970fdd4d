"""Traps become polls: at once, not in a storm, and once more after the last."""

from __future__ import annotations

import socket

from healthmon.app.traps import ASK_SPACING_S, Asks, Senders
from healthmon.model.plan import Job
from healthmon.model.topology import Check, Target
from healthmon.runtime.clock import ManualClock


def job(target: str, kind: str) -> Job:
    return Job(target, kind, kind, "192.0.2.1", 300.0, 5.0)


def asks() -> tuple[Asks, list[tuple[str, str]], ManualClock]:
    asked: list[tuple[str, str]] = []
    clock = ManualClock()
    jobs = [job("sw", "snmp"), job("sw", "icmp"), job("sw", "ldap"), job("web", "http")]
    return Asks(jobs, lambda target, check: asked.append((target, check)), clock), asked, clock


def test_a_trap_asks_at_once_and_again_and_then_no_more() -> None:
    made, asked, clock = asks()
    made.hint("sw")
    assert asked == [("sw", "snmp"), ("sw", "icmp")]
    made.due(clock.mono() + ASK_SPACING_S - 0.1)
    assert len(asked) == 2
    made.due(clock.mono() + ASK_SPACING_S)
    assert len(asked) == 4
    made.due(clock.mono() + 100.0)
    assert len(asked) == 4


def test_a_forged_trap_makes_no_login_run() -> None:
    made, asked, _ = asks()
    made.hint("web")
    made.hint("nobody")
    assert asked == []


async def test_a_storm_brings_a_poll_each_spacing_and_one_after_it() -> None:
    made, asked, clock = asks()
    for _ in range(300):
        made.hint("sw")
        made.due(clock.mono())
        await clock.advance(0.1)
    after = len(asked) // 2
    assert after <= 30.0 / ASK_SPACING_S + 1
    await clock.advance(ASK_SPACING_S)
    made.due(clock.mono())
    assert len(asked) // 2 == after + 1


async def test_an_address_belongs_to_the_target_that_is_asked_by_snmp() -> None:
    names = {"sw.example": "192.0.2.7", "192.0.2.7": "192.0.2.7"}

    async def lookup(host: str) -> list[tuple[int, str]]:
        if host not in names:
            raise socket.gaierror
        return [(socket.AF_INET, names[host])]

    snmp = Check("snmp", "snmp", 60.0, 5.0)
    targets = [
        Target("page", "page", "endpoint", "https://192.0.2.7/x", "main"),
        Target("sw", "sw", "switch", "sw.example:161", "main", checks=(snmp,)),
        Target("gone", "gone", "switch", "gone.example", "main"),
    ]
    senders = Senders(targets, lookup)
    await senders.refresh()
    assert (senders("192.0.2.7"), senders("192.0.2.8")) == ("sw", None)

    del names["sw.example"]
    await senders.refresh()
    assert senders("192.0.2.7") == "page"
