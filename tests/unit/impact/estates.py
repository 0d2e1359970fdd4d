"""Estates with nothing in them but needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from healthmon.model.topology import (
    Acuity,
    Area,
    AreaKind,
    Estate,
    Need,
    Organisation,
    Service,
    Site,
    Target,
)

MAIN = Site("main", "Main", "Europe/London")


def targets(needs: Mapping[str, tuple[Need, ...]]) -> list[Target]:
    return [Target(id_, id_, "server", "192.0.2.1", "main", needs=own) for id_, own in needs.items()]


def service(id_: str, *needs: Need, used_in: tuple[str, ...] = (), tier: int = 1, everywhere: bool = False) -> Service:
    return Service(id_, id_, tier, used_in, everywhere, needs)


def area(id_: str, *needs: Need, acuity: Acuity = Acuity.INPATIENT, site: str = "main", **more: Any) -> Area:
    return Area(id_, id_, more.pop("kind", AreaKind.WARD), acuity, site, needs=needs, **more)


def estate_of(
    things: Iterable[Target],
    areas: Iterable[Area] = (),
    services: Iterable[Service] = (),
    sites: Iterable[Site] = (MAIN,),
) -> Estate:
    return Estate(
        organisation=Organisation("trust", "Trust", "Europe/London"),
        sites={one.id: one for one in sites},
        areas={one.id: one for one in areas},
        services={one.id: one for one in services},
        targets={one.id: one for one in things},
        teams={},
        agents={},
    )
