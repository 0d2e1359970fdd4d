"""`python -m benchmarks.faultbench`: seeded faults in synthetic hospitals, through the real engine and the stock rules.

Without arguments everything runs (hours on one core); with --targets or --faults one part; with --gate the short run
that the tests compare with benchmarks/faultbench/scores.json (--write-scores keeps new figures there).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.faultbench import gate
from benchmarks.faultbench.keep import Kept
from benchmarks.faultbench.score import NOT_FROM_THE_FIELD
from benchmarks.faultbench.suite import FULL, GATE, Part, run
from healthmon.simulation.faults import KINDS


def main(argv: Sequence[str] | None = None) -> int:
    chosen = _arguments(argv)
    parts = _parts(chosen)
    print(NOT_FROM_THE_FIELD, flush=True)
    kept = Kept(chosen.keep, compute=not chosen.report) if chosen.keep else None
    finished = []
    for part in parts:
        finished.append(run(part, jobs=chosen.jobs, kept=kept))
        print(finished[-1], flush=True)
    if chosen.json:
        data = {"note": NOT_FROM_THE_FIELD, "parts": [one.as_json() for one in finished]}
        chosen.json.write_text(json.dumps(data, indent=1) + "\n")
    if not chosen.gate:
        return 0
    if chosen.write_scores:
        gate.write(gate.scores(finished), NOT_FROM_THE_FIELD)
        return 0
    fallen = gate.worse(gate.scores(finished), gate.committed())
    print("\n".join(["worse than the committed figures:", *fallen] if fallen else ["as good as the committed figures"]))
    return 1 if fallen else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faultbench", description=__doc__)
    parser.add_argument("--hospital", choices=("one", "two"), default="one", help="two is never tuned on")
    parser.add_argument("--targets", type=int, help="about so many")
    parser.add_argument("--faults", type=int, help="how many")
    parser.add_argument("--quiet", type=int, default=0, metavar="N", help="and so many quiet half hours")
    parser.add_argument("--weeks", type=int, default=0, metavar="N", help="and so many quiet weeks on end")
    parser.add_argument("--kinds", help=f"only these, with commas between: {', '.join(KINDS)}")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures as data")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="write each result there, and go on where it stopped"
    )
    parser.add_argument("--report", action="store_true", help="with --keep: the figures of what is there, no work")
    parser.add_argument("--gate", action="store_true", help="the short run, against the committed figures")
    parser.add_argument("--write-scores", action="store_true", help="with --gate: keep these figures")
    chosen = parser.parse_args(argv)
    if chosen.report and not chosen.keep:
        parser.error("--report needs --keep FOLDER")
    if unknown := sorted(set((chosen.kinds or "").split(",")) - KINDS.keys() - {""}):
        parser.error(f"no kind {', '.join(unknown)} (allowed: {', '.join(KINDS)})")
    return chosen


def _parts(chosen: argparse.Namespace) -> Sequence[Part]:
    if chosen.gate:
        return GATE
    calm = chosen.quiet or chosen.weeks
    if not (chosen.targets or chosen.faults or chosen.kinds or calm):
        return FULL
    kinds = tuple(chosen.kinds.split(",")) if chosen.kinds else None
    faults = 0 if calm and chosen.faults is None else chosen.faults or 200
    part = Part(chosen.hospital, chosen.targets or 300, faults, seed=chosen.seed, kinds=kinds)
    return (replace(part, windows=chosen.quiet, days=7 * chosen.weeks),)


if __name__ == "__main__":
    sys.exit(main())
