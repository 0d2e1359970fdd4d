"""Shared by all tests: the daemons package is importable; under HEALTHMON_TEST_ALL a skip is a failure."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

ALL = os.environ.get("HEALTHMON_TEST_ALL") == "1"
#: Test ids (or prefixes) that may be skipped even then, each with its reason after `#`.
OPTIONAL = tuple(
    line.split("#")[0].strip()
    for line in (HERE / "optional.txt").read_text().splitlines()
    if line.split("#")[0].strip()
)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """In `make test-all` nothing may be skipped silently."""
    outcome = yield
    report = outcome.get_result()
    if not (ALL and report.skipped) or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if item.nodeid.startswith(OPTIONAL):
        item.config.stash.setdefault(NOT_RUN, []).append(f"{item.nodeid}: {reason}")
        return
    report.outcome = "failed"
    report.longrepr = f"skipped, and a skip is a failure in `make test-all`: {reason}"


NOT_RUN = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was not run."""
    for line in config.stash.get(NOT_RUN, []):
        terminalreporter.write_line(f"NOT RUN {line}")
