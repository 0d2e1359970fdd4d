"""YAML text to nodes that know their place, and nodes to plain data.

The C parser reads 10,000 targets in under two seconds; ruamel needs twelve. Scalars follow YAML 1.2's core schema:
`on`, `no` and `12:30` are text, and a number with a leading zero (an extension, a bleep) stays as written.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from yaml import MappingNode, Node, ScalarNode, SequenceNode, YAMLError
from yaml.error import MarkedYAMLError
from yaml.resolver import BaseResolver

from healthmon.config.problems import Problems, Spot
from healthmon.config.yamlparser import Parser

_TAG = "tag:yaml.org,2002:"
_MAX_DEPTH = 50  # an alias that contains itself ends here
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")

PathStep = str | int
DataPath = tuple[PathStep, ...]


class _Parser(Parser, BaseResolver):
    def __init__(self, stream: io.BytesIO) -> None:
        Parser.__init__(self, stream)
        BaseResolver.__init__(self)


for _name, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?$", "-+0123456789"),
):
    _Parser.add_implicit_resolver(_TAG + _name, re.compile(_pattern), list(_first))


class _NamedBytes(io.BytesIO):
    """Bytes that tell the parser their file name, so that every mark carries it."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


def empty_mapping(name: str) -> MappingNode:
    """A mapping without keys that pretends to stand at the start of a file."""
    node = parse_nodes(b"{}", name=name, problems=Problems())
    assert isinstance(node, MappingNode)
    return node


def parse_nodes(content: bytes, *, name: str, problems: Problems) -> Node | None:
    """The one document of a file, or None when it is empty or not YAML (then a problem is noted)."""
    try:
        parser = _Parser(_NamedBytes(content, name))
        try:
            node: Node | None = parser.get_single_node()
        finally:
            parser.dispose()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        spot = Spot(name, mark.line + 1, mark.column + 1) if mark else Spot(name, 1, 1)
        problems.add(spot, f"not valid YAML: {error.problem or error.context}")
        return None
    except YAMLError as error:
        problems.add(Spot(name, 1, 1), f"not valid YAML: {str(error).splitlines()[0]}")
        return None
    return node


def spot_of(node: Node) -> Spot:
    """Where a node begins."""
    mark = node.start_mark
    return Spot(str(mark.name), mark.line + 1, mark.column + 1)


def node_at(root: Node, path: DataPath, *, key: bool = False) -> Node:
    """The node that a path leads to; steps that the text does not have are passed over.

    With `key` the last step gives the key itself, not its value.
    """
    node = root
    for number, step in enumerate(path):
        last_key = key and number == len(path) - 1
        if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
        elif isinstance(node, MappingNode):
            for key_node, value_node in node.value:
                if key_node.value == str(step):
                    node = key_node if last_key else value_node
                    break
    return node


def _continues(node: MappingNode, key: ScalarNode, value: Node) -> bool:
    """Whether `then paper` of `{text: Read-only copy, then paper, proven_by: x}` is the rest of the text before it.

    No key of ours holds a space, so a "key" with one and without a value can be nothing else.
    """
    empty = isinstance(value, ScalarNode) and value.value == "" and not value.style
    return bool(node.flow_style) and " " in str(key.value) and not key.style and empty


class Builder:
    """Makes plain data of nodes; `env` None leaves `${NAME}` as it stands (packs know no environment)."""

    def __init__(self, problems: Problems, env: Mapping[str, str] | None) -> None:
        self._problems = problems
        self._env = env

    def build(self, node: Node, depth: int = 0) -> Any:
        """dict, list, str, int, float, bool or None."""
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if depth > _MAX_DEPTH:
            self._problems.add(spot_of(node), f"nested deeper than {_MAX_DEPTH} levels")
            return None
        if isinstance(node, SequenceNode):
            return [self.build(item, depth + 1) for item in node.value]
        assert isinstance(node, MappingNode)
        return self._mapping(node, depth)

    def _mapping(self, node: MappingNode, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        last: str | None = None  # the key before this one, if its value is text
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._problems.add(spot_of(key_node), "a key must be plain text")
                continue
            key = str(key_node.value)
            if last is not None and _continues(node, key_node, value_node):
                built[last] = f"{built[last]}, {key}"
                continue
            if key in built:
                first = next(k for k, _ in node.value if k.value == key)
                self._problems.add(
                    spot_of(key_node), f"key '{key}' is given twice, first in line {spot_of(first).line}"
                )
                continue
            built[key] = self.build(value_node, depth + 1)
            last = key if isinstance(built[key], str) else None
        return built

    def _scalar(self, node: ScalarNode) -> Any:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str":
                return self._substitute(text, node) if self._env is not None and "${" in text else text
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "bool":
                return text.lower() == "true"
            case "null":
                return None
        self._problems.add(spot_of(node), f"tag '{node.tag}' is not supported; write plain YAML")
        return None

    def _substitute(self, text: str, node: ScalarNode) -> str:
        env = self._env or {}

        def value(match: re.Match[str]) -> str:
            name, default = match.group(1), match.group(2)
            if name is None:
                return "${"
            if name in env:
                return env[name]
            if default is None:
                self._problems.add(
                    spot_of(node), f"environment variable {name} is not set (a default: ${{{name}:-...}})"
                )
            return default or ""

        return _VARIABLE.sub(value, text)
