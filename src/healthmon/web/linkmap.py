"""Where the things of the link page stand: layers by what needs what, plain numbers for a drawing without a script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from healthmon.model.topology import Estate, need_ids

#: Beyond so many things a drawing tells nothing: the table does.
MOST_NODES = 80
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 150, 26, 60, 14, 10


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    x: int
    y: int
    known: bool
    width: int = _WIDTH
    height: int = _HEIGHT


@dataclass(frozen=True, slots=True)
class Line:
    """`kind`: need (declared), link (learned) or stale (learned, long not seen); `says` is its tooltip."""

    x1: int
    y1: int
    x2: int
    y2: int
    kind: str
    says: str


@dataclass(frozen=True, slots=True)
class LinkMap:
    nodes: tuple[Node, ...] = ()
    lines: tuple[Line, ...] = ()
    width: int = 0
    height: int = 0
    left_out: int = 0  # things without a place in the drawing


def link_map(items: Sequence[Mapping[str, Any]], estate: Estate) -> LinkMap:
    """Both ends of every link, with the needs among them: needs from left to right, links where they are."""
    names = sorted({end["target"] for item in items for end in item["between"]})
    needs = {name: _needs(name, names, estate) for name in names}
    ranks = _ranks(needs)
    ends = Counter(end["target"] for item in items for end in item["between"])
    chosen = sorted(names, key=lambda name: (name not in estate.targets, -ends[name], name))[:MOST_NODES]
    shown = sorted(chosen, key=lambda name: (ranks[name], name))
    nodes = _placed(shown, ranks, estate)
    at = {node.id: node for node in nodes}
    lines = [_line(at[one], at[two], "need", f"{one} needs {two}") for one in shown for two in needs[one] if two in at]
    for item in items:
        one, two = (end["target"] for end in item["between"])
        if one in at and two in at:
            lines.append(_line(at[one], at[two], "stale" if item["stale"] else "link", _says(item)))
    width = max((node.x + _WIDTH for node in nodes), default=0) + _MARGIN
    height = max((node.y + _HEIGHT for node in nodes), default=0) + _MARGIN
    return LinkMap(tuple(nodes), tuple(lines), width, height, len(names) - len(shown))


def _needs(name: str, names: Iterable[str], estate: Estate) -> list[str]:
    target = estate.targets.get(name)
    wanted = set(need_ids(target.needs)) if target is not None else set()
    return sorted(wanted & set(names))


def _ranks(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many steps of need lie beneath each; the configuration allows no circle."""
    ranks: dict[str, int] = {}

    def rank(name: str) -> int:
        if name not in ranks:
            ranks[name] = 1 + max((rank(other) for other in needs[name]), default=-1)
        return ranks[name]

    for name in needs:
        rank(name)
    return ranks


def _placed(shown: Sequence[str], ranks: Mapping[str, int], estate: Estate) -> list[Node]:
    filled: dict[int, int] = {}
    nodes = []
    for name in shown:
        row = filled[ranks[name]] = filled.get(ranks[name], -1) + 1
        x, y = _MARGIN + ranks[name] * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y)
        nodes.append(Node(name, x, y, name in estate.targets))
    return nodes


def _line(one: Node, two: Node, kind: str, says: str) -> Line:
    """From middle to middle; a link beside a need is drawn a little lower."""
    shift = _HEIGHT // 2 + (0 if kind == "need" else 6)
    middle = _WIDTH // 2
    return Line(one.x + middle, one.y + shift, two.x + middle, two.y + shift, kind, says)


def _says(item: Mapping[str, Any]) -> str:
    ends = " to ".join(f"{end['target']} {end['port']}".strip() for end in item["between"])
    return f"{ends}: {item['source']}, told by {', '.join(item['seen_by'])}"
