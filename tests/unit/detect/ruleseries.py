"""Series written as text (docs/rules.md says how), told to rules in virtual time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from healthmon.alerting.detect.trial import Transition, run
from healthmon.model.alert import Rule
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import (
    Acuity,
    Agent,
    Area,
    AreaKind,
    Check,
    Estate,
    Organisation,
    Site,
    Target,
)

#: Monday 2 November 2026, 00:00 in London (no summer time).
MONDAY = 1_793_577_600.0
_TOKEN = re.compile(r"\(([^()]*)\)\*(\d+)|(\S+)")
_WARDS = range(1, 5)


def values(text: str) -> list[float | str]:
    """`0.5*3 0..1*5 x ? _ (1 2)*2` as a list."""
    found: list[float | str] = []
    for inner, times, word in _TOKEN.findall(text):
        found += values(inner) * int(times) if inner else _run(word)
    return found


def _run(word: str) -> Iterator[float | str]:
    body, _, times = word.partition("*")
    count = int(times or 1)
    if body in ("x", "?", "_"):
        yield from [body] * count
    elif ".." in body:
        low, _, high = body.partition("..")
        yield from (float(low) + (float(high) - float(low)) * n / (count - 1) for n in range(count))
    else:
        yield from [float(body)] * count


def estate(every_s: float, timezone: str = "Europe/London") -> Estate:
    """One endpoint `web` and an archive, seen by the poller and by a PC in each of four wards."""
    checks = (Check("up", "http", every_s, 2.0),)
    targets = [
        Target("web", "web", "endpoint", "192.0.2.1", "main", checks=checks),
        Target("archive", "archive", "server", "192.0.2.2", "main", checks=checks, labels={"disk_limit": "0.97"}),
        *(Target(f"pc-{n}", f"pc-{n}", "workstation", "192.0.2.9", "main", f"ward-{n}") for n in _WARDS),
    ]
    return Estate(
        Organisation("trust", "Trust", timezone),
        {"main": Site("main", "Main", timezone)},
        {f"ward-{n}": Area(f"ward-{n}", f"Ward {n}", AreaKind.WARD, Acuity.INPATIENT, "main") for n in _WARDS},
        {},
        {target.id: target for target in targets},
        {},
        {f"pc-{n}": Agent(f"pc-{n}", f"pc-{n}") for n in _WARDS},
    )


def readings(series: Mapping[str, str], every_s: float, start: float = MONDAY) -> list[Reading]:
    """`metric: text`, or `target[@vantage] metric: text`; metrics of one series share its readings."""
    seen: dict[tuple[str, str, float], list[tuple[str, float | str]]] = {}
    for name, text in series.items():
        who, _, metric = name.rpartition(" ")
        target, _, vantage = (who or "web").partition("@")
        for number, value in enumerate(values(text)):
            if value != "_":
                key = (target, vantage or "poller", start + number * every_s)
                seen.setdefault(key, []).append((metric, value))
    return [_reading(*key, told) for key, told in sorted(seen.items(), key=lambda one: one[0][2])]


def _reading(target: str, vantage: str, at: float, told: Sequence[tuple[str, float | str]]) -> Reading:
    words = {value for _, value in told}
    if "x" in words:
        return Reading(target, "up", vantage, at, 0.0, Outcome.FAILED, Reason.TIMEOUT)
    if "?" in words:
        return Reading(target, "up", vantage, at, 0.0, Outcome.UNKNOWN, Reason.NO_ROUTE)
    samples = tuple(Sample(*metric.split("."), float(value)) for metric, value in told)
    return Reading(target, "up", vantage, at, 0.0, Outcome.OK, samples=samples)


def told(rule: Rule, series: Mapping[str, str], every_s: float, start: float = MONDAY) -> list[Transition]:
    """What the rule does with these series until the longest of them has ended."""
    longest = max(len(values(text)) for text in series.values())
    own = estate(every_s)
    return run([rule], own, readings(series, every_s, start), start + (longest - 1) * every_s, start=start)
