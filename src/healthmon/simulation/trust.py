"""A synthetic acute trust of any size (generator one), shaped by published figures: see the table in docs/benchmark.md.

Two core switches, distribution pairs, access switches with their own power, a data centre behind two firewalls,
virtual servers on shared storage, one poller, and an agent on every ward PC. The hospital is ours; no evidence from
the field.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from healthmon.model.topology import Acuity, AreaKind, AtLeast, Check, Need, Site
from healthmon.simulation.plant import OFFICE_HOURS, Blueprint, Group, Plant, check

#: (kind, acuity, beds, share of areas); what one acute trust has, from DOMAIN-like published lists of wards.
_AREAS = (
    (AreaKind.ED, Acuity.CRITICAL, 40, 0.03),
    (AreaKind.ICU, Acuity.CRITICAL, 16, 0.05),
    (AreaKind.THEATRE, Acuity.CRITICAL, 10, 0.06),
    (AreaKind.MATERNITY, Acuity.CRITICAL, 20, 0.04),
    (AreaKind.WARD, Acuity.INPATIENT, 25, 0.44),
    (AreaKind.CLINIC, Acuity.OUTPATIENT, 0, 0.20),
    (AreaKind.PHARMACY, Acuity.OUTPATIENT, 0, 0.04),
    (AreaKind.LAB, Acuity.HIGH, 0, 0.04),
    (AreaKind.IMAGING, Acuity.HIGH, 0, 0.04),
    (AreaKind.OFFICE, Acuity.NONE, 0, 0.06),
)
_OFFICE = (AreaKind.CLINIC, AreaKind.OFFICE)
_IDENTITY, _NAMES = "identity", "names"


@dataclass(frozen=True, slots=True)
class Shape:
    """How large, and how it is looked at. Intervals in seconds."""

    targets: int = 300
    seed: int = 1
    vital_every_s: float = 2.0  # switches on the way, tier 0 and 1 programs
    server_every_s: float = 15.0
    edge_every_s: float = 60.0
    undeclared_ratio: float = 0.1  # of what programs need


def trust(shape: Shape = Shape()) -> Plant:
    """A trust of about this many targets; the same for the same shape."""
    return _Trust(shape).build()


class _Trust:
    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.chance = random.Random(f"trust-{shape.seed}-{shape.targets}")
        sites = ("main", "south") if shape.targets < 2_000 else ("main", "south", "north", "coast")
        self.sites = tuple(Site(id_, id_.capitalize(), "Europe/London") for id_ in sites)
        self.plan = Blueprint("trust-one", self.sites, "mon-1")
        self.areas = max(12, min(260, round(shape.targets / 22 if shape.targets < 1_000 else shape.targets**0.5 * 1.1)))
        self.vital = check("icmp", shape.vital_every_s)

    def build(self) -> Plant:
        self._core()
        self._servers()
        self._programs()
        self._distribution()
        rooms = self._rooms()
        left = self.shape.targets - len(self.plan.targets) - len(rooms)
        for number, room in enumerate(rooms):
            share = left // (len(rooms) - number)
            self._area(*room, endpoints=max(4, share))
            left = self.shape.targets - len(self.plan.targets) - (len(rooms) - number - 1)
        self._services()
        return self.plan.plant()

    # network and servers

    def _core(self) -> None:
        plan = self.plan
        for feed in ("a", "b"):
            plan.thing(f"ups-dc-{feed}", "ups", team="estates", checks=[check("snmp", 10.0)], declares_way=False)
        for side in ("a", "b"):
            plan.thing(f"sw-core-{side}", "switch", feeds=(f"ups-dc-{side}",), checks=self._switch(), team="network",
                       declares_power=True)  # fmt: skip
        core = ("sw-core-a", "sw-core-b")
        for feed in ("a", "b"):
            plan.ways[f"ups-dc-{feed}"] = (core,)
        both = ("ups-dc-a", "ups-dc-b")
        for side in ("a", "b"):
            plan.thing(f"fw-{side}", "firewall", up=core, feeds=both, checks=[self.vital], team="network",
                       declares_power=True)  # fmt: skip
        for side in ("a", "b"):
            plan.thing(f"sw-dc-{side}", "switch", up=("fw-a", "fw-b"), feeds=both, checks=self._switch(),
                       team="network", declares_power=True)  # fmt: skip
            plan.thing(f"rtr-hscn-{side}", "router", up=core, feeds=both, checks=[self.vital], team="network",
                       declares_power=True)  # fmt: skip
        self.dc: Group = ("sw-dc-a", "sw-dc-b")
        self._server("mon-1", kind="server", feeds=both, checks=())

    def _switch(self) -> list[Check]:
        return [self.vital, check("snmp", 30.0)]

    def _server(self, id_: str, *, kind: str = "server", functions: tuple[Need, ...] = (), feeds: Group = (),
                checks: tuple[Check, ...]) -> str:  # fmt: skip
        """In the data centre; a function in ten is in no inventory."""
        hidden = [need for need in functions if isinstance(need, str) and need not in (_IDENTITY, _NAMES)
                  and self.chance.random() < self.shape.undeclared_ratio]  # fmt: skip
        declared = [need for need in functions if need not in hidden]
        ping = check("icmp", self.shape.server_every_s)
        return self.plan.thing(id_, kind, up=self.dc, functions=declared, feeds=feeds, checks=[ping, *checks],
                               team="apps", hidden=hidden, declares_power=bool(feeds))  # fmt: skip

    def _servers(self) -> None:
        a, b = ("ups-dc-a",), ("ups-dc-b",)
        for number, feed in enumerate((a, b), start=1):
            self._server(
                f"array-{number}", kind="storage", feeds=("ups-dc-a", "ups-dc-b"), checks=(check("snmp", 15.0),)
            )
            self._server(f"ad-{number}", feeds=feed, checks=(check("ldap", self._fast()),))
            self._server(f"dns-{number}", feeds=feed, checks=(check("dns", self._fast()),))
            self._server(f"dhcp-{number}", feeds=feed, checks=())
            self._server(f"wlc-{number}", kind="wlan-controller", feeds=feed, checks=(check("snmp", 15.0),))
            self._server(f"pbx-{number}", feeds=feed, checks=(check("tcp", self._fast()),))
        for number in range(1, 4):
            feeds = (a, b, ("ups-dc-a", "ups-dc-b"))[number - 1]
            self._server(f"esx-{number}", kind="hypervisor", feeds=feeds, checks=(check("tcp", 15.0),))
        self.virtual: tuple[Need, ...] = (AtLeast(1, ("esx-1", "esx-2", "esx-3")), "array-1")
        self.plan.thing("spine", "endpoint", up=("rtr-hscn-a", "rtr-hscn-b"), team="apps",
                        checks=[check("http", 10.0)])  # fmt: skip

    def _fast(self) -> float:
        return self.shape.vital_every_s

    def _programs(self) -> None:
        """Front ends, databases and interface engines, each with the check that its protocol has."""
        for side in ("a", "b"):
            self._server(
                f"ehr-db-{side}", kind="database", functions=("array-1",), checks=(check("tcp", self._fast()),)
            )
            self._server(f"tie-{side}", functions=self.virtual, checks=(check("hl7", 15.0, id_="hl7"),))
        database: Need = AtLeast(1, ("ehr-db-a", "ehr-db-b"))
        looks = (check("http", self._fast(), id_="up"), check("http", 30.0, id_="read", vantages=("agents",)))
        self._server("ehr-web", kind="endpoint", functions=(*self.virtual, database), checks=looks)
        self._server("ehr-readonly", kind="endpoint", checks=(check("http", 30.0),))
        self._server("lims-db", kind="database", functions=("array-2",), checks=(check("tcp", self._fast()),))
        self._server("apps-db", kind="database", functions=("array-1",), checks=(check("tcp", 10.0),))
        owned: dict[str, tuple[Need, ...]] = {
            "epma-web": (database,), "ed-web": (database,), "lims-web": ("lims-db",), "blood-web": ("lims-db",),
            "pacs-web": ("array-2",), "mat-web": ("apps-db",), "theatre-web": ("apps-db",), "cis-web": (),
            "orders-web": ("apps-db",), "eobs-web": ("apps-db",), "beds-web": ("apps-db",), "chemo-web": ("lims-db",),
            "dictation-web": ("apps-db",), "rota-web": (),
        }  # fmt: skip
        for number, (id_, needs) in enumerate(owned.items()):
            every = self._fast() if number < 8 else 10.0
            self._server(id_, kind="endpoint", functions=(*self.virtual, *needs), checks=(check("http", every),))
        spooler = (check("ipp", 10.0), check("host_print_queue", 60.0, vantages=("print-1",)))
        self._server("print-1", kind="print-server", functions=self.virtual, checks=spooler)
        self.plan.agent("print-1", role="print-server")

    # places

    def _distribution(self) -> None:
        """A pair per site, and one for every dozen areas of it."""
        self.pairs: dict[str, list[Group]] = {site.id: [] for site in self.sites}
        per_site = max(1, round(self.areas / len(self.sites) / 12))
        for site in self.sites:
            for number in range(1, per_site + 1):
                name = f"sw-dist-{site.id}-{number}"
                feed = self.plan.thing(f"ups-dist-{site.id}-{number}", "ups", site=site.id, team="estates",
                                       checks=[check("snmp", 10.0)], declares_way=False)  # fmt: skip
                pair = tuple(
                    self.plan.thing(f"{name}{side}", "switch", up=("sw-core-a", "sw-core-b"), site=site.id,
                                    feeds=(feed,), checks=self._switch(), team="network")
                    for side in ("a", "b")
                )  # fmt: skip
                self.plan.ways[feed] = (pair, ("sw-core-a", "sw-core-b"))
                self.pairs[site.id].append(pair)

    def _rooms(self) -> list[tuple[str, AreaKind, Acuity, int, Group]]:
        found: list[tuple[str, AreaKind, Acuity, int, Group]] = []
        for kind, acuity, beds, share in _AREAS:
            for number in range(1, max(1, round(share * self.areas)) + 1):
                site = self.sites[0 if acuity is Acuity.CRITICAL and number == 1 else len(found) % len(self.sites)]
                pairs = self.pairs[site.id]
                found.append((f"{kind.value}-{number}", kind, acuity, beds, pairs[len(found) % len(pairs)]))
        return found

    def _area(self, area: str, kind: AreaKind, acuity: Acuity, beds: int, pair: Group, *, endpoints: int) -> None:
        plan, site = self.plan, self.plan.targets[pair[0]].site
        count = max(2 if acuity is Acuity.CRITICAL else 1, -(-endpoints // 48))
        switches = tuple(f"sw-{area}-{number}" for number in range(1, count + 1))
        plan.area(area, kind, acuity, site=site, beds=beds, needs=[AtLeast(1, switches) if count > 1 else switches[0]],
                  staffed=OFFICE_HOURS if kind in _OFFICE else None)  # fmt: skip
        room = pair[0].removeprefix("sw-dist-")[:-1]
        closet = f"ups-dist-{room}"  # the feed of the riser that the access switches share with their distribution
        for number, switch in enumerate(switches):
            own = closet if (len(plan.areas) + number) % 3 == 0 else f"mains-{area}"
            labels = {"room": f"{room}-{len(plan.areas) // 3}", "model": f"edge-{len(plan.areas) % 4}"}
            feeds = (own,) if own in plan.targets else ()
            plan.thing(switch, "switch", up=pair, area=area, feeds=feeds, checks=self._switch(), team="network",
                       labels=labels)  # fmt: skip
        for number in range(endpoints - count):
            self._endpoint(area, number, switches[number % count])

    def _endpoint(self, area: str, number: int, switch: str) -> None:
        """In turn: mostly PCs, then access points, printers, phones."""
        edge, plan = self.shape.edge_every_s, self.plan
        sort = ("pc", "pc", "ap", "pc", "lp", "pc", "ph", "pc", "wow", "pc")[number % 10]
        id_ = f"{sort}-{area}-{number}"
        if sort in ("pc", "wow"):
            ring = f"ring-{self.chance.randrange(5)}"
            image = self.chance.choices(("win11-24h2", "win11-23h2", "win10-22h2"), (40, 35, 25))[0]
            labels = {"image": image, "ring": ring, "scope": f"scope-{area}", "vlan": f"vlan-{area}"}
            functions: tuple[Need, ...] = (AtLeast(1, ("wlc-1", "wlc-2")),) if sort == "wow" else ()
            kind = "wow" if sort == "wow" else "ward-workstation"
            plan.thing(id_, kind, up=(switch,), area=area, functions=functions, labels=labels, team="desktop")
            plan.agent(id_, role="ward-workstation", observes=sort == "pc" and number < 4)
        elif sort == "ap":
            plan.thing(id_, "access-point", up=(switch,), area=area, functions=[AtLeast(1, ("wlc-1", "wlc-2"))],
                       checks=[check("icmp", edge / 2)], team="network", feeds=(switch,))  # fmt: skip
        elif sort == "lp":
            plan.thing(id_, "label-printer", up=(switch,), area=area, checks=[check("snmp", edge)], team="desktop")
        else:
            plan.thing(id_, "phone", up=(switch,), area=area, checks=[check("icmp", edge)], team="network",
                       feeds=(switch,))  # fmt: skip

    # what care rests on

    def _services(self) -> None:
        plan = self.plan

        def places(*kinds: AreaKind) -> list[str]:
            return [area.id for area in plan.areas.values() if area.kind in kinds]

        beds = (AreaKind.WARD, AreaKind.ED, AreaKind.ICU, AreaKind.MATERNITY)
        urgent = (AreaKind.ED, AreaKind.THEATRE, AreaKind.MATERNITY, AreaKind.ICU)
        names, identity = _NAMES, _IDENTITY
        plan.service(identity, 0, None, AtLeast(1, ("ad-1", "ad-2")), fallback=None)
        plan.service(names, 0, None, AtLeast(1, ("dns-1", "dns-2")), fallback=None)
        plan.service("telephony", 1, None, AtLeast(1, ("pbx-1", "pbx-2")), fallback="Radios and runners")
        plan.service("interfaces", 0, places(AreaKind.LAB), AtLeast(1, ("tie-a", "tie-b")), fallback="Telephone")
        plan.service("ehr", 1, None, "ehr-web", identity, names, fallback="Read-only copy", proven_by="ehr-readonly")
        plan.service("epma", 1, places(*beds), "epma-web", "ehr")
        plan.service("ed-tracking", 1, places(AreaKind.ED), "ed-web", identity, fallback="Whiteboard")
        plan.service(
            "results", 1, None, "lims-web", AtLeast(1, ("tie-a", "tie-b")), fallback="Telephone the laboratory"
        )
        plan.service("transfusion", 1, places(*urgent), "blood-web", "lims-web", fallback="O negative, manual")
        plan.service("imaging", 1, places(*urgent, AreaKind.CLINIC, AreaKind.IMAGING), "pacs-web",
                     fallback="View on the modality")  # fmt: skip
        plan.service("labels", 1, places(*beds), "print-1", fallback="Handwritten")
        plan.service("maternity", 1, places(AreaKind.MATERNITY), "mat-web", identity)
        plan.service("theatres", 1, places(AreaKind.THEATRE), "theatre-web", identity)
        plan.service("icu-chart", 1, places(AreaKind.ICU), "cis-web")
        plan.service("orders", 2, places(*beds, AreaKind.CLINIC), "orders-web", AtLeast(1, ("tie-a", "tie-b")))
        plan.service("e-obs", 2, places(AreaKind.WARD), "eobs-web", AtLeast(1, ("wlc-1", "wlc-2")))
        plan.service("bed-board", 2, places(*beds), "beds-web")
        plan.service("chemo", 2, places(AreaKind.PHARMACY), "chemo-web")
        plan.service("national", 2, places(AreaKind.ED, AreaKind.CLINIC, AreaKind.PHARMACY), "spine",
                     AtLeast(1, ("rtr-hscn-a", "rtr-hscn-b")))  # fmt: skip
        plan.service("dictation", 3, places(AreaKind.CLINIC), "dictation-web")
        plan.service("rota", 3, None, "rota-web")
