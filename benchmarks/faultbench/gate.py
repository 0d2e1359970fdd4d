"""The regression gate: the figures of a short run against a committed file; worse than that by a tolerance fails."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.faultbench.suite import Finished

SCORES = Path(__file__).with_name("scores.json")
#: Figures that may fall by so much (or rise, where less is better): one or two faults of a short run.
SHARES = {
    "raised": 0.0,
    "cause top-1": 0.04,
    "cause top-3": 0.04,
    "impact precision (area, service)": 0.01,
    "impact recall (area, service)": 0.01,
    "severity exact": 0.04,
    "severity within one": 0.0,
    "severity 1 recalled": 0.0,
    "tier 0/1 loss raised within 10 s": 0.12,
    "one page at most": 0.08,
    "... and one for each worse severity": 0.04,
}
COUNTS = {"pages_per_fault": 0.15, "incidents_per_fault": 0.25, "false_pages": 1.0}
SECONDS = {"time_to_raise_s": 4.0}  # the median


def scores(parts: Iterable[Finished]) -> dict[str, dict[str, float]]:
    """What is kept of a run, by hospital."""
    return {part.part.title: _kept(part.as_json()) for part in parts}


def _kept(data: dict[str, Any]) -> dict[str, float]:
    kept = {name: round(data["shares"][name]["ratio"], 4) for name in SHARES}
    kept |= {name: round(data[name], 3) for name in COUNTS}
    return kept | {name: round(data[name]["p50"], 2) for name in SECONDS}


def worse(now: dict[str, dict[str, float]], before: dict[str, dict[str, float]]) -> list[str]:
    """What fell by more than its tolerance, in words; empty when all is as good as it was."""
    found: list[str] = []
    for title, kept in before.items():
        for name, was in kept.items():
            present = now.get(title, {}).get(name)
            less_is_better = name in COUNTS or name in SECONDS
            margin = COUNTS.get(name, SECONDS.get(name, SHARES.get(name, 0.0)))
            fell = present is None or (present - was if less_is_better else was - present) > margin + 1e-9
            if fell:
                found.append(f"{title}: {name} {present} (was {was}, tolerance {margin})")
    return found


def committed() -> dict[str, dict[str, float]]:
    kept: dict[str, dict[str, float]] = json.loads(SCORES.read_text())["scores"]
    return kept


def write(now: dict[str, dict[str, float]], note: str) -> None:
    """Commit these figures as what must not fall: after a change that made them better, or with a reason."""
    SCORES.write_text(json.dumps({"note": note, "scores": now}, indent=1) + "\n")
