"""Programs, reconnects, crashes and roams of a month, and lost time by role: worked out again by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.month import START, journal, october, rows, site
from healthmon.app.reporting import asking, journal_of, record_of
from healthmon.config.loading import load_text
from healthmon.model.errors import ConfigError
from healthmon.model.sample import Row
from healthmon.reports.care import People
from healthmon.reports.healthcheck import sections
from healthmon.reports.lostroles import roles_of
from healthmon.reports.record import Record, Section
from healthmon.store.embedded import EmbeddedStore

#: Two looks a minute apart: so many starts, together so many seconds; one reconnect too long to be waited for.
STARTS = [(2, 30.0), (1, 9.0), (0, 0.0)]
ROLES = {"ward-7": People(9, 6, 4, {"nurse": 6, "doctor": 2}), "clinic": People(3, roles={"nurse": 2})}


def told() -> Iterator[Row]:
    for number in range(24):
        at = START + 30_000.0 + 60.0 * number
        count, seconds = STARTS[number % 3]
        waits = {"app_starts": float(count), "app_start_seconds": seconds,
                 "reconnects": 1.0, "reconnect_seconds": 700.0 if number == 0 else 7.0}  # fmt: skip
        yield _row("host_waits", at, waits)
        for program in ("epr", "other"):
            yield _row("host_crashes", at, {"crashes": float(number == 5), "hangs": 0.0}, program=program)
        yield _row("host_wifi_roams", at, {"losses": float(number == 7), "away_seconds": 12.5 * (number == 7)})
    yield _row("host_wifi_roams", START + 40_000.0, {"roams": 2.0, "worst_roam_seconds": 0.4})


def _row(family: str, at: float, fields: dict[str, float], **labels: str) -> Row:
    tags = {"area": "ward-7", "target": "pc-1", "kind": "ward-workstation", "check": family, "vantage": "pc-1"}
    return Row(family, tuple(sorted((tags | labels).items())), tuple(sorted(fields.items())), at)


async def collected(folder: Path) -> Record:
    hospital = site(folder)
    store = EmbeddedStore(folder / "store.sqlite")
    await store.write([*rows(hospital, 0.6), *told()])
    await store.close()
    journal(folder / "journal.sqlite").close()
    kept = journal_of(hospital)
    ask, close = asking(hospital)
    found = await record_of(hospital, october(), ask=ask, journal=kept)
    await close()
    kept.close()
    return replace(found, care=replace(found.care, people=ROLES))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Section]:
    record = asyncio.run(collected(tmp_path_factory.mktemp("programs")))
    return {part.id: part for part in sections(record)}


def test_a_ward_of_one_pc_that_tells(parts: dict[str, Section]) -> None:
    (row,) = parts["programs"].rows
    assert (row["area"], row["pcs"], row["app_starts"], row["reconnects"]) == ("ward-7", 1, 24, 24)
    starts = sorted([15.0] * 16 + [9.0] * 8)
    assert (row["app_start_p50_seconds"], row["app_start_p95_seconds"]) == (starts[11], starts[22])
    assert (row["reconnect_p50_seconds"], row["crashes"], row["hangs"], row["stops"]) == (7.0, 2.0, 0.0, None)
    assert (row["worst_roam_seconds"], row["losses"], row["away_seconds"]) == (0.4, 1.0, 12.5)


def test_waits_beyond_their_standard_are_lost(parts: dict[str, Section]) -> None:
    """16 starts of 15 s against 10 s; one reconnect given up at the cap of 600 s against 10 s, and a move of 180 s."""
    (row,) = [one for one in parts["lost-time"].rows if (one["area"], one["basis"]) == ("ward-7", "measured")]
    assert row["usual_seconds"] == 16 * 5.0 + (600.0 - 10.0) + 180.0


def test_standards_that_were_not_known_are(parts: dict[str, Section]) -> None:
    found = {one["standard"]: one for one in parts["standards"].rows if one["area"] == "ward-7" and not one["service"]}
    assert (found["app_start_p95_seconds"]["value"], found["app_start_p95_seconds"]["verdict"]) == (15.0, "missed")
    assert (found["reconnect_p95_seconds"]["value"], found["reconnect_p95_seconds"]["verdict"]) == (7.0, "met")
    assert found["crash_free_ratio"]["value"] == pytest.approx(1 - 2 / 24)


def test_lost_time_by_role_is_that_of_the_areas_divided(parts: dict[str, Section]) -> None:
    """Ward 7: 6 of 9 are nurses, 2 doctors, 1 is not said. The clinic has three people and is in no sum."""
    whole = [one for one in parts["lost-time"].rows if (one["area"], one["basis"]) == ("ward-7", "estimated")]
    usual = sum(one["usual_seconds"] for one in whole)
    assert usual > 0
    shown = {one["role"]: one for one in parts["lost-time-by-role"].rows}
    assert shown["nurse"]["usual_seconds"] == pytest.approx(usual * 6 / 9, abs=0.01)
    assert (shown["nurse"]["people"], shown["nurse"]["too_small"]) == (8, False)
    for role in ("doctor", "other"):
        assert shown[role]["too_small"]
        assert {shown[role][name] for name in ("people", "low_seconds", "usual_seconds", "high_seconds")} == {None}
    assert parts["lost-time-by-role"].figures["areas_without_roles"] == ["ed"]


def test_shares_are_whole() -> None:
    assert sum(roles_of({"nurse": 6, "doctor": 2.5}, 9).values()) == pytest.approx(1.0)
    assert roles_of({"nurse": 3, "doctor": 6}, 9) == {"nurse": 3 / 9, "doctor": 6 / 9}


def test_more_people_of_roles_than_there_are_is_an_error() -> None:
    text = """
organisation: {id: small, name: Small, timezone: Europe/London}
areas: [{id: ward-7, name: Ward 7, kind: ward, acuity: inpatient, contact: {phone: "2"}}]
care: {people: {ward-7: {day: 5, roles: {nurse: 4, doctor: 2}}}}
"""
    with pytest.raises(ConfigError) as refused:
        load_text(text)
    assert "roles: more people than by day" in str(refused.value)
