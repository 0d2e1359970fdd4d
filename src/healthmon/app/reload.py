"""Another configuration while everything runs: read whole first, taken at once or not at all, and said once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from healthmon.config import SiteConfig
from healthmon.model.errors import ConfigError, HealthmonError
from healthmon.model.ports import Clock
from healthmon.runtime.auditlog import AuditLog, Deed

log = logging.getLogger(__name__)

#: How often the files are looked at with `--watch`, in seconds; a change is taken when it has stood for one round.
WATCH_EVERY_S = 2.0
#: Blocks that hold open files, sockets and connections: they change with a restart.
FIXED = ("data_dir", "broker", "listener", "store", "web", "workers", "journal", "pair")
_MAPPINGS = ("targets", "areas", "services", "teams", "agents")
_BY_ID = ("rules", "policies", "changes")
#: What follows from the rest: the words in force are those of one catalogue.
SILENT = ("warnings", "files", "text")
_APART = {"estate", "channels", *_BY_ID, *FIXED, *SILENT}
#: Everything else is compared as a whole, so that no new block is forgotten.
_WHOLE = tuple(one.name for one in fields(SiteConfig) if one.name not in _APART)
#: As people write them.
_WRITTEN = {"catalogues": "text", "pack_roots": "packs"}
_NAMES_MOST = 10

#: Takes a configuration whole, or raises and leaves everything as it was.
Take = Callable[[SiteConfig], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload did. `changes`: by block, what was added, removed and changed; `needs_restart`: blocks left."""

    changes: Mapping[str, Mapping[str, list[str]]]
    needs_restart: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"reloaded": True, "changes": dict(self.changes), "needs_restart": list(self.needs_restart)}

    def words(self) -> str:
        """One line for the log."""
        parts = [f"{block}: {_listed(moved)}" for block, moved in self.changes.items()]
        if self.needs_restart:
            parts.append(f"waits for a restart: {', '.join(self.needs_restart)}")
        return "; ".join(parts) or "nothing has changed"


@dataclass(slots=True)
class Reloader:
    """`reread` gives the configuration on disk; `take` puts one in force. One reload at a time."""

    site: SiteConfig
    reread: Callable[[], SiteConfig]
    take: Take
    clock: Clock
    refused: bool = False
    loaded_at: float = 0.0
    needs_restart: tuple[str, ...] = ()
    audit: AuditLog | None = None
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.loaded_at = self.clock.now()

    @property
    def ok(self) -> bool:
        """What stands on disk is what runs."""
        return not self.refused and not self.needs_restart

    async def reload(self, by: str) -> Reloaded:
        """Read and take. Raises ConfigError (the old one stays), JournalDown (the old one stays)."""
        async with self._one:
            try:
                found = await asyncio.to_thread(self.reread)
                site, left = settled(self.site, found)
                done = Reloaded(difference(self.site, site), left)
                await self.take(site)
            except HealthmonError as error:
                problems = error.problems if isinstance(error, ConfigError) else [str(error)]
                log.error("configuration not reloaded, the old one stays", extra={"by": by, "problems": problems})
                self.refused = True
                await self._note(by, "refused", f"{len(problems)} problems")
                raise
            self.site, self.refused, self.needs_restart = site, False, left
            self.loaded_at = self.clock.now()
            log.warning("configuration reloaded", extra={"by": by, "what": done.words()})
            await self._note(by, "done", f"{done.words()}; files {digest_of(self.site)}")
            return done

    async def _note(self, by: str, result: str, detail: str) -> None:
        if self.audit:
            deed = Deed("server", "configuration", by=by, result=result, detail=detail)
            await asyncio.to_thread(self.audit.note, deed)

    async def on_signal(self, by: str) -> None:
        """The same where nobody waits for an answer: what went wrong is in the log and in health."""
        try:
            await self.reload(by)
        except HealthmonError:
            return

    async def watch(self) -> None:
        """Reload when a file has changed and stands still again. Runs until cancelled."""
        taken = seen = marks_of(self.site)
        while True:
            await self.clock.sleep(WATCH_EVERY_S)
            now = await asyncio.to_thread(marks_of, self.site)
            if now == seen and now != taken:
                taken = now
                await self.on_signal("watch")
                taken = seen = await asyncio.to_thread(marks_of, self.site)
            seen = now if now != taken else seen


def settled(old: SiteConfig, new: SiteConfig) -> tuple[SiteConfig, tuple[str, ...]]:
    """The new configuration with what cannot change while running as it was, and the names of that.

    Raises ConfigError for another organisation: it stands in every topic and in every stored point.
    """
    if new.estate.organisation.id != old.estate.organisation.id:
        was, now = old.estate.organisation.id, new.estate.organisation.id
        raise ConfigError([f"organisation.id: is '{was}' here and '{now}' in the file; stop and start for that"])
    left = tuple(name for name in FIXED if getattr(old, name) != getattr(new, name))
    return replace(new, **{name: getattr(old, name) for name in left}), left


def difference(old: SiteConfig, new: SiteConfig) -> dict[str, dict[str, list[str]]]:
    """What was added, removed and changed, by block; blocks without a difference are left out."""
    pairs: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
        name: (getattr(old.estate, name), getattr(new.estate, name)) for name in _MAPPINGS
    }
    pairs |= {name: (_by_id(getattr(old, name)), _by_id(getattr(new, name))) for name in _BY_ID}
    pairs["channels"] = (old.channels, new.channels)
    found = {name: _moved(before, after) for name, (before, after) in pairs.items()}
    whole = [_WRITTEN.get(name, name) for name in _WHOLE if getattr(old, name) != getattr(new, name)]
    if old.estate.organisation != new.estate.organisation or old.estate.sites != new.estate.sites:
        whole.append("organisation")
    found["settings"] = {"changed": whole} if whole else {}
    return {name: moved for name, moved in found.items() if moved}


def digest_of(site: SiteConfig) -> str:
    """The first half of a SHA-256 over the files of the configuration, so that the audit says which one ran."""
    found = hashlib.sha256()
    for file in sorted(map(str, site.files)):
        with contextlib.suppress(OSError):
            found.update(Path(file).name.encode() + b"\0" + Path(file).read_bytes())
    return found.hexdigest()[:32]


def marks_of(site: SiteConfig) -> dict[str, tuple[int, int]]:
    """Time and size of every file that the configuration was, or would be, read from."""
    files = {Path(file) for file in site.files}
    files |= {file for root in site.pack_roots[1:] for file in root.rglob("*.yaml")}
    files |= {beside for file in site.files for beside in Path(file).parent.glob("*.yaml")}
    marks: dict[str, tuple[int, int]] = {}
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            continue
        marks[str(file)] = (stat.st_mtime_ns, stat.st_size)
    return marks


def _by_id(things: Iterable[Any]) -> dict[str, Any]:
    return {thing.id: thing for thing in things}


def _moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[str]]:
    lists = {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(id_ for id_ in before.keys() & after.keys() if before[id_] != after[id_]),
    }
    return {word: ids for word, ids in lists.items() if ids}


def _listed(moved: Mapping[str, list[str]]) -> str:
    return ", ".join(f"{len(ids)} {word} ({', '.join(ids[:_NAMES_MOST])}{', ...' if len(ids) > _NAMES_MOST else ''})"
                     for word, ids in moved.items())  # fmt: skip
