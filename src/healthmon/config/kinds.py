"""Kinds of checks and channels: their names from the registries, their Params loaded by dotted name when used."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind with the parameters it takes."""

    name: str
    params: type
    fields: frozenset[str]
    adapter: TypeAdapter[Any]


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
    try:  # TEMPORARY until every module is there
        params = importlib.import_module(entry.partition(":")[0]).Params
    except (ImportError, AttributeError):
        params = dataclasses.make_dataclass("Params", [(n, Any, None) for n in ("pack", "path")])
    fields = frozenset(field.name for field in dataclasses.fields(params))
    return Kind(name, params, fields, TypeAdapter(params))
