"""Packs of the exec probe: a command with its arguments. Where programs may come from is the site's to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOT_IN_PACKS = ("directories", "environment", "environment_files")
_KEYS = ("description", "command", "warning", "figures", "max_figures", "max_cpu_s", "max_memory_bytes")


def lint_pack(data: Mapping[str, Any]) -> list[str]:
    """What is wrong with a pack; an empty list is a good one."""
    problems = [f"{key}: is the site's to say, not a pack's" for key in _NOT_IN_PACKS if key in data]
    unknown = sorted(data.keys() - {*_KEYS, *_NOT_IN_PACKS})
    problems += [f"{key}: unknown key (allowed: {', '.join(_KEYS)})" for key in unknown]
    command = data.get("command")
    if not isinstance(command, list) or not command or not all(isinstance(part, str) for part in command):
        problems.append("command: must be a list of texts")
    elif "/" in command[0]:
        problems.append("command: begins with the bare name of a program, not with a path")
    if not data.get("description"):
        problems.append("description: say what the pack is for")
    return problems
