"""A PyYAML that was built without libyaml reads the same configuration and names the same line of a bad one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WITHOUT = "import sys; sys.modules['yaml._yaml'] = None; "
SHOW = """
from pathlib import Path
from healthmon.config.problems import Problems
from healthmon.config.yamlnodes import parse_nodes

def told(node):
    value = node.value
    if isinstance(value, list):
        value = [[told(one) for one in pair] if isinstance(pair, tuple) else told(pair) for pair in value]
    return (node.tag, node.start_mark.line, node.start_mark.column, value)

for file in map(Path, sys.argv[1:]):
    problems = Problems()
    node = parse_nodes(file.read_bytes(), name=file.name, problems=problems)
    print(file.name, told(node) if node else [line.split(": ")[0] for line in problems.lines()])
"""


def shown(start: str, files: list[Path]) -> str:
    told = [sys.executable, "-c", start + SHOW, *map(str, files)]
    return subprocess.run(told, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.yaml"
    file.write_text("organisation:\n  id: [one\n  name: two\n")
    return file


def test_the_same_nodes_at_the_same_places(bad: Path) -> None:
    files = [*sorted((ROOT / "configs").rglob("*.yaml")), bad]
    assert len(files) > 2
    assert shown(WITHOUT, files) == shown("import sys; ", files)
