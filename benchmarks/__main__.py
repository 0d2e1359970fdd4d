"""`python -m benchmarks [NAME ...]`: run all or the named benchmarks and print their tables."""

from __future__ import annotations

import importlib
import sys

NAMES = ("footprint", "ingest", "detection")


def main() -> None:
    chosen = sys.argv[1:] or NAMES
    for name in chosen:
        if name not in NAMES:
            sys.exit(f"no benchmark {name} (allowed: {', '.join(NAMES)})")
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()


main()
