"""`python -m benchmarks [NAME ...]`: run all or the named benchmarks and print their tables."""

from __future__ import annotations

import compileall
import importlib
import sys
from pathlib import Path

import healthmon

NAMES = ("footprint", "ingest", "costs", "delivery", "sweep", "detection")


def main() -> None:
    chosen = sys.argv[1:] or NAMES
    # As an installer does: a process that compiles its modules at start keeps two MiB of what it needed for that.
    compileall.compile_dir(Path(healthmon.__file__).parent, quiet=1)
    for name in chosen:
        if name not in NAMES:
            sys.exit(f"no benchmark {name} (allowed: {', '.join(NAMES)})")
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()


main()
