"""`pack: auto`: which packs fit a device, by its sysObjectID and by what it answers. Pure."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from healthmon.probes.snmp_parse import Problems

AUTO = "auto"

SYS_DESCR = "1.3.6.1.2.1.1.1.0"
SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"


@dataclass(frozen=True, slots=True)
class Kin:
    """A family of devices: the start of its sysObjectID, a pattern of its sysDescr, and how it is read."""

    name: str
    prefix: str
    packs: tuple[str, ...]
    descr: re.Pattern[str] | None = None

    def fits(self, object_id: str, descr: str) -> bool:
        under = f"{object_id}.".startswith(f"{self.prefix}.")
        return under and (self.descr is None or self.descr.search(descr) is not None)


@dataclass(frozen=True, slots=True)
class Marker:
    """A scalar that only devices have which a pack fits, whatever their sysObjectID says."""

    oid: str
    packs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """Families by prefix, markers, and the standard MIBs for whatever is not known."""

    families: tuple[Kin, ...]
    markers: tuple[Marker, ...]
    standard: tuple[str, ...]

    def slugs(self) -> tuple[str, ...]:
        """Every pack that is named."""
        named = [slug for kin in self.families for slug in kin.packs]
        named += [slug for marker in self.markers for slug in marker.packs]
        return tuple(dict.fromkeys((*named, *self.standard)))

    def questions(self) -> tuple[str, ...]:
        """What to GET once to know what a device is."""
        return (SYS_OBJECT_ID, SYS_DESCR, *(marker.oid for marker in self.markers))

    def choose(self, object_id: str, descr: str, present: Iterable[str]) -> tuple[str, ...]:
        """The packs of a device, what is nearest to it first; the longest prefix wins, then one with a pattern."""
        fitting = [kin for kin in self.families if kin.fits(object_id, descr)]
        best = max(fitting, key=lambda kin: (kin.prefix.count("."), kin.descr is not None), default=None)
        there = frozenset(present)
        marked = [slug for marker in self.markers if marker.oid in there for slug in marker.packs]
        if best is None:
            return tuple(dict.fromkeys((*marked, *self.standard)))
        return tuple(dict.fromkeys((*best.packs, *marked)))


def lint_index(data: Mapping[str, Any]) -> list[str]:
    """What is wrong with the index, one line each with the path inside it."""
    return _parse(data)[1]


def parse_index(data: Mapping[str, Any]) -> Index:
    """The index as types. Raises ValueError with every problem."""
    bare = {key: value for key, value in data.items() if key != "packs"}
    return _parse_text(json.dumps(bare, default=str))


@functools.lru_cache(maxsize=16)
def _parse_text(text: str) -> Index:
    index, problems = _parse(json.loads(text))
    if problems:
        raise ValueError("; ".join(problems))
    return index


def _parse(data: Mapping[str, Any]) -> tuple[Index, list[str]]:
    problems = Problems()
    problems.keys("index", data, ("slug", "title", "families", "markers", "standard", "packs"), ("standard",))
    families = tuple(
        _kin(problems, f"families[{at}]", item)
        for at, item in enumerate(problems.items("families", data.get("families", [])))
    )
    markers = tuple(
        _marker(problems, f"markers[{at}]", item)
        for at, item in enumerate(problems.items("markers", data.get("markers", [])))
    )
    return Index(families, markers, _slugs(problems, "standard", data.get("standard"))), problems.found


def _kin(problems: Problems, path: str, item: Any) -> Kin:
    data = problems.mapping(path, item)
    problems.keys(path, data, ("name", "prefix", "descr", "packs"), ("name", "prefix", "packs"))
    return Kin(
        str(data.get("name", "")),
        problems.oid(f"{path}.prefix", data.get("prefix")),
        _slugs(problems, f"{path}.packs", data.get("packs")),
        problems.pattern(f"{path}.descr", data.get("descr")),
    )


def _marker(problems: Problems, path: str, item: Any) -> Marker:
    data = problems.mapping(path, item)
    problems.keys(path, data, ("oid", "packs"), ("oid", "packs"))
    return Marker(problems.oid(f"{path}.oid", data.get("oid")), _slugs(problems, f"{path}.packs", data.get("packs")))


def _slugs(problems: Problems, path: str, value: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in problems.items(path, value))
