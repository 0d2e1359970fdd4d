"""What the watchdog concludes from what it sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.app.watchdog import Look, Seen, Standing, Watch, judge, read_health
from healthmon.model.incident import Why

WATCH = Watch("http://127.0.0.1:8470", Path("unused"), tries=3, clear_tries=2, tick_limit_s=30.0)
OK, SILENT, FROZEN = Look(Seen.OK), Look(Seen.SILENT), Look(Seen.FROZEN)
STUCK, OWN = Look(Seen.STUCK, sure=True), Look(Seen.OWN_NETWORK)


def tell(*looks: Look, standing: Standing | None = None) -> list[tuple[int, Why]]:
    """(number of the look, why) for every message."""
    standing = standing or Standing()
    told = []
    for number, look in enumerate(looks, 1):
        standing, why = judge(standing, look, now=float(number), watch=WATCH)
        if why:
            told.append((number, why))
    return told


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([OK] * 5, []),
        ([SILENT, SILENT, OK], []),
        ([SILENT] * 9, [(3, Why.OPENED)]),
        ([FROZEN, SILENT, FROZEN, SILENT], [(3, Why.OPENED)]),
        ([STUCK, STUCK], [(1, Why.OPENED)]),
        ([STUCK, OK, OK, OK], [(1, Why.OPENED), (3, Why.MITIGATED)]),
        ([STUCK, OK, SILENT, OK, SILENT, OK, OK], [(1, Why.OPENED), (7, Why.MITIGATED)]),
        ([STUCK, OK, OK, STUCK], [(1, Why.OPENED), (3, Why.MITIGATED), (4, Why.OPENED)]),
        ([OWN] * 9, []),
        ([SILENT, SILENT, OWN, OWN, SILENT], [(5, Why.OPENED)]),
        ([STUCK, OK, OWN, OK], [(1, Why.OPENED), (4, Why.MITIGATED)]),
    ],
)
def test_one_message_for_each_episode(looks: list[Look], told: list[tuple[int, Why]]) -> None:
    assert tell(*looks) == told


def test_after_a_restart_what_was_told_is_not_told_again() -> None:
    known = Standing(down=True, since=77.0)
    assert tell(*[SILENT] * 5, standing=known) == []
    assert tell(SILENT, OK, OK, standing=known) == [(3, Why.MITIGATED)]


def test_since_is_the_first_bad_look_of_the_episode() -> None:
    standing = Standing()
    for number, look in enumerate((OK, SILENT, SILENT, SILENT, OK, SILENT), 1):
        standing, _ = judge(standing, look, now=float(number), watch=WATCH)
    assert (standing.down, standing.since) == (True, 2.0)


@given(st.lists(st.sampled_from([OK, SILENT, FROZEN, STUCK, OWN]), max_size=60))
def test_messages_alternate(looks: list[Look]) -> None:
    whys = [why for _, why in tell(*looks)]
    assert whys == [Why.OPENED, Why.MITIGATED] * (len(whys) // 2) + [Why.OPENED] * (len(whys) % 2)


def health(**fields: object) -> bytes:
    return json.dumps({"status": "ok", "engine_tick_age_s": 0.4, "store_ok": True, **fields}).encode()


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        (health(), Seen.OK),
        (health(status="degraded", store_ok=False), Seen.OK),
        (health(engine_tick_age_s=30.0), Seen.OK),
        (health(engine_tick_age_s=31), Seen.STUCK),
        (health(status="failing"), Seen.STUCK),
        (health(engine_tick_age_s=None), Seen.WRONG),
        (b'{"status": "ok"}', Seen.WRONG),
        (b"<html>sign in</html>", Seen.WRONG),
        (b"[]", Seen.WRONG),
        (b"", Seen.WRONG),
    ],
)
def test_what_the_health_page_says(body: bytes, seen: Seen) -> None:
    assert read_health(body, WATCH).seen is seen


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://h:8470", "http://h:8470/api/v1/health"),
        ("http://h:8470/", "http://h:8470/api/v1/health"),
        ("https://h/monitoring/api/v1/health", "https://h/monitoring/api/v1/health"),
    ],
)
def test_the_health_path_is_added_when_there_is_none(url: str, asked: str) -> None:
    assert Watch(url, Path("unused")).health_url == asked
