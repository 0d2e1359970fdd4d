"""One configuration made of many files: includes followed, nodes merged, every value's place remembered."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from healthmon.config.problems import Problems, Spot
from healthmon.config.yamlnodes import Builder, DataPath, empty_mapping, node_at, parse_nodes, spot_of


class Document:
    """Plain data of all files together; `spot` and `folder` say where a path of it was written."""

    def __init__(self, root: MappingNode, files: tuple[Path, ...], data: dict[str, Any]) -> None:
        self._root = root
        self.files = files
        self.data = data

    def spot(self, path: DataPath, *, key: bool = False) -> Spot:
        """The place of a value (or of its key); a missing one gives the mapping it is missing from."""
        return spot_of(node_at(self._root, path, key=key))

    def written(self, path: DataPath) -> str | None:
        """The scalar as it stands in the file, before `${ENV}`, so that a message shows no secret."""
        node = node_at(self._root, path)
        return str(node.value) if isinstance(node, ScalarNode) else None

    def part(self, path: DataPath, data: dict[str, Any]) -> Document:
        """A mapping inside this document as one of its own: `data` with the places that were written there."""
        node = node_at(self._root, path)
        root = node if isinstance(node, MappingNode) else empty_mapping(str(self.files[0]))
        return Document(root, self.files, data)

    def folder(self, path: DataPath) -> Path:
        """The folder of the file in which this value stands: relative file names start there."""
        return Path(self.spot(path).file).parent


def read_document(path: Path, *, env: Mapping[str, str], problems: Problems) -> Document:
    """A file with its includes, or every `*.yaml` of a directory."""
    reader = _Reader(problems)
    if path.is_dir():
        found = sorted(path.glob("*.yaml"))
        if not found:
            problems.add(Spot(str(path), 1, 1), "the directory holds no *.yaml file")
        for file in found:
            reader.add(file)
    else:
        reader.add(path)
    return reader.document(env, name=str(path))


def document_of_text(text: str, *, name: str, env: Mapping[str, str], problems: Problems) -> Document:
    """The same for text that stands in no file."""
    reader = _Reader(problems)
    reader.add_text(text.encode(), Path(name))
    return reader.document(env, name=name)


class _Reader:
    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._root: MappingNode | None = None
        self._seen: dict[Path, Path] = {}

    def document(self, env: Mapping[str, str], *, name: str) -> Document:
        root = self._root or empty_mapping(name)
        data = Builder(self._problems, env).build(root)
        return Document(root, tuple(self._seen.values()), data)

    def add(self, file: Path) -> None:
        """Read one file once, whoever includes it how often."""
        if file.resolve() in self._seen:
            return
        self._seen[file.resolve()] = file
        try:
            content = file.read_bytes()
        except OSError as error:
            self._problems.add(Spot(str(file), 1, 1), f"cannot be read: {error.strerror}")
            return
        self.add_text(content, file)

    def add_text(self, content: bytes, file: Path) -> None:
        node = parse_nodes(content, name=str(file), problems=self._problems)
        if node is None:
            return
        if not isinstance(node, MappingNode):
            self._problems.add(spot_of(node), "the top of a file must be a mapping such as `targets: [...]`")
            return
        includes = [pair for pair in node.value if pair[0].value == "include"]
        node.value = [pair for pair in node.value if pair[0].value != "include"]
        if self._root is None:
            self._root = node
        else:
            self._merge(self._root, node, "")
        for _, value in includes:
            for pattern in self._patterns(value):
                self._include(pattern, file)

    def _patterns(self, value: Node) -> Iterator[ScalarNode]:
        items = value.value if isinstance(value, SequenceNode) else [value]
        for item in items:
            if isinstance(item, ScalarNode):
                yield item
            else:
                self._problems.add(spot_of(item), "include must be a file name or a list of file names")

    def _include(self, pattern: ScalarNode, file: Path) -> None:
        found = sorted(glob.glob(str(file.parent / str(pattern.value)), recursive=True))
        if not found:
            self._problems.add(spot_of(pattern), f"include '{pattern.value}' matches no file beside {file}")
        for name in found:
            if Path(name).is_file():
                self.add(Path(name))

    def _merge(self, base: MappingNode, extra: MappingNode, path: str) -> None:
        """Lists grow, mappings unite, anything else may be set in one file only."""
        known = {str(key.value): number for number, (key, _) in enumerate(base.value)}
        for key, value in extra.value:
            number = known.get(str(key.value))
            if number is None:
                base.value.append((key, value))
                continue
            old = base.value[number][1]
            name = f"{path}{key.value}"
            if isinstance(old, SequenceNode) and isinstance(value, SequenceNode):
                old.value.extend(value.value)
            elif isinstance(old, MappingNode) and isinstance(value, MappingNode):
                self._merge(old, value, f"{name}.")
            else:
                self._problems.add(spot_of(key), f"{name} is already set at {spot_of(base.value[number][0])}")
