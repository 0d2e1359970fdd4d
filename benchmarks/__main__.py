"""`python -m benchmarks [--json] [NAME ...]`: run all or the named benchmarks and print their tables."""

from __future__ import annotations

import compileall
import importlib
import sys
from pathlib import Path

import healthmon
from benchmarks.pairs import print_json

NAMES = (
    "footprint",
    "ingest",
    "stages",
    "store",
    "costs",
    "delivery",
    "sweep",
    "snmp",
    "mixed",
    "rules",
    "growth",
    "detection",
    "presence",
    "exporter",
    "report",
)
#: Only by name: they take minutes or need daemons.
APART = ("restore", "takeover", "onboard")


def main() -> None:
    arguments = sys.argv[1:]
    as_json = "--json" in arguments
    chosen = [name for name in arguments if name != "--json"] or NAMES
    # As an installer does: a process that compiles its modules at start keeps two MiB of what it needed for that.
    compileall.compile_dir(Path(healthmon.__file__).parent, quiet=1)
    for name in chosen:
        if name not in (*NAMES, *APART):
            sys.exit(f"no benchmark {name} (allowed: {', '.join((*NAMES, *APART))})")
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()
    if as_json:
        print_json()


main()
