"""Chaos from a seed: faults of ours while a service of the hospital goes down and up. Nothing lost, nothing said twice.

Short here; `make chaos` runs as many faults as N says. HEALTHMON_CHAOS_SEED plays one run again.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from daemons.chaos import chaotic, cycle
from daemons.killing import soon
from daemons.process import need
from healthmon.runtime.clock import SystemClock

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(7200)]

FAULTS = int(os.environ.get("HEALTHMON_CHAOS", "0"))
#: One site lives through so many cycles of three faults; then another begins.
CYCLES = 4


def seed_of() -> int:
    given = os.environ.get("HEALTHMON_CHAOS_SEED")
    return int(given) if given else 20261129 if not FAULTS else int(SystemClock().now())


def live_through(folder: Path, seed: int, *, outside: bool, cycles: int) -> Counter[str]:
    """One site from start to end; what was done to it."""
    chance, told = random.Random(seed), []
    with chaotic(folder, outside=outside) as site:
        soon(lambda: site.log.exists() and site.log.stat().st_size, "the agent spools")
        time.sleep(3.0)
        try:
            for _ in range(cycles):
                cycle(site, chance, told)
            site.drain()
            time.sleep(1.0)
            readings, notices = site.check_marks(at_least=100), site.check_notices()
        except BaseException:
            print(f"HEALTHMON_CHAOS_SEED={seed} {'outside' if outside else 'embedded'}: {', '.join(told)}")
            print(site.story())
            raise
    print(f"seed {seed}, {'outside' if outside else 'embedded'}: {dict(site.faults)}; {readings}; {notices}")
    return site.faults


@pytest.mark.flaky(reruns=0)  # a storm that fails is looked at, not tried again
def test_a_storm_loses_nothing_and_says_nothing_twice(tmp_path: Path) -> None:
    seed, done = seed_of(), Counter[str]()
    if not FAULTS:
        live_through(tmp_path, seed, outside=False, cycles=2)
        return
    need("mosquitto")
    need("influxd")
    for number in range(1000):
        if done.total() >= FAULTS:
            break
        folder = tmp_path / f"{number}"
        folder.mkdir()
        done += live_through(folder, seed + number, outside=number % 2 == 1, cycles=CYCLES)
    print(f"{done.total()} faults: {dict(done)}")
