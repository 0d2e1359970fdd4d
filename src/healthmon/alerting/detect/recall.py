"""The memory of all rules: cells by series, what feeds them, and the answers of questions that need them."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from healthmon.alerting.detect.cells import Cell, CellKey, Flapping, Last, Mask, Slots
from healthmon.alerting.detect.presencebook import Book, Watch
from healthmon.alerting.detect.seasons import HourBook, LocalHours
from healthmon.model.alert import AlertKey, Flap
from healthmon.model.condition import (
    Season,
)

#: No more cells than this; what comes later is not judged, and counted.
CELLS_MOST = 500_000
#: A window that was told nothing for so many of its lengths is dropped; so many cells are looked at in one go.
_DROP_AFTER = 3.0
_SWEEP = 300
#: Kinds of cells that are windows.
_WINDOWS = ("w", "r")
_SEPARATOR = "\x1f"
#: Day 1 of the calendar is a Monday.
_MONDAY = 24


def _made(kind: str, detail: str) -> Cell:
    """An empty cell of this kind."""
    match kind:
        case "w" | "r":
            return Slots(float(detail.split("@")[1]))
        case "c":
            return Last()
        case "n":
            return Mask()
        case "p":
            return Book() if detail == "hours" else Watch()
        case "b":
            return HourBook(Season(detail.split("@")[1]))
        case _:
            return Flapping()


class Recall:
    """Cells by key. `written` gives what changed since the last call; `restore` takes up what was written."""

    def __init__(self, site_of: Callable[[str], str], local: Callable[[str, float], datetime]) -> None:
        self._cells: dict[CellKey, Cell] = {}
        self._touched: list[Cell] = []
        self._gone: set[str] = set()
        self._flapping: Counter[tuple[str, str, str]] = Counter()
        self._site_of = site_of
        self._hours = LocalHours(local)
        self._to_sweep: list[CellKey] = []
        self.counters: Counter[str] = Counter()
        self.drops = 0  # how often a cell was dropped that somebody may still hold

    def __len__(self) -> int:
        return len(self._cells)

    def flapped(self, key: AlertKey, marks: Flap, at: float, *, bad: bool) -> bool:
        """Whether this alert flaps, after one more judgement."""
        cell_key = ("f", key.rule, key.target, key.check, key.vantage, key.labels)
        cell = self._cells.get(cell_key)
        if cell is None and not bad:
            return False
        cell = cell or self.cell(cell_key)
        if not isinstance(cell, Flapping):
            return False
        flapping = cell.put(at, bad, high=marks.high, low=marks.low)
        if cell.quiet():
            self._drop(cell_key)
        else:
            self.touch(cell)
        return flapping

    def flaps(self, series: tuple[str, str, str]) -> bool:
        """Whether the state of any alert on this series changed lately."""
        return series in self._flapping

    def learning(self, periods: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        """Baselines by metric: (series that can be judged, series still learning). periods: wanted, by detail."""
        found: dict[str, list[int]] = {}
        for (kind, detail, *_), cell in self._cells.items():
            if kind == "b" and isinstance(cell, HourBook):
                ready = cell.known() >= periods.get(detail, 2)
                found.setdefault(detail.split("@")[0], [0, 0])[0 if ready else 1] += 1
        return {metric: (ready, learning) for metric, (ready, learning) in sorted(found.items())}

    def cell(self, key: CellKey) -> Cell | None:
        """The cell of this key, made if there is room."""
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= CELLS_MOST:
                self.counters["rule_memory_refused"] += 1
                return None
            cell = self._cells[key] = _made(key[0], key[1])
            cell.key = key
            if key[0] == "f":
                self._flapping[key[2:5]] += 1
        return cell

    def known(self, key: CellKey) -> Cell | None:
        return self._cells.get(key)

    def touch(self, cell: Cell) -> None:
        """The cell has changed."""
        if not cell.queued:
            cell.queued = True
            self._touched.append(cell)

    def hour(self, target: str, at: float) -> int:
        """The local hour at the target's site."""
        return self._hours.of(self._site_of(target), at)[0]

    def site_hours(self, site: str, at: float) -> int:
        """Hours on the wall clock of a site, counted from a Monday at 00:00."""
        return self._hours.of(site, at)[0] - _MONDAY

    def written(self) -> dict[str, bytes]:
        """Rows for the journal: parts that changed, and empty ones for what is gone."""
        rows: dict[str, bytes] = dict.fromkeys(self._gone, b"")
        self._gone.clear()
        for cell in self._touched:
            cell.queued = False
            if cell.key is None or not cell.dirty:
                continue
            name = cell.name = cell.name or _name(cell.key)
            if cell.dirty == 1:
                rows[name + "0"] = cell.pack(0)
            else:
                rows.update((f"{name}{part}", cell.pack(part)) for part in _parts(cell.dirty))
            cell.stored |= cell.dirty
            cell.dirty = 0
        self._touched.clear()
        return rows

    def restore(
        self, memory: Mapping[str, bytes], wanted: Iterable[tuple[str, str]], known: Callable[[str], bool]
    ) -> None:
        """Take up what a run before has written; what no rule wants, or no target bears, is forgotten."""
        kinds = set(wanted)
        for name, body in memory.items():
            try:
                key, part = _key(name)
            except ValueError:
                self.counters["rule_memory_unreadable"] += 1
                self._gone.add(name)
                continue
            if (key[0], key[1]) in kinds and known(key[2]):
                self._load(key, part, body, name)
            else:
                self._gone.add(name)

    def sweep(self, now: float) -> None:
        """Look at a few cells and drop the windows that nothing feeds any more."""
        if not self._to_sweep:
            self._to_sweep = list(self._cells)
        for key in self._to_sweep[-_SWEEP:]:
            cell = self._cells.get(key) if key[0] in _WINDOWS else None
            if isinstance(cell, Slots) and now - cell.at > _DROP_AFTER * cell.over_s:
                self._drop(key)
        del self._to_sweep[-_SWEEP:]

    def _load(self, key: CellKey, part: int, body: bytes, name: str) -> None:
        cell = self.cell(key)
        try:
            if cell is not None:
                cell.load(part, body)
                cell.stored |= 1 << part
        except (ValueError, IndexError, struct.error):
            self.counters["rule_memory_unreadable"] += 1
            self._gone.add(name)

    def _drop(self, key: CellKey) -> None:
        cell = self._cells.pop(key)
        cell.key = None
        self.drops += key[0] != "f"
        if key[0] == "f":
            self._flapping[key[2:5]] -= 1
            if not self._flapping[key[2:5]]:
                del self._flapping[key[2:5]]
        self._gone.update(f"{_name(key)}{part}" for part in _parts(cell.stored))


def _parts(bits: int) -> Iterator[int]:
    return (part for part in range(bits.bit_length()) if bits >> part & 1)


def _name(key: CellKey) -> str:
    kind, detail, target, check, vantage, labels = key
    flat = [text for pair in labels for text in pair]
    return _SEPARATOR.join((kind, detail, target, check, vantage, *flat, ""))


def _key(name: str) -> tuple[CellKey, int]:
    kind, detail, target, check, vantage, *flat, part = name.split(_SEPARATOR)
    labels = tuple(zip(flat[::2], flat[1::2], strict=True))
    return (kind, detail, target, check, vantage, labels), int(part)
