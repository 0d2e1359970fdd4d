"""Layered drawings: boxes in columns, what is needed on the left, lines from left to right. Plain numbers for SVG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

WIDTH, LINE_HEIGHT, PAD = 226, 16, 8
GAP_X, GAP_Y, MARGIN = 72, 14, 12
#: A layer of more boxes than this stands in several columns.
COLUMN_MOST = 18
_SWEEPS = 4
#: A line from a box in such a state is part of the trouble.
AMISS = frozenset({"lost", "degraded", "unknown", "at_risk"})
#: The role of a place where a long line crosses a column.
BEND = "bend"
#: Two ids that a line joins, one column apart.
Step = tuple[str, str]


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
        return 2 * PAD + LINE_HEIGHT * (1 + len(self.lines)) if self.role != BEND else 2


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
    at = _numbered(boxes, layers)
    ways = {edge: _way(edge, at) for edge in kept}
    bends = {id_: at_layer for way in ways.values() for id_, at_layer in way}
    steps = [
        step for edge, way in ways.items() for step in pairwise([edge.source, *(id_ for id_, _ in way), edge.target])
    ]
    columns = _ordered(_columns({**at, **bends}), steps)
    placed = _placed(columns, known | {id_: Box(id_, "", role=BEND) for id_ in bends}, steps)
    wires = [
        _wire([placed[edge.source], *(placed[id_] for id_, _ in way), placed[edge.target]], edge)
        for edge, way in ways.items()
    ]
    shown = [box for box in placed.values() if box.role != BEND]
    width = max((box.x + box.width for box in shown), default=0) + MARGIN
    height = max((box.y + box.height for box in placed.values()), default=0) + MARGIN
    return Drawing(tuple(shown), tuple(dict.fromkeys(wires)), width, height, left_out)


def _numbered(boxes: Sequence[Box], layers: Mapping[str, int]) -> dict[str, int]:
    """The layer of each box, counted without empty ones."""
    used = {layer: number for number, layer in enumerate(sorted({layers.get(box.id, 0) for box in boxes}))}
    return {box.id: used[layers.get(box.id, 0)] for box in boxes}


def _way(edge: Edge, at: Mapping[str, int]) -> list[tuple[str, int]]:
    """Where a long line crosses layers; lines from one box share their way, so that they do not run through boxes."""
    return [(f"{edge.source}\n{layer}", layer) for layer in range(at[edge.source] + 1, at[edge.target])]


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


def _columns(at: Mapping[str, int]) -> list[list[str]]:
    """The ids of each layer, from left to right."""
    found: list[list[str]] = [[] for _ in range(max(at.values(), default=-1) + 1)]
    for id_, layer in at.items():
        found[layer].append(id_)
    return found


def _ordered(columns: list[list[str]], steps: Sequence[Step]) -> list[list[str]]:
    """Each column sorted by the middle of its neighbours (barycentre), a few times to and fro."""
    near: dict[str, list[str]] = {}
    for source, target in steps:
        near.setdefault(source, []).append(target)
        near.setdefault(target, []).append(source)
    spot = {id_: row / max(1, len(column)) for column in columns for row, id_ in enumerate(column)}
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            middle = {id_: _mean([spot[one] for one in near.get(id_, ())], spot[id_]) for id_ in column}
            column.sort(key=lambda id_: middle[id_])
            spot.update((id_, row / max(1, len(column))) for row, id_ in enumerate(column))
    return columns


def _placed(columns: Sequence[Sequence[str]], known: Mapping[str, Box], steps: Sequence[Step]) -> dict[str, Box]:
    parts = [part for column in columns for part in _parts(column)]
    tall = max((_height(part, known) for part in parts), default=0)
    sources: dict[str, list[str]] = {}
    for source, target in steps:
        sources.setdefault(target, []).append(source)
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


def _wire(stops: Sequence[Box], edge: Edge) -> Wire:
    """From the right side of the first to the left side of the last, straight across the columns between."""
    one, two = stops[0], stops[-1]
    kind = f"{edge.kind} w-amiss" if one.state in AMISS else edge.kind
    if two.x < one.x:
        stops = stops[::-1]
    if one.x == two.x:
        x, y1, y2 = one.x + one.width, _middle(one), _middle(two)
        return Wire(f"M{x} {y1}C{x + GAP_X // 2} {y1} {x + GAP_X // 2} {y2} {x} {y2}", kind, edge.says)
    x, y = stops[0].x + stops[0].width, _middle(stops[0])
    parts = [f"M{x} {y}"]
    for stop in stops[1:]:
        bend, to_y = (stop.x - x) // 2, _middle(stop)
        parts.append(f"C{x + bend} {y} {stop.x - bend} {to_y} {stop.x} {to_y}")
        x, y = stop.x, to_y
        if stop.role == BEND:
            x += stop.width
            parts.append(f"H{x}")
    return Wire("".join(parts), kind, edge.says)


def _middle(box: Box) -> int:
    return box.y + box.height // 2


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
