"""The map of links: both ends of what devices told of their neighbours, with the needs among them, in layers. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from healthmon.model.topology import Estate, need_ids
from healthmon.model.view import TargetStatus
from healthmon.web.drawing import Box, Drawing, Edge, layered, ranks
from healthmon.web.targetrows import target_state

#: Beyond so many things a drawing tells nothing: the table does.
MOST_NODES = 80
TITLE_MOST = 25


def link_map(items: Sequence[Mapping[str, Any]], estate: Estate, seen: Mapping[str, TargetStatus]) -> Drawing:
    """Needs order the layers; links lie where they are. What is not in the inventory is drawn with a broken line."""
    ends = Counter(end["target"] for item in items for end in item["between"])
    chosen = sorted(ends, key=lambda name: (name not in estate.targets, -ends[name], name))[:MOST_NODES]
    needs = [Edge(need, name, "need", f"{name} needs {need}") for name in chosen for need in _needs(name, ends, estate)]
    links = [_link(item) for item in items]
    boxes = [_box(name, estate, seen) for name in sorted(chosen)]
    return layered(boxes, [*needs, *links], ranks(chosen, needs), left_out=len(ends) - len(chosen))


def _needs(name: str, names: Iterable[str], estate: Estate) -> list[str]:
    target = estate.targets.get(name)
    wanted = set(need_ids(target.needs)) if target is not None else set()
    return sorted(wanted & set(names))


def _box(name: str, estate: Estate, seen: Mapping[str, TargetStatus]) -> Box:
    target = estate.targets.get(name)
    title = name if len(name) <= TITLE_MOST else name[: TITLE_MOST - 1] + "…"
    if target is None:
        return Box(name, title, "none", "–", ("not in the inventory",), "unmapped")
    state, word, symbol = target_state(seen.get(name))
    return Box(name, title, state, symbol, (f"{target.kind}: {word}",), "member", f"/targets/{name}")


def _link(item: Mapping[str, Any]) -> Edge:
    one, two = (end["target"] for end in item["between"])
    ends = " to ".join(f"{end['target']} {end['port']}".strip() for end in item["between"])
    says = f"{ends}: {item['source']}, told by {', '.join(item['seen_by'])}"
    return Edge(one, two, "stale" if item["stale"] else "link", says)
