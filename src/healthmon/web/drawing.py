"""Layered drawings: boxes in columns, what is needed on the left, lines from left to right. Plain numbers for SVG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

WIDTH, LINE_HEIGHT, PAD = 226, 16, 8
GAP_X, GAP_Y, MARGIN = 72, 14, 12
#: A layer of more boxes than this stands in several columns.
COLUMN_MOST = 18
_SWEEPS = 4
#: A line from a box in such a state is part of the trouble.
AMISS = frozenset({"lost", "degraded", "unknown", "at_risk"})


@dataclass(frozen=True, slots=True)
class Box:
    """One thing: a title and lines below it. state is the css class, symbol its shape; role says what it is here."""

    id: str
    title: str
    state: str = "none"
    symbol: str = ""
    lines: tuple[str, ...] = ()
    role: str = ""
    href: str = ""
    x: int = 0
    y: int = 0
    width: int = WIDTH

    @property
    def height(self) -> int:
        return 2 * PAD + LINE_HEIGHT * (1 + len(self.lines))


@dataclass(frozen=True, slots=True)
class Wire:
    """A line between two boxes, as the `d` of a path. kind: need, hit, link or stale; says: its tooltip."""

    d: str
    kind: str
    says: str


@dataclass(frozen=True, slots=True)
class Edge:
    source: str
    target: str
    kind: str = "need"
    says: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    boxes: tuple[Box, ...] = ()
    wires: tuple[Wire, ...] = ()
    width: int = 0
    height: int = 0
    left_out: int = 0


def layered(boxes: Sequence[Box], edges: Sequence[Edge], layers: Mapping[str, int], *, left_out: int = 0) -> Drawing:
    """Place every box in its layer, near what it hangs on; lines that end at a box not shown are left out."""
    known = {box.id: box for box in boxes}
    kept = [edge for edge in edges if edge.source in known and edge.target in known]
    columns = _ordered(_columns(boxes, layers), kept)
    placed = _placed(columns, known, kept)
    wires = [_wire(placed[edge.source], placed[edge.target], edge) for edge in kept]
    width = max((box.x + box.width for box in placed.values()), default=0) + MARGIN
    height = max((box.y + box.height for box in placed.values()), default=0) + MARGIN
    return Drawing(tuple(placed.values()), tuple(dict.fromkeys(wires)), width, height, left_out)


def ranks(ids: Iterable[str], edges: Iterable[Edge]) -> dict[str, int]:
    """The longest way to each from what nothing leads to; a circle (links know rings) ends where it is met again."""
    before: dict[str, list[str]] = {id_: [] for id_ in ids}
    for edge in edges:
        if edge.source in before and edge.target in before and edge.source != edge.target:
            before[edge.target].append(edge.source)
    found: dict[str, int] = {}
    for start in before:
        _rank(start, before, found)
    return found


def _rank(start: str, before: Mapping[str, Sequence[str]], found: dict[str, int]) -> None:
    stack, open_ = [start], {start}
    while stack:
        here = stack[-1]
        todo = next((one for one in before[here] if one not in found and one not in open_), None)
        if todo is not None:
            stack.append(todo)
            open_.add(todo)
            continue
        stack.pop()
        found.setdefault(here, 1 + max((found[one] for one in before[here] if one in found), default=-1))


def _columns(boxes: Sequence[Box], layers: Mapping[str, int]) -> list[list[str]]:
    """One list of ids for each layer that is in use, from left to right."""
    found: dict[int, list[str]] = {}
    for box in boxes:
        found.setdefault(layers.get(box.id, 0), []).append(box.id)
    return [found[layer] for layer in sorted(found)]


def _ordered(columns: list[list[str]], edges: Sequence[Edge]) -> list[list[str]]:
    """Each column sorted by the middle of its neighbours (barycentre), a few times to and fro."""
    near: dict[str, list[str]] = {}
    for edge in edges:
        near.setdefault(edge.source, []).append(edge.target)
        near.setdefault(edge.target, []).append(edge.source)
    spot = {id_: row / max(1, len(column)) for column in columns for row, id_ in enumerate(column)}
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            middle = {id_: _mean([spot[one] for one in near.get(id_, ())], spot[id_]) for id_ in column}
            column.sort(key=lambda id_: middle[id_])
            spot.update((id_, row / max(1, len(column))) for row, id_ in enumerate(column))
    return columns


def _placed(columns: Sequence[Sequence[str]], known: Mapping[str, Box], edges: Sequence[Edge]) -> dict[str, Box]:
    parts = [part for column in columns for part in _parts(column)]
    tall = max((_height(part, known) for part in parts), default=0)
    sources: dict[str, list[str]] = {}
    for edge in edges:
        sources.setdefault(edge.target, []).append(edge.source)
    placed: dict[str, Box] = {}
    x = MARGIN
    for part in parts:
        wanted = {
            id_: [placed[one].y + placed[one].height / 2 for one in sources.get(id_, ()) if one in placed]
            for id_ in part
        }
        for id_, y in _rows(part, wanted, known, tall).items():
            placed[id_] = replace(known[id_], x=x, y=y)
        x += WIDTH + GAP_X
    return placed


def _parts(column: Sequence[str]) -> list[Sequence[str]]:
    """A long column as several of about the same length."""
    count = -(-len(column) // COLUMN_MOST)
    size = -(-len(column) // count)
    return [column[at : at + size] for at in range(0, len(column), size)]


def _height(part: Sequence[str], known: Mapping[str, Box]) -> int:
    return sum(known[id_].height + GAP_Y for id_ in part) - GAP_Y


def _rows(
    part: Sequence[str], wanted: Mapping[str, Sequence[float]], known: Mapping[str, Box], tall: int
) -> dict[str, int]:
    """Each box beside the middle of what it hangs on, none upon another, all within the tallest column."""
    free = MARGIN + (tall - _height(part, known)) / 2
    found: dict[str, float] = {}
    below = float(MARGIN)
    for id_ in part:
        height = known[id_].height
        y = max(below, _mean(wanted[id_], free + height / 2) - height / 2)
        found[id_] = y
        below = y + height + GAP_Y
        free = below
    over = below - GAP_Y - (MARGIN + tall)
    if over > 0:  # pushed down too far: everything moves up as far as the one above allows
        limit = float(MARGIN + tall)
        for id_ in reversed(part):
            found[id_] = min(found[id_], limit - known[id_].height)
            limit = found[id_] - GAP_Y
    return {id_: round(y) for id_, y in found.items()}


def _wire(one: Box, two: Box, edge: Edge) -> Wire:
    """A curve from the right side of the one to the left side of the other; within a column, round the outside."""
    y1, y2 = one.y + one.height // 2, two.y + two.height // 2
    if one.x == two.x:
        x = one.x + one.width
        d = f"M{x} {y1}C{x + GAP_X // 2} {y1} {x + GAP_X // 2} {y2} {x} {y2}"
    else:
        left, right = (one, two) if one.x < two.x else (two, one)
        x1, x2 = left.x + left.width, right.x
        if left is two:
            y1, y2 = y2, y1
        bend = (x2 - x1) // 2
        d = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return Wire(d, f"{edge.kind} w-amiss" if one.state in AMISS else edge.kind, edge.says)


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
