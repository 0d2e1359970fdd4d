"""Write again what is generated: configuration, API and metrics reference, Grafana boards, CLI reference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMANDS = (
    ["-m", "healthmon.config.reference", "docs/config.md"],
    ["-m", "healthmon.config.probing", "docs/probing.md"],
    ["-m", "healthmon.web.reference", "docs"],
    ["tools/stock_rules.py"],
    ["tools/boards"],
    ["tools/cli_reference.py"],
    ["tools/safety.py"],
)


def main() -> None:
    for command in COMMANDS:
        if command[0].endswith(".py") and not (ROOT / command[0]).exists():
            continue
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True)


main()
