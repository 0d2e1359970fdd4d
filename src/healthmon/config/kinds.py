"""Kinds of checks and channels: their names from the registries, their Params loaded by dotted name when used."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from healthmon.model.sample import Family

#: A pack of the same folder by its name; None when there is none.
PackLoader = Callable[[str], Mapping[str, Any] | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind with the parameters it takes."""

    name: str
    params: type
    fields: frozenset[str]
    adapter: TypeAdapter[Any]
    pack_linter: Callable[[Mapping[str, Any]], list[str]] | None = None
    pack_families: Callable[[Mapping[str, Any]], tuple[Family, ...]] | None = None
    pack_assembler: Callable[[Mapping[str, Any], PackLoader], dict[str, Any]] | None = None
    least_every_s: float = 0.0  # the default of `min_every` where the kind has one


def registry(dotted: str, attribute: str) -> Mapping[str, str]:
    """A registry of `module:Class` names."""
    found: Mapping[str, str] = getattr(importlib.import_module(dotted), attribute)
    return found


@cache
def probe_names() -> frozenset[str]:
    return frozenset(registry("healthmon.probes", "PROBES"))


@cache
def collector_names() -> frozenset[str]:
    return frozenset(registry("healthmon.collectors", "COLLECTORS"))


def pack_folder(kind: str) -> str:
    """Where the packs of a probe or collector lie."""
    if kind not in probe_names():
        return f"collectors/{kind}"
    return f"probes/{registry('healthmon.probes', 'PACK_FOLDERS').get(kind, kind)}"


def probe_of_folder(folder: str) -> str | None:
    """The probe whose packs lie in this folder below `probes/`; None when there is none."""
    return next((kind for kind in probe_names() if pack_folder(kind) == f"probes/{folder}"), None)


@cache
def channel_names() -> frozenset[str]:
    return frozenset(registry("healthmon.alerting.notify", "CHANNELS"))


def check_names() -> frozenset[str]:
    return probe_names() | collector_names()


@cache
def check_kind(name: str) -> Kind:
    """A probe or collector by name. Raises KeyError for an unknown one."""
    probes = registry("healthmon.probes", "PROBES")
    return _kind(name, probes[name] if name in probes else registry("healthmon.collectors", "COLLECTORS")[name])


@cache
def channel_kind(name: str) -> Kind:
    """A kind of channel by name. Raises KeyError for an unknown one."""
    return _kind(name, registry("healthmon.alerting.notify", "CHANNELS")[name])


def _kind(name: str, entry: str) -> Kind:
    """The kind's module, with `lint_pack` and `pack_families` of a `<module>_pack` beside it if there is one."""
    dotted = entry.partition(":")[0]
    params = importlib.import_module(dotted).Params
    defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(params)}
    beside = importlib.import_module(f"{dotted}_pack") if importlib.util.find_spec(f"{dotted}_pack") else None
    return Kind(
        name,
        params,
        frozenset(defaults),
        TypeAdapter(params),
        pack_linter=getattr(beside, "lint_pack", None),
        pack_families=getattr(beside, "pack_families", None),
        pack_assembler=getattr(beside, "assemble_pack", None),
        least_every_s=float(defaults.get("min_every_s", 0.0)),
    )


@cache
def code_families() -> Mapping[str, Family]:
    """Every family that a probe or collector declares in code, by name."""
    found: dict[str, Family] = {}
    for dotted in ("healthmon.probes", "healthmon.collectors"):
        found.update(importlib.import_module(dotted).families())
    return found
