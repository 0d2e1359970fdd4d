"""`healthmon probe`: one look through the same runner and safety block as every other."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from healthmon.app.agent import load
from healthmon.model.errors import ConfigError
from healthmon.model.plan import Job, Safety
from healthmon.model.sample import Outcome, Reading
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock


async def probe_once(
    site: Any, kind: str, target: str, *, pack: str | None, params: list[str], timeout_s: float, as_json: bool
) -> tuple[str, bool]:
    """The transcript and the reading; whether the outcome was ok."""
    job = _job(site, kind, target, pack=pack, params=params, timeout_s=timeout_s)
    clock = SystemClock()
    stop_file = site.data_dir / "stop-probing" if site else None
    guard = Guard(site.safety if site else Safety(), clock, stop_file=stop_file)
    lines: list[str] = []
    began = clock.mono()

    def trace(line: str) -> None:
        lines.append(f"+{(clock.mono() - began) * 1000:8.1f} ms  {line}")

    runner = Runner(vantage="cli", guard=guard, clock=clock, probes=load, on_reading=lambda reading: None)
    reading = await runner.run_once(job, trace=trace)
    return (_as_json(reading, lines) if as_json else _as_text(reading, lines)), reading.outcome is Outcome.OK


def _job(site: Any, kind: str, target: str, *, pack: str | None, params: list[str], timeout_s: float) -> Job:
    from healthmon.config import job_for

    given: dict[str, Any] = {}
    for pair in params:
        key, sign, value = pair.partition("=")
        if not sign:
            raise ConfigError([f"--param {pair}: expected key=value"])
        given[key] = value
    if pack:
        given["pack"] = pack
    known = site.estate.targets.get(target) if site else None
    address = known.address if known else target
    own = next((check for check in known.checks if check.kind == kind), None) if known else None
    if own is None:
        return replace(job_for(kind, target=target, address=address, params=given), timeout_s=timeout_s)
    asked = job_for(kind, target=target, address=address, params=given).params if given else {}
    merged = dict(own.params) | {key: asked[key] for key in given}
    return Job(target, own.id, kind, address, own.every_s, timeout_s, merged, recheck=0)


def _as_text(reading: Reading, lines: list[str]) -> str:
    verdict = reading.outcome.value if reading.reason is None else f"{reading.outcome.value} ({reading.reason.value})"
    found = [f"{s.family}.{s.field}{_labels(s.labels)} = {s.value}" for s in reading.samples]
    head = f"{verdict} after {reading.took * 1000:.1f} ms {reading.detail}".rstrip()
    return "\n".join([*lines, head, *found])


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f"{k}={v}" for k, v in labels.items()) + "}" if labels else ""


def _as_json(reading: Reading, lines: list[str]) -> str:
    import msgspec

    return json.dumps({"reading": msgspec.to_builtins(reading), "transcript": lines})
