"""What traps mean, as data (`probes/snmp-traps/*.yaml`), and the port that one is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from healthmon.probes.trap_wire import Notification

FOLDER = "snmp-traps"
EFFECTS = ("info", "warning", "degraded", "down")
VERIFIED = ("recording", "mib", "none")
_KEYS = frozenset({"slug", "title", "source", "verified", "traps"})
_TRAP_KEYS = frozenset({"event", "effect", "clears", "source"})
_WORD = re.compile(r"[a-z][a-z0-9_]{1,40}")
_OID = re.compile(r"\d+(\.\d+){2,60}")

#: IF-MIB columns whose last arc is the ifIndex (RFC 2863), and the two that name the port.
IF_TABLE = "1.3.6.1.2.1.2.2.1."
IF_X_TABLE = "1.3.6.1.2.1.31.1.1.1."
IF_INDEX = IF_TABLE + "1."
IF_DESCR = IF_TABLE + "2."
IF_NAME = IF_X_TABLE + "1."


@dataclass(frozen=True, slots=True)
class Meaning:
    """`clears` names the event that this one ends; `effect` is what the device says it means for itself."""

    event: str
    effect: str = "info"
    clears: str = ""


#: A trap that no pack knows: counted under one word, since OIDs as labels would have no bound.
OTHER = Meaning("other")


@dataclass(frozen=True, slots=True)
class Port:
    """The interface a trap is about; `name` is empty when the device did not say it."""

    index: int
    name: str = ""


def lint_pack(data: Mapping[str, Any]) -> list[str]:
    """What is wrong with a pack, one line each."""
    found = [f"unknown key '{key}' (allowed: {', '.join(sorted(_KEYS))})" for key in data if key not in _KEYS]
    found += [f"key '{key}' is missing" for key in sorted(_KEYS) if not data.get(key)]
    if data.get("verified") not in VERIFIED:
        found.append(f"verified must be one of {', '.join(VERIFIED)}")
    traps = data.get("traps")
    if not isinstance(traps, Mapping):
        return [*found, "traps must be a mapping of OIDs"]
    events = {entry.get("event") for entry in traps.values() if isinstance(entry, Mapping)}
    for oid, entry in traps.items():
        found += [f"traps.{oid}: {wrong}" for wrong in _wrong(str(oid), entry, events)]
    return found


def _wrong(oid: str, entry: Any, events: set[Any]) -> Iterable[str]:
    if not _OID.fullmatch(oid):
        yield "is not an OID"
    if not isinstance(entry, Mapping) or not _TRAP_KEYS.issuperset(entry):
        yield f"must be a mapping of {', '.join(sorted(_TRAP_KEYS))}"
        return
    if not _WORD.fullmatch(str(entry.get("event", ""))):
        yield "event must be a word in small letters"
    if entry.get("effect", "info") not in EFFECTS:
        yield f"effect must be one of {', '.join(EFFECTS)}"
    if entry.get("clears", None) not in {None, *events}:
        yield f"clears '{entry['clears']}', which is no event of this pack"


def read_meanings(packs: Iterable[Mapping[str, Any]]) -> dict[str, Meaning]:
    """OID -> meaning of all packs; a later pack wins."""
    return {
        str(oid): Meaning(entry["event"], entry.get("effect", "info"), entry.get("clears", ""))
        for pack in packs
        for oid, entry in pack.get("traps", {}).items()
    }


def meaning_of(meanings: Mapping[str, Meaning], oid: str) -> Meaning:
    """Version 1 puts a zero before the last number that version 2 may not have (RFC 3584 section 3)."""
    known = meanings.get(oid)
    if known is None:
        head, _, last = oid.rpartition(".")
        known = meanings.get(f"{head.removesuffix('.0')}.{last}") if head.endswith(".0") else None
    return known or OTHER


def port_of(notification: Notification) -> Port | None:
    """The interface that the varbinds are about: ifIndex, ifName and ifDescr, or the index of any other column."""
    index, texts = 0, {}
    for oid, value in notification.binds:
        if oid.startswith((IF_TABLE, IF_X_TABLE)):
            last = int(oid.rpartition(".")[2])
            index = index or (value if oid.startswith(IF_INDEX) and isinstance(value, int) else last)
            texts.update({kind: value for kind in (IF_NAME, IF_DESCR) if oid.startswith(kind)})
    names = (plain_name(texts.get(kind, b"")) for kind in (IF_NAME, IF_DESCR))
    return Port(index, next(filter(None, names), "")) if 0 < index < 2**31 else None


def plain_name(value: object) -> str:
    """A port's name as text: printable, one line, not long."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
    return "".join(char for char in text if char.isprintable()).strip()[:64]
