"""The rules of the house: one clock, packs are data, tasks have one maker, the agent stays thin."""

from __future__ import annotations

import ast
import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "healthmon"
MODULES = sorted(SOURCE.rglob("*.py"))

WALL_CLOCK = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}
TASK_MAKERS = {"create_task", "ensure_future"}


def parsed(path: Path) -> ast.Module:
    """Without garbage collection: a warning from a finalizer formats its traceback with `ast`, and CPython 3.11 does
    not bear that in the middle of a parse (SystemError, recursion depth mismatch)."""
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        gc.enable()


def calls(path: Path) -> Iterator[tuple[ast.Call, str, str]]:
    """Calls of the form `owner.name(...)` in a module."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            yield node, name, node.func.attr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_clock_reads_the_wall_clock(path: Path) -> None:
    if path == SOURCE / "runtime" / "clock.py":
        return
    found = [f"{path.name}:{call.lineno}" for call, owner, name in calls(path) if (owner, name) in WALL_CLOCK]
    assert not found, f"take a Clock or `now` instead: {found}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_supervise_makes_tasks(path: Path) -> None:
    if path == SOURCE / "runtime" / "supervise.py":
        return
    found = [f"{path.name}:{call.lineno}" for call, _, name in calls(path) if name in TASK_MAKERS]
    assert not found, f"use runtime.supervise.spawn or detach: {found}"


@pytest.mark.parametrize("folder", ["probes", "collectors", "alerting"])
def test_packs_are_data_with_a_readme(folder: str) -> None:
    files = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert (ROOT / folder / "README.md").exists()
    assert not [path for path in files if path.suffix == ".py"]
    assert len(files) > 1


#: What `pip install healthmon` brings, and what paho and msgspec load where they happen to find it.
THIN = {"healthmon", "aiomqtt", "paho", "msgspec", "psutil"}
BY_CHANCE = {"dns", "idna", "socks", "typing_extensions"}
#: Ours or the standard library's, and nothing an agent needs: each costs from 0.3 MiB to several.
NOT_FOR_AGENTS = (
    "argparse",
    "healthmon.alerting",
    "healthmon.config",
    "healthmon.ingest",
    "healthmon.model.alert",
    "healthmon.model.incident",
    "healthmon.model.topology",
    "healthmon.model.view",
    "healthmon.store",
    "healthmon.web",
)


def test_the_agent_imports_only_what_it_runs() -> None:
    code = (
        "import json, sys; before = set(sys.modules);"
        "import healthmon.cli.thin_agent, healthmon.app.agent as agent;"
        "[agent.load(kind) for kind in (*agent.COLLECTORS, 'http', 'tcp', 'exec', 'openmetrics')];"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert "healthmon.probes.http" in loaded
    families = {name.partition(".")[0] for name in loaded if not name.startswith("_")}
    assert families - sys.stdlib_module_names - BY_CHANCE <= THIN
    assert not [name for name in loaded if name.startswith(NOT_FOR_AGENTS)]


def test_layers_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed (it comes with the dev extra)")
    result = subprocess.run([str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
