"""What doctor looks at on this machine's disk: the folder, who may read it, room, and the databases in it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from healthmon.alerting.journal_schema import MIGRATIONS as JOURNAL_MIGRATIONS
from healthmon.app.doctor import Finding, Patient, Verdict
from healthmon.runtime.sqlite import check_database
from healthmon.store.filing import MIGRATIONS as STORE_MIGRATIONS
from healthmon.store.rescue import check as check_store
from healthmon.transport.shelf import MIGRATIONS as SPOOL_MIGRATIONS

#: What only its owner may read, as far as it is there.
PRIVATE = ("token", "ack-secret", "identities.json", "broker.json", "broker/password", "broker/nats-server.conf")
LOW_BYTES, LOW_SHARE = 2 << 30, 0.05
EMPTY_BYTES, EMPTY_SHARE = 200 << 20, 0.01
#: A page that should have been sent so long ago and was not is stuck.
STUCK_S = 600.0


def folder(patient: Patient) -> Iterator[Finding]:
    """The data folder is there, is ours and can be written."""
    data = patient.site.data_dir
    if not data.is_dir():
        yield Finding(
            "folder", Verdict.LOOK, f"{data} is not there yet", fix="it is made by `healthmon server` or `up`"
        )
        return
    if not os.access(data, os.W_OK | os.X_OK):
        yield Finding("folder", Verdict.BAD, f"{data} cannot be written by this user",
                      fix=f"chown -R healthmon: {data}, or run doctor as the server's user")  # fmt: skip
        return
    yield Finding("folder", Verdict.OK, f"{data} can be written")


def permissions(patient: Patient) -> Iterator[Finding]:
    """Secrets are for their owner's eyes."""
    data = patient.site.data_dir
    loose = [path for name in PRIVATE if (path := data / name).exists() and _others_may(path)]
    for path in loose:
        yield Finding("permissions", Verdict.BAD, f"{path} can be read by others", fix=f"chmod 600 {path}")
    if not loose and data.is_dir():
        yield Finding("permissions", Verdict.OK, "secrets can be read by their owner only")


def _others_may(path: Path) -> bool:
    return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def room(patient: Patient) -> Iterator[Finding]:
    """Room on the disk, and what takes it."""
    data = patient.site.data_dir
    if not data.is_dir():
        return
    usage = shutil.disk_usage(data)
    sizes = {path.name: path.stat().st_size for path in sorted(data.iterdir()) if path.is_file()}
    share = usage.free / usage.total if usage.total else 0.0
    verdict = Verdict.OK
    if (usage.free < LOW_BYTES and share < 2 * LOW_SHARE) or share < LOW_SHARE:
        verdict = Verdict.LOOK
    if usage.free < EMPTY_BYTES or share < EMPTY_SHARE:
        verdict = Verdict.BAD
    text = f"{_size(usage.free)} free of {_size(usage.total)}; ours: {_size(sum(sizes.values()))}"
    fix = "" if verdict is Verdict.OK else "make room, or keep less: `store` has the days that are kept"
    yield Finding("disk", verdict, text, fix=fix, facts={"free_bytes": usage.free, "files": sizes})


def databases(patient: Patient) -> Iterator[Finding]:
    """Journal, store and spools: whole, and not from a newer version."""
    data = patient.site.data_dir
    known = {"journal": (data / "journal.sqlite", len(JOURNAL_MIGRATIONS), "`docs/stores.md`, Restoring")}
    if patient.site.store.kind == "embedded":
        known["store"] = (
            data / "store.sqlite",
            len(STORE_MIGRATIONS),
            "healthmon store check; healthmon store salvage",
        )
    for path in spools_in(data):
        known[f"spool {path.name}"] = (path, len(SPOOL_MIGRATIONS), "the agent saves what it can at its next start")
    for name, (path, versions, fix) in known.items():
        if path.exists():
            yield _database(name, path, versions, fix)
    if patient.deep and patient.site.store.kind == "embedded" and (data / "store.sqlite").exists():
        yield _deep_store(data / "store.sqlite")
    for path in sorted(data.glob("*.corrupt-*")):
        if not path.name.endswith(("-wal", "-shm")):
            yield Finding("corrupt", Verdict.LOOK, f"{path.name} was moved aside as damaged",
                          fix="look at the disk (dmesg, smartctl); delete the file when nobody needs it")  # fmt: skip


def spools_in(data: Path) -> list[Path]:
    """Spools of agents and of the poller on this machine."""
    return sorted(data.glob("*spool*.sqlite"))


def _database(name: str, path: Path, versions: int, fix: str) -> Finding:
    check = name.split()[0]
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
            words = check_database(db)
    except sqlite3.Error as error:
        return Finding(check, Verdict.BAD, f"{path.name} cannot be read: {error}", fix=fix)
    if version > versions:
        return Finding(check, Verdict.BAD, f"{path.name} was written by a newer healthmon (schema {version})",
                       fix="upgrade healthmon, or restore a backup")  # fmt: skip
    if words != "ok":
        return Finding(check, Verdict.BAD, f"{path.name} is damaged: {words[:200]}", fix=fix)
    return Finding(check, Verdict.OK, f"{path.name} is whole, {_size(path.stat().st_size)}")


