"""Shared by all tests: the daemons package is importable; under HEALTHMON_TEST_ALL a skip is a failure."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

from healthmon.config import packs
from healthmon.config.document import Document
from healthmon.config.problems import Problems

HERE = Path(__file__).parent
#: Every process of healthmon that a test starts would compile all of it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

ALL = os.environ.get("HEALTHMON_TEST_ALL") == "1"
#: Test ids (or prefixes) that may be skipped even then, each with its reason after `#`.
OPTIONAL = tuple(
    line.split("#")[0].strip()
    for line in (HERE / "optional.txt").read_text().splitlines()
    if line.split("#")[0].strip()
)


@pytest.fixture(scope="session", autouse=True)
def same_pack_read_once() -> Iterator[None]:
    """Parsing a hundred stock packs is two thirds of reading a configuration, and thousands of tests read one."""
    real = packs.read_pack

    @cache
    def clean(file: Path, content: bytes) -> Document | None:
        problems = Problems()
        found = real(file, problems)
        return found if not problems.lines() else None

    def read(file: Path, problems: Problems) -> Document | None:
        found = clean(file, file.read_bytes()) if file.is_file() else None
        return found or real(file, problems)

    with mock.patch.object(packs, "read_pack", read):
        yield


#: The same examples in every run, however loaded the machine; `make fuzz` and `make properties` look for new ones.
EXPLORING = bool(os.environ.get("HEALTHMON_FUZZ") or os.environ.get("HEALTHMON_PROPERTIES"))
settings.register_profile(
    "healthmon", deadline=None, derandomize=not EXPLORING, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("healthmon")


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
UNPROVEN = pytest.StashKey[list[str]]()

#: A test of real daemons that fails is run again, twice at most; more than so many in one run fail it all the same.
RERUNS = 12
#: These touch no daemon, so nothing excuses them.
PURE = ("unit", "house", "config", "packs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A loaded machine may cost a test of real daemons one try."""
    for item in items:
        if item.path.relative_to(HERE).parts[0] not in PURE:
            item.add_marker(pytest.mark.flaky(reruns=2))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Reruns are for the odd race with the scheduler; a habit of failing is a defect."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and len(reporter.stats.get("rerun", [])) > RERUNS:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if reporter is not None and whole_run(session.config):
        import safety

        passed = {report.nodeid for report in reporter.stats.get("passed", [])}
        missing = safety.unproven(safety.load()["hazards"], passed)
        session.config.stash[UNPROVEN] = missing
        if missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def whole_run(config: pytest.Config) -> bool:
    """Whether everything was asked for, where a skip is a failure: only then is a control without a pass a finding."""
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return ALL and everything and not config.option.keyword and not config.option.markexpr


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was not run, and what needed two tries."""
    for report in terminalreporter.stats.get("rerun", []):
        lines = str(report.longrepr).splitlines()
        terminalreporter.write_line(f"RUN TWICE {report.nodeid}: {lines[-1]}")
        for line in [one for one in lines if one.startswith("E  ")][:6]:
            terminalreporter.write_line(f"    {line}")
    for test in config.stash.get(UNPROVEN, []):
        terminalreporter.write_line(f"UNPROVEN a control in docs/safety/hazards.yaml rests on {test}")
    for line in config.stash.get(NOT_RUN, []):
        terminalreporter.write_line(f"NOT RUN {line}")
