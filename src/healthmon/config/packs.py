"""Packs: folders of data that say how a kind of thing is checked; a hospital's file hides the stock one of its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yaml import MappingNode

import healthmon
from healthmon.config.document import Document
from healthmon.config.kinds import check_kind, code_families, pack_folder, probe_names
from healthmon.config.problems import Problems, Spot
from healthmon.config.yamlnodes import Builder, empty_mapping, parse_nodes, spot_of
from healthmon.model.sample import Family

SITE_PACKS = Path("/etc/healthmon/packs")


def stock_root() -> Path:
    """The packs that came with this healthmon: inside the wheel, or at the top of a checkout."""
    package = Path(healthmon.__file__).parent
    shipped = package / "_packs"
    return shipped if shipped.is_dir() else package.parents[1]


class Packs:
    """Stock packs with the hospital's laid over them by relative path; the last root wins."""

    def __init__(self, roots: Sequence[Path], problems: Problems) -> None:
        self.roots = tuple(roots)
        self._problems = problems
        self._read: dict[str, Document | None] = {}
        self._metrics: frozenset[str] | None = None
        self._families: list[Family] | None = None

    def find(self, relative: str) -> Path | None:
        """The file that counts for this relative path."""
        for root in reversed(self.roots):
            if (root / relative).is_file():
                return root / relative
        return None

    def names(self, folder: str) -> list[str]:
        """Names of the packs in a folder, without `.yaml`; rule tests are not packs."""
        found = {file.name for root in self.roots for file in (root / folder).glob("*.yaml")}
        return sorted(name.removesuffix(".yaml") for name in found if not name.endswith(".test.yaml"))

    def document(self, relative: str) -> Document | None:
        """A pack with its marks, read once; None when there is none or it cannot be read (noted)."""
        if relative not in self._read:
            file = self.find(relative)
            self._read[relative] = read_pack(file, self._problems) if file else None
        return self._read[relative]

    def metrics(self) -> frozenset[str]:
        """`family.field` of everything that a probe or collector emits, and of what packs declare."""
        if self._metrics is None:
            self._metrics = frozenset(f"{family.name}.{one}" for family in self.families() for one in family.fields)
        return self._metrics

    def families(self) -> list[Family]:
        """All that a probe or collector emits, and what packs declare; one name may come more than once."""
        if self._families is None:
            self._families = [*code_families().values(), *self._pack_families()]
        return self._families

    def _pack_families(self) -> Iterator[Family]:
        for kind in probe_names():
            declared = check_kind(kind).pack_families
            for name in self.names(pack_folder(kind)) if declared else ():
                document = self.document(f"{pack_folder(kind)}/{name}.yaml")
                try:
                    yield from declared(document.data) if declared and document else ()
                except ValueError:
                    continue  # the lint of that pack says what is wrong


def read_pack(file: Path, problems: Problems) -> Document | None:
    """One pack file: plain data, no includes and no environment."""
    try:
        content = file.read_bytes()
    except OSError as error:
        problems.add(Spot(str(file), 1, 1), f"cannot be read: {error.strerror}")
        return None
    node = parse_nodes(content, name=str(file), problems=problems) or empty_mapping(str(file))
    if not isinstance(node, MappingNode):
        problems.add(spot_of(node), "the top of a pack must be a mapping")
        return None
    data: dict[str, Any] = Builder(problems, None).build(node)
    return Document(node, (file,), data)
