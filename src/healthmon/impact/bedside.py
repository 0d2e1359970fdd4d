"""What is left of the devices of one kind in one area, and which incident took the last of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from healthmon.model.incident import ServiceState

#: Half of an area's devices of a kind gone is work slowed down, if half is so many.
HALF_FROM = 3


@dataclass(frozen=True, slots=True)
class Toll:
    """`own`: those of one incident; `before`: gone when it took its last; `state`: what it has made of the area.

    LOST: none of two or more works. DEGRADED: half are gone. One loss has one author: the incident that took the last,
    or that made it half.
    """

    peers: frozenset[str]
    own: frozenset[str]
    before: frozenset[str]
    state: ServiceState | None = None

    @property
    def last(self) -> bool:
        """The others had gone one by one, and now none works."""
        return bool(self.before) and self.state is ServiceState.LOST


def toll(own: Collection[str], peers: Collection[str], gone: Mapping[str, float]) -> Toll:
    """Weigh what one incident took of the peers. `gone`: what fails in any incident, since when; own may be newer."""
    mine, all_ = frozenset(own) & frozenset(peers), frozenset(peers)
    since = {id_: gone[id_] for id_ in all_ & gone.keys()}
    since |= dict.fromkeys(mine - since.keys(), float("inf"))
    order = sorted(since, key=lambda id_: (since[id_], id_))
    newest = max((order.index(id_) for id_ in mine), default=-1)
    before = frozenset(order[: newest + 1]) - mine
    return Toll(all_, mine, before, _state(mine, order, len(all_)))


def _state(mine: frozenset[str], order: list[str], whole: int) -> ServiceState | None:
    half = max(HALF_FROM, -(-whole // 2))
    if len(order) == whole >= 2 and order[-1] in mine:
        return ServiceState.LOST
    if len(mine) >= half or (len(order) >= half and order[half - 1] in mine):
        return ServiceState.DEGRADED
    return None
