"""An append-only log of who did what, each line bound to the one before by its hash.

Whoever changes, removes or inserts a line breaks the chain from there on. Whoever can write the file can also cut its
end or write all of it anew: that shows only against a hash that was noted elsewhere, which is why every line's hash
also goes to the log of the process.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from healthmon.runtime.filelock import wait_for_lock
from healthmon.runtime.privatefile import owned_like_folder

log = logging.getLogger(__name__)

FILE = "audit.jsonl"
START = "0" * 64
TAIL_BYTES = 64 * 1024
FIELDS = ("seq", "at", "who", "by", "what", "about", "source", "result", "detail", "prev")


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did, or was refused. who: the identity (`user:dana`, `site-token`); source: the address."""

    who: str
    what: str
    result: str = "done"
    by: str = ""  # the name that was said, where the identity is shared
    about: str = ""
    source: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What reading the chain again found. problems: a sentence with its line each; head: the last hash."""

    entries: int
    head: str
    problems: tuple[str, ...]


class AuditLog:
    """Appends under a lock that other processes respect; `path` None keeps nothing."""

    def __init__(self, path: Path | None, *, now: Callable[[], float]) -> None:
        self.path = path
        self.ok = True  # whether the last line that was due is written
        self.failures = 0
        self._now = now

    def append(self, deed: Deed) -> str:
        """Put one line on disk and give its hash. Raises OSError."""
        if self.path is None:
            return START
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with private(self.path) as file:
            wait_for_lock(file)
            seq, prev = last_of(file)
            at = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            row = {"seq": seq + 1, "at": at, **asdict(deed), "prev": prev}
            row["hash"] = hash_of(row)
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        log.info("audit", extra={"seq": row["seq"], "who": deed.who, "what": deed.what, "hash": row["hash"]})
        return str(row["hash"])

    def note(self, deed: Deed) -> None:
        """Append; a full disk must not keep anybody from taking an incident, so it is counted and logged instead."""
        try:
            self.append(deed)
            self.ok = True
        except OSError as error:
            self.ok = False
            self.failures += 1
            log.error("audit line not written", extra={"what": deed.what, "who": deed.who, "error": str(error)})

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every line that can be read, oldest first."""
        for _, row in lines_of(self.path):
            if row is not None:
                yield row


def verify(path: Path) -> Verdict:
    """Read the whole chain: every line whole, in order, with the hash that its content and the line before give."""
    problems: list[str] = []
    prev, seq, count = START, 0, 0
    for number, row in lines_of(path):
        count += 1
        if row is None or set(row) != {*FIELDS, "hash"}:
            problems.append(f"line {number}: is no entry")
            continue
        if row["seq"] != seq + 1:
            problems.append(f"line {number}: entry {row['seq']} stands where {seq + 1} should")
        if row["prev"] != prev:
            problems.append(f"line {number}: does not follow the line before it")
        if row["hash"] != hash_of(row):
            problems.append(f"line {number}: was changed after it was written")
        prev, seq = str(row["hash"]), row["seq"] if isinstance(row["seq"], int) else seq + 1
    return Verdict(count, prev, tuple(problems))


def hash_of(row: dict[str, Any]) -> str:
    """SHA-256 over the fields in their order; `prev` is among them."""
    text = json.dumps([row[name] for name in FIELDS], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def lines_of(path: Path | None) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """(number, entry or None when it is none) of every line that is not empty."""
    if path is None or not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, parsed(line)


def parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def last_of(file: IO[bytes]) -> tuple[int, str]:
    """(number, hash) of the last whole entry. A line that a power cut tore off is ended: the next stands alone."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - TAIL_BYTES))
    tail = file.read()
    if tail and not tail.endswith(b"\n"):
        file.write(b"\n")
    for line in reversed(tail.splitlines()):
        row = parsed(line)
        if row and isinstance(row.get("seq"), int) and "hash" in row:
            return row["seq"], str(row["hash"])
    return 0, START


def private(path: Path) -> IO[bytes]:
    """Open for reading and appending, mode 0600 when it is made."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+b")
    owned_like_folder(path)
    return file
