"""The short way into the agent, without a library for command lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from healthmon.cli.thin_agent import file_of, run


@pytest.mark.parametrize("arguments", [["-c", "a=b.json"], ["--config", "a=b.json", "-v"], ["-v", "--config=a=b.json"]])
def test_the_file_is_found(arguments: Sequence[str]) -> None:
    assert file_of(arguments) == Path("a=b.json")


@pytest.mark.parametrize("arguments", [[], ["-c"], ["-c", "a", "b"], ["a.json"], ["--colour"]])
def test_anything_else_is_a_usage_error(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "usage: healthmon agent -c FILE" in capsys.readouterr().err


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "check --resolve" in capsys.readouterr().out
