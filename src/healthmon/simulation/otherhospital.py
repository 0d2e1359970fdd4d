"""A second, differently built hospital (generator two): nothing is tuned on it, and its figures are reported apart.

One site, a collapsed core of two that also serves the floors, a pair of switches for every floor instead of
distribution, one access switch for two small areas, physical servers, the record hosted by a supplier behind two
routers, a desktop farm, one storage array for everything, other intervals, fewer agents, and a fifth of what programs
need missing from the inventory.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from healthmon.model.topology import Acuity, AreaKind, AtLeast, Check, Need, Site
from healthmon.simulation.plant import OFFICE_HOURS, Blueprint, Group, Plant, any_of, check

_AREAS = (
    (AreaKind.ED, Acuity.CRITICAL, 1),
    (AreaKind.ICU, Acuity.CRITICAL, 1),
    (AreaKind.THEATRE, Acuity.CRITICAL, 2),
    (AreaKind.WARD, Acuity.INPATIENT, 8),
    (AreaKind.CLINIC, Acuity.OUTPATIENT, 3),
    (AreaKind.LAB, Acuity.HIGH, 1),
    (AreaKind.IMAGING, Acuity.HIGH, 1),
    (AreaKind.PHARMACY, Acuity.OUTPATIENT, 1),
)
_PER_FLOOR = 6


@dataclass(frozen=True, slots=True)
class OtherShape:
    """Intervals in seconds."""

    targets: int = 300
    seed: int = 1
    network_every_s: float = 5.0
    program_every_s: float = 5.0
    edge_every_s: float = 30.0
    undeclared_ratio: float = 0.2


def other_hospital(shape: OtherShape = OtherShape()) -> Plant:
    """About this many targets; the same for the same shape."""
    return _Other(shape).build()


class _Other:
    def __init__(self, shape: OtherShape) -> None:
        self.shape = shape
        self.chance = random.Random(f"other-{shape.seed}-{shape.targets}")
        self.plan = Blueprint("trust-two", (Site("hill", "Hill", "Europe/London"),), "watcher")
        self.repeats = max(1, round(shape.targets / 330))
        self.ping = check("icmp", shape.network_every_s)

    def build(self) -> Plant:
        self._network()
        self._servers()
        rooms = [(f"{kind.value}-{letter}{number}", kind, acuity) for number in range(1, self.repeats + 1)
                 for kind, acuity, count in _AREAS for letter in "abcdefgh"[:count]]  # fmt: skip
        floors = [rooms[at : at + _PER_FLOOR] for at in range(0, len(rooms), _PER_FLOOR)]
        fixed = len(self.plan.targets) + 3 * len(floors) + round(0.75 * len(rooms))
        each = max(4, (self.shape.targets - fixed) // len(rooms))
        for number, floor in enumerate(floors, start=1):
            self._floor(number, floor, each)
        self._services()
        return self.plan.plant()

    def _network(self) -> None:
        plan = self.plan
        plan.thing("power-1", "ups", checks=[check("snmp", 20.0)], team="estates", declares_way=False)
        plan.thing("power-2", "ups", checks=[check("snmp", 20.0)], team="estates", declares_way=False)
        for number in (1, 2):
            plan.thing(f"spine-{number}", "switch", feeds=("power-1", "power-2"), checks=[self.ping], team="network",
                       declares_power=True)  # fmt: skip
        self.core: Group = ("spine-1", "spine-2")
        plan.ways["power-1"] = plan.ways["power-2"] = (self.core,)
        plan.thing("gate", "firewall", up=self.core, feeds=("power-1", "power-2"), checks=[self.ping], team="network")
        for number in (1, 2):
            plan.thing(f"wan-{number}", "router", up=("gate",), feeds=(f"power-{number}",), checks=[self.ping],
                       team="network")  # fmt: skip

    def _server(
        self, id_: str, *looks: Check, kind: str = "server", needs: tuple[Need, ...] = (), feed: int = 1
    ) -> None:
        """Straight on the core, on one feed; what it needs is missing from the inventory one time in five."""
        hidden = [n for n in needs if isinstance(n, str) and self.chance.random() < self.shape.undeclared_ratio]
        self.plan.thing(id_, kind, up=self.core, feeds=(f"power-{feed}",), checks=looks, team="apps", hidden=hidden,
                        functions=[need for need in needs if need not in hidden])  # fmt: skip

    def _servers(self) -> None:
        often = self.shape.program_every_s
        self._server("watcher", feed=2)
        self._server("san", check("snmp", 30.0), kind="storage")
        for number in (1, 2):
            self._server(f"dir-{number}", check("ldap", often), feed=number)
            self._server(f"resolver-{number}", check("dns", often), feed=number)
            self._server(f"farm-{number}", check("tcp", often), kind="hypervisor", feed=number, needs=("san",))
        self._server("air", check("snmp", 30.0), kind="wlan-controller", feed=2)
        self._server("leases", check("icmp", 15.0))
        self._server("exchange", check("icmp", 15.0), check("hl7", 20.0), needs=("san",))
        self._server("printing", check("ipp", 15.0), check("icmp", 15.0), kind="print-server", needs=("san",))
        self._server("sql", check("tcp", often), kind="database", needs=("san",))
        desktops: Need = AtLeast(1, ("farm-1", "farm-2"))
        for id_ in ("labsys", "bloodbank", "pictures", "theatre-plan", "bedside", "letters", "forms"):
            needs = ("san",) if id_ == "pictures" else ("sql", desktops) if id_ in ("forms", "bedside") else ("sql",)
            self._server(id_, check("http", often), kind="endpoint", needs=needs)
        outside = [check("http", often), check("http", 20.0, id_="seen", vantages=("agents",))]
        self.plan.thing("cloud-record", "endpoint", up=("wan-1", "wan-2"), checks=outside, team="apps")
        self.plan.thing("national-id", "endpoint", up=("wan-1", "wan-2"), checks=[check("http", 20.0)], team="apps")
        self.plan.thing("record-copy", "endpoint", up=self.core, checks=[check("http", 30.0)], team="apps")

    def _floor(self, number: int, floor: list[tuple[str, AreaKind, Acuity]], each: int) -> None:
        """Two switches for the floor, one UPS for its cabinet; small areas share an access switch."""
        plan, feed = self.plan, f"power-floor-{number}"
        plan.thing(feed, "ups", checks=[check("snmp", 20.0)], team="estates", declares_way=False)
        pair = tuple(
            plan.thing(
                f"floor-{number}-{side}", "switch", up=self.core, feeds=(feed,), checks=[self.ping], team="network"
            )
            for side in ("left", "right")
        )
        plan.ways[feed] = (pair, self.core)
        switch = ""
        for place, (area, kind, acuity) in enumerate(floor):
            if acuity is Acuity.CRITICAL:
                plan.area(area, kind, acuity, site="hill", beds=12, needs=[any_of(pair)])
                self._endpoints(area, pair, each)
                continue
            if place % 2 == 0 or not switch:
                switch = plan.thing(f"acc-{number}-{place}", "switch", up=pair, area=area, site="hill", feeds=(feed,),
                                    checks=[self.ping, check("snmp", 60.0)], team="network")  # fmt: skip
            hours = OFFICE_HOURS if kind in (AreaKind.CLINIC, AreaKind.PHARMACY) else None
            plan.area(area, kind, acuity, site="hill", beds=24, needs=[switch], staffed=hours)
            self._endpoints(area, (switch,), each)

    def _endpoints(self, area: str, switch: Group, count: int) -> None:
        """A third of the PCs have agents; the others are pinged."""
        plan, edge = self.plan, self.shape.edge_every_s
        for number in range(count):
            id_, sort = f"{area}-d{number}", number % 6
            if sort in (0, 3):
                marks = {"image": f"gold-{self.chance.randrange(3)}", "ring": f"wave-{self.chance.randrange(4)}",
                         "scope": f"net-{area}"}  # fmt: skip
                plan.thing(id_, "ward-workstation", up=switch, area=area, labels=marks, team="desktop")
                plan.agent(id_, role="ward-workstation", observes=number < 4)
            elif sort == 4:
                plan.thing(id_, "access-point", up=switch, area=area, functions=["air"], feeds=switch[:1],
                           checks=[check("icmp", edge)], team="network")  # fmt: skip
            elif sort == 5:
                plan.thing(id_, "label-printer", up=switch, area=area, checks=[check("snmp", edge)], team="desktop")
            else:
                plan.thing(id_, "thin-client", up=switch, area=area, functions=[AtLeast(1, ("farm-1", "farm-2"))],
                           checks=[check("icmp", edge)], team="desktop")  # fmt: skip

    def _services(self) -> None:
        plan = self.plan

        def at(*kinds: AreaKind) -> list[str]:
            return [area.id for area in plan.areas.values() if area.kind in kinds]

        beds = (AreaKind.WARD, AreaKind.ED, AreaKind.ICU)
        urgent = (AreaKind.ED, AreaKind.ICU, AreaKind.THEATRE)
        plan.service("sign-in", 0, None, AtLeast(1, ("dir-1", "dir-2")), fallback=None)
        plan.service("names", 0, None, AtLeast(1, ("resolver-1", "resolver-2")), fallback=None)
        plan.service("record", 1, None, "cloud-record", "sign-in", "names", fallback="Copy", proven_by="record-copy")
        plan.service("desktops", 1, at(*beds), AtLeast(1, ("farm-1", "farm-2")), "sign-in")
        plan.service("laboratory", 1, None, "labsys", "exchange", fallback="Telephone")
        plan.service("transfusion", 1, at(*urgent), "bloodbank", "labsys")
        plan.service("scans", 1, at(*urgent, AreaKind.IMAGING), "pictures")
        plan.service("wristbands", 1, at(*beds), "printing")
        plan.service("theatres", 1, at(AreaKind.THEATRE), "theatre-plan", "sign-in")
        plan.service("observations", 2, at(AreaKind.WARD), "bedside", "air")
        plan.service("e-forms", 2, at(AreaKind.CLINIC, AreaKind.WARD), "forms", "exchange")
        plan.service("national", 2, at(AreaKind.ED, AreaKind.PHARMACY), "national-id")
        plan.service("dictation", 3, at(AreaKind.CLINIC), "letters")
