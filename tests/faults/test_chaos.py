"""Chaos from a seed: faults of ours while a service of the hospital goes down and up. Nothing lost, nothing said twice.

Short here; `make chaos` runs as many faults as N says. HEALTHMON_CHAOS_SEED plays one run again, on every kind of site
in turn or on the one that HEALTHMON_CHAOS_SITE names, for HEALTHMON_CHAOS_CYCLES cycles each.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from daemons.chaos import KINDS, ChaosRig, chaotic
from daemons.healthmon import api
from daemons.killing import soon
from daemons.process import need
from daemons.storm import Storm
from healthmon.runtime.clock import SystemClock

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(7200)]

FAULTS = int(os.environ.get("HEALTHMON_CHAOS", "0"))
#: One site lives through so many cycles of three faults; then another begins.
CYCLES = int(os.environ.get("HEALTHMON_CHAOS_CYCLES", "4"))


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


@pytest.mark.skipif(not FAULTS, reason="two minutes long: make chaos")
@pytest.mark.flaky(reruns=0)
def test_after_a_long_cut_what_lasts_is_paged_once_and_what_was_over_stands_on_a_timeline(tmp_path: Path) -> None:
    with chaotic(tmp_path) as site:
        try:
            figures = long_cut(site)
        except BaseException:
            print(site.story())
            raise
    print(figures, flush=True)


def long_cut(site: ChaosRig) -> str:
    """Cut for 100 s: one service goes down and up in it, another stays down until after the heal."""
    for target in ("flaky", "brief"):
        soon(lambda target=target: api(site.base, f"targets/{target}")["outcome"] == "ok", "the first reading", 60.0)
    site.cut()
    time.sleep(5.0)
    site.brief.greets = False
    time.sleep(15.0)
    site.brief.greets = True
    time.sleep(40.0)
    site.flaky.greets = False
    time.sleep(40.0)
    assert site.told("mitigated") == 0
    site.heal()
    healed_at = time.monotonic()
    soon(lambda: pages_about(site, "Greeting"), "a page about what lasts", 60.0)
    paged_s = time.monotonic() - healed_at
    soon(lambda: any("brief" in text for _, text in late_entries(site)), "an entry marked late", 90.0)
    time.sleep(3.0)
    assert [page["why"] for page in pages_about(site, "Greeting")] == ["opened"]
    assert pages_about(site, "Second greeting") == []
    ((incident, _),) = [(id_, text) for id_, text in late_entries(site) if "brief failed from" in text]
    assert all("brief failed from" in text or "flaky had failed since" in text for _, text in late_entries(site))
    titles = {one["id"]: one["title"] for one in api(site.base, "incidents?limit=500")["items"]}
    ((silence, said),) = [(id_, title) for id_, title in titles.items() if "Greeting" not in title]
    assert silence == incident, "on the timeline of the agent's own silence"
    site.flaky.greets = True
    soon(lambda: [p["why"] for p in pages_about(site, "Greeting")] == ["opened", "mitigated"], "an all-clear", 60.0)
    site.drain()
    readings, notices = site.check_marks(at_least=100), site.check_notices()
    return f"cut of 100 s: paged {paged_s:.1f} s after the heal; extra: {said!r}; {readings}; {notices}"


def pages_about(site: ChaosRig, service: str) -> list[dict[str, Any]]:
    """In order; of the two services whose names begin alike, the one that is meant."""
    return [page for page in site.pages() if f" {service} " in f" {page['subject']} ".replace("Second", "")]


def late_entries(site: ChaosRig) -> list[tuple[str, str]]:
    found = []
    for one in api(site.base, "incidents?limit=500")["items"]:
        timeline = api(site.base, f"incidents/{one['id']}")["timeline"]
        found += [(one["id"], entry["text"]) for entry in timeline if entry["what"] == "late"]
    return found
