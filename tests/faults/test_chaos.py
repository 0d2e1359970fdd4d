"""Chaos from a seed: faults of ours while a service of the hospital goes down and up. Nothing lost, nothing said twice.

Short here; `make chaos` runs as many faults as N says. HEALTHMON_CHAOS_SEED plays one run again, on every kind of site
in turn or on the one that HEALTHMON_CHAOS_SITE names.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from daemons.chaos import KINDS, chaotic
from daemons.process import need
from daemons.storm import Storm
from healthmon.runtime.clock import SystemClock

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(7200)]

FAULTS = int(os.environ.get("HEALTHMON_CHAOS", "0"))
#: One site lives through so many cycles of three faults; then another begins.
CYCLES = 4


def seed_of() -> int:
    given = os.environ.get("HEALTHMON_CHAOS_SEED")
    return int(given) if given else 20261129 if not FAULTS else int(SystemClock().now())


def live_through(folder: Path, seed: int, kind: str, *, cycles: int) -> Counter[str]:
    """One site from start to end; what was done to it."""
    with chaotic(folder, kind) as site:
        storm = Storm(site, random.Random(seed))
        try:
            storm.settle_in()
            for _ in range(cycles):
                storm.cycle()
            site.drain()
            time.sleep(1.0)
            readings, notices = site.check_marks(at_least=100), site.check_notices()
        except BaseException:
            print(f"HEALTHMON_CHAOS_SEED={seed} HEALTHMON_CHAOS_SITE={kind}: {', '.join(storm.drawn)}")
            print(site.story())
            raise
    print(f"seed {seed}, {kind}: {dict(site.faults)}; {readings}; {notices}; {storm.figures()}", flush=True)
    return site.faults


@pytest.mark.flaky(reruns=0)  # a storm that fails is looked at, not tried again
def test_a_storm_loses_nothing_and_says_nothing_twice(tmp_path: Path) -> None:
    seed, done = seed_of(), Counter[str]()
    if not FAULTS:
        live_through(tmp_path, seed, "embedded", cycles=2)
        return
    for daemon in ("mosquitto", "influxd", "victoria-metrics"):
        need(daemon)
    kinds = os.environ.get("HEALTHMON_CHAOS_SITE", "").split() or list(KINDS)
    for number in range(1000):
        if done.total() >= FAULTS:
            break
        folder = tmp_path / f"{number}"
        folder.mkdir()
        done += live_through(folder, seed + number, kinds[number % len(kinds)], cycles=CYCLES)
    print(f"{done.total()} faults: {dict(done)}")