def _deep_store(path: Path) -> Finding:
    checked = check_store(path)
    if checked.ok:
        return Finding("store", Verdict.OK, f"every block reads: {checked.blocks} blocks, {checked.points} points")
    return Finding("store", Verdict.BAD, f"{len(checked.damaged)} blocks are damaged",
                   fix="healthmon store salvage", facts={"damaged": list(checked.damaged[:50])})  # fmt: skip


def waiting(patient: Patient) -> Iterator[Finding]:
    """What waits in the spools of this machine, and what they gave up."""
    for path in spools_in(patient.site.data_dir):
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as db:
                batches, readings = db.execute("SELECT count(*), coalesce(sum(readings), 0) FROM batches").fetchone()
                (dropped,) = db.execute("SELECT dropped_readings FROM totals").fetchone()
        except sqlite3.Error:
            continue  # `databases` has said so
        verdict = Verdict.LOOK if dropped or batches > 100 else Verdict.OK
        text = f"{path.name}: {batches} batches with {readings} readings wait, {dropped} readings were given up"
        fix = "is the server up, and does it accept them? `healthmon agents` says more" if batches > 100 else ""
        yield Finding("spool", verdict, text, fix=fix, facts={"batches": batches, "dropped_readings": dropped})


def quarantined(patient: Patient) -> Iterator[Finding]:
    """Payloads that were refused: how many notes of each reason, of whom, and the newest."""
    notes = patient.site.data_dir / "quarantine"
    reasons: Counter[str] = Counter()
    agents: dict[str, set[str]] = {}
    newest: dict[str, str] = {}
    for path in notes.glob("*.json") if notes.is_dir() else ():
        try:
            note = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        reason = path.stem.rpartition("-")[0]
        reasons[reason] += 1
        agents.setdefault(reason, set()).add(str(note.get("agent", "")) or "no agent")
        newest[reason] = max(newest.get(reason, ""), str(note.get("at", "")))
    for reason, count in sorted(reasons.items()):
        who = sorted(agents[reason])
        some = f"{', '.join(who[:5])}{' and more' if len(who) > 5 else ''}"
        text = f"{reason}: {count} notes, of {some}, newest {newest[reason]}"
        yield Finding("quarantine", Verdict.LOOK, text, fix=_FIXES.get(reason, "see docs/doctor.md"),
                      facts={"reason": reason, "notes": count, "agents": who, "newest": newest[reason]})  # fmt: skip
    if not reasons:
        yield Finding("quarantine", Verdict.OK, "no payload was refused")


_FIXES = {
    "foreign": "an agent speaks under another's name: `healthmon enrol` gives each a name of its own",
    "unknown_agent": "declare it under `agents`, or stop it",
    "version": "that agent and this server are too far apart: upgrade the older",
    "oversize": "something else publishes there, or the agent's batches grow: see its checks",
    "too_fast": "one agent sends far more than any does: look for a loop, or a cloned machine",
    "engine_crash": "report this as a bug; the points are stored, the engine went on without this batch",
    "bug": "report this as a bug",
}


def pages(patient: Patient) -> Iterator[Finding]:
    """Dead letters: pages that could not be delivered, and those that should have gone long ago."""
    path = patient.site.data_dir / "journal.sqlite"
    if not path.exists():
        return
    now = patient.clock.now()
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)) as db:
            late = db.execute("SELECT count(*) FROM notice WHERE finished = 0 AND due < ?", (now - STUCK_S,)).fetchone()
            ended = db.execute(
                "SELECT body FROM event WHERE kind = 'notice' AND at > ? ORDER BY seq DESC LIMIT 5000",
                (now - 86_400.0,),
            ).fetchall()
            at = db.execute("SELECT value FROM meta WHERE key = 'at'").fetchone()
    except sqlite3.Error:
        return  # `databases` has said so
    dead = Counter(str(one.get("channel")) for (body,) in ended if (one := _read(body)).get("result") == "dead")
    for channel, count in sorted(dead.items()):
        yield Finding("dead letters", Verdict.BAD, f"{count} messages by {channel} were given up in 24 h",
                      fix=f"the log: what does {channel} answer?", facts={"channel": channel})  # fmt: skip
    if late[0]:
        yield Finding("dead letters", Verdict.BAD, f"{late[0]} messages are more than 10 min late",
                      fix="is the server up? what do its channels answer (`healthmon incidents show ID`)?")  # fmt: skip
    if not dead and not late[0]:
        yield Finding("dead letters", Verdict.OK, "no message was given up in 24 h, none is late")
    if at and at[0] > now + 60.0:
        yield Finding("clock", Verdict.BAD, f"the journal was written {at[0] - now:.0f} s in the future",
                      fix="the clock of this machine went back: mend time synchronisation")  # fmt: skip


def _read(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
