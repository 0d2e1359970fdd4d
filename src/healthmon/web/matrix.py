"""Areas by services: every state with its word and its shape, by site, the areas in trouble first. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from healthmon.model.incident import ServiceState
from healthmon.model.topology import Area, Service
from healthmon.model.view import ServiceStatus, View
from healthmon.web.words import NOT_PROVEN, PROOF_FRESH_S, STATE_WORDS, LocalTime, area_words

CELLS_MOST = 3000  # a larger matrix shows only rows and columns with something to say
_TROUBLE = ("lost", "degraded", "unknown", "at_risk")
_RANKS = {state: rank for rank, state in enumerate((*_TROUBLE, "quiet", "ok", "none"))}
_ACUITIES = {"critical": 0, "high": 1, "inpatient": 2, "outpatient": 3, "none": 4}


def state_rank(state: str) -> int:
    """0 is the worst."""
    return _RANKS[state]


def acuity_rank(area: Area) -> int:
    """0 is the most critical."""
    return _ACUITIES[area.acuity.value]


@dataclass(frozen=True, slots=True)
class Cell:
    """One area x one service; `state` is also the css class."""

    area: str
    service: str
    service_name: str
    state: str
    word: str
    symbol: str
    since: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class AreaRow:
    """One line of the matrix; `trouble` are its cells that are not ok, worst first."""

    id: str
    site: str
    name: str
    words: str
    worst: str
    cells: tuple[Cell, ...]
    trouble: tuple[Cell, ...]
    fine: int


@dataclass(frozen=True, slots=True)
class SiteRows:
    """The lines of one site; `name` is empty where there is only one."""

    name: str
    rows: tuple[AreaRow, ...]
    trouble: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """Areas by services, and how many lines and columns were left out because all is well there."""

    columns: tuple[Service, ...]
    rows: tuple[AreaRow, ...]
    quiet_rows: int = 0
    quiet_columns: int = 0
    sites: tuple[SiteRows, ...] = ()


def matrix_of(view: View, clock: LocalTime, *, everything: bool = False) -> Matrix:
    """Areas with trouble first; a large hospital shows only what has something to say."""
    estate = view.estate
    used = {service for _, service in view.services}
    columns = sorted((s for s in estate.services.values() if s.id in used), key=lambda s: (s.tier, s.name))
    rows = [row(area, columns, view, clock) for area in estate.areas.values()]
    rows = [one for one in rows if any(cell.state != "none" for cell in one.cells)]
    rows.sort(key=lambda one: _order(one, estate.areas[one.id]))
    if everything or len(rows) * len(columns) <= CELLS_MOST:
        return Matrix(tuple(columns), tuple(rows), sites=by_site(rows, view))
    loud = [one for one in rows if one.trouble]
    speaking = {cell.service for one in loud for cell in one.trouble}
    kept = [n for n, service in enumerate(columns) if service.id in speaking]
    shown = tuple(_narrow(one, kept) for one in loud)
    return Matrix(
        tuple(columns[n] for n in kept),
        shown,
        quiet_rows=len(rows) - len(loud),
        quiet_columns=len(columns) - len(kept),
        sites=by_site(shown, view),
    )


def by_site(rows: Iterable[AreaRow], view: View) -> tuple[SiteRows, ...]:
    """The lines by site, the site with the worst trouble first."""
    found: dict[str, list[AreaRow]] = {}
    for one in rows:
        found.setdefault(one.site, []).append(one)
    named = {site: view.estate.sites[site].name if site in view.estate.sites else site for site in found}
    made = [
        SiteRows(named[site] if len(found) > 1 else "", tuple(own), sum(1 for one in own if one.trouble))
        for site, own in found.items()
    ]
    return tuple(sorted(made, key=lambda site: (min(state_rank(one.worst) for one in site.rows), site.name)))


def _order(one: AreaRow, area: Area) -> tuple[bool, int, int, str]:
    """Trouble first, then the most critical areas, then the worst state."""
    return not one.trouble, acuity_rank(area), state_rank(one.worst), one.name


def row(area: Area, columns: Iterable[Service], view: View, clock: LocalTime) -> AreaRow:
    """One area's line."""
    cells = tuple(cell(area.id, s, view.services.get((area.id, s.id)), clock) for s in columns)
    trouble = sorted((c for c in cells if c.state in _TROUBLE), key=lambda c: state_rank(c.state))
    worst = trouble[0].state if trouble else "ok"
    fine = sum(1 for c in cells if c.state in ("ok", "quiet"))
    return AreaRow(area.id, area.site, area.name, area_words(area), worst, cells, tuple(trouble), fine)


def cell(area: str, service: Service, status: ServiceStatus | None, clock: LocalTime) -> Cell:
    """One state in words; `ok` only when an ok reading from that very area is fresh, else `no fault seen`."""
    if status is None:
        return Cell(area, service.id, service.name, "none", "not used here", "–")
    state, (word, symbol) = status.state.value, STATE_WORDS[status.state]
    if status.state is ServiceState.OK:
        if status.proven_at is None or clock.now - status.proven_at > PROOF_FRESH_S:
            word, symbol = NOT_PROVEN
            title = "nothing in this area tests it" if status.proven_at is None else "not tested from here lately"
            return Cell(area, service.id, service.name, "quiet", word, symbol, title=title)
        return Cell(area, service.id, service.name, "ok", word, symbol, title=f"proven {clock.short(status.proven_at)}")
    title = f"behind it: {', '.join(status.causes)}" if status.causes else ""
    return Cell(area, service.id, service.name, state, word, symbol, clock.short(status.since), title)


def _narrow(one: AreaRow, kept: list[int]) -> AreaRow:
    return replace(one, cells=tuple(one.cells[n] for n in kept))
