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
    try:  # TEMPORARY until every registry is there
        found: Mapping[str, str] = getattr(importlib.import_module(dotted), attribute)
    except (ImportError, AttributeError):
        return _TEMPORARY.get(attribute, {})
    return found


_TEMPORARY: dict[str, dict[str, str]] = {
    "PROBES": {name: "" for name in ("icmp", "http", "tcp", "tls", "snmp")},
    "COLLECTORS": {},
    "CHANNELS": {name: "" for name in ("webhook", "email", "inbox")},
}


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
def check_kind(name: str) -> Kind | None:
    """A probe or collector by name."""
    for dotted, attribute in (("healthmon.probes", "PROBES"), ("healthmon.collectors", "COLLECTORS")):
        entry = registry(dotted, attribute).get(name)
        if entry is not None:
            return _kind(name, entry)
    return None


@cache
def channel_kind(name: str) -> Kind | None:
    """A kind of channel by name."""
    entry = registry("healthmon.alerting.notify", "CHANNELS").get(name)
    return None if entry is None else _kind(name, entry)


def _kind(name: str, entry: str) -> Kind | None:
    try:  # TEMPORARY until every module is there
        params = importlib.import_module(entry.partition(":")[0]).Params
    except (ImportError, AttributeError, ValueError):
        return None
    fields = frozenset(field.name for field in dataclasses.fields(params))
    return Kind(name, params, fields, TypeAdapter(params))
