"""What the ingest refuses: counted by reason, with a note of the newest refusals, never what a payload said.

A refused payload has passed no guard, so it may hold anything. A note has its size, its SHA-256 and those header
fields that cannot name a person; whoever needs the bytes asks the agent, whose spool still has them.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from healthmon.ingest.guard import scrub
from healthmon.model.ports import Clock
from healthmon.model.render import rfc3339

log = logging.getLogger(__name__)

#: Notes kept for each reason; there are about a dozen reasons.
NOTES = 100
#: A flood is counted, and noted no more often than this for each reason.
SPACING_S = 0.05
#: So many agents are named in the log for each reason.
_WARNED_MOST = 5
_PATH = re.compile(r"`(\$[A-Za-z0-9_.\[\]]*)`")
_EPOCH = re.compile(r"[0-9a-f]{16}")


class _Header(msgspec.Struct):
    """What can be said of a batch without its readings."""

    v: int | None = None
    epoch: str | None = None
    seq: int | None = None
    sent: float | None = None
    live: bool | None = None


_parse = msgspec.json.Decoder(_Header)
_unpack = msgspec.msgpack.Decoder(_Header)


class Quarantine:
    """Counts refusals (`counters`, keys `ingest_rejected_total.REASON`) and keeps notes in a folder of bounded size."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self.counters: dict[str, float] = {}
        self._folder = folder
        self._clock = clock
        self._noted: dict[str, float] = {}
        self._warned: set[tuple[str, str]] = set()
        self._unwritable = False

    def refuse(self, agent: str, payload: bytes, reason: str, detail: str = "") -> None:
        """Count one refused payload; `reason` is a constant word, of `detail` only a place in the form is kept."""
        where = _PATH.search(detail)
        note = {
            "agent": scrub(agent),
            "where": where[1] if where else "",
            "bytes": len(payload),
            "sha256": hashlib.sha256(payload).hexdigest(),
            "format": "json" if payload[:1] == b"{" else "msgpack",
            "header": header_of(payload),
        }
        self._take(reason, note)

    def set_aside(self, agent: str, reason: str, batch: Mapping[str, Any]) -> None:
        """Keep a batch that was admitted and guarded, and that something of ours choked on."""
        self._take(reason, {"agent": agent, "batch": batch})

    def _take(self, reason: str, note: Mapping[str, Any]) -> None:
        key = f"ingest_rejected_total.{reason}"
        self.counters[key] = number = self.counters.get(key, 0.0) + 1.0
        self._say_once(str(note["agent"]), reason)
        now = self._clock.mono()
        if now - self._noted.get(reason, float("-inf")) >= SPACING_S:
            self._noted[reason] = now
            self._write(f"{reason}-{int(number) % NOTES:02d}.json", {"at": rfc3339(self._clock.now())} | dict(note))

    def _say_once(self, agent: str, reason: str) -> None:
        said = sum(1 for _, known in self._warned if known == reason)
        if (agent, reason) in self._warned or said >= _WARNED_MOST:
            return  # whoever makes up names fills no log
        self._warned.add((agent, reason))
        log.warning("payload refused; further ones are only counted", extra={"agent": agent, "reason": reason})

    def _write(self, name: str, note: Mapping[str, Any]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self._folder / name).write_bytes(msgspec.json.encode(note) + b"\n")
            self._unwritable = False
        except OSError as error:
            if not self._unwritable:
                log.warning("cannot keep notes of refused payloads", extra={"error": str(error)})
            self._unwritable = True


def header_of(payload: bytes) -> dict[str, Any] | None:
    """Version, epoch, number, time and kind of a batch as far as they have the right form; None if unreadable."""
    try:
        header = (_parse if payload[:1] == b"{" else _unpack).decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    known = {name: value for name in header.__struct_fields__ if (value := getattr(header, name)) is not None}
    if not _EPOCH.fullmatch(str(known.get("epoch", ""))):
        known.pop("epoch", None)
    return known
