"""Questions that several boards ask."""

from __future__ import annotations

from dataclasses import replace

from boards.ask import BY_AGENT, BY_AREA, Ask, Fold, Over, Pair
from boards.board import INCIDENT_LINK
from boards.panels import Chart, Number, Table, Timeline, states
from boards.states import StateAsk
from boards.words import AGENT, BAD, BLIND, CARE, SERVICE, WARN

SERVICES_NOW = StateAsk("state", "service", ("area", "service"), SERVICE, "healthmon_service_state", joined=BY_AREA)
SERVICES = replace(SERVICES_NOW, chart=True)
AGENTS_NOW = StateAsk(
    "state",
    "agent",
    ("vantage",),
    AGENT,
    "healthmon_agent_state",
    renamed={"vantage": "agent"},
    joined=BY_AGENT,
)
COLORS = {"lost": BAD, "degraded": WARN, "at_risk": CARE, "unknown": BLIND}


#: The legends of `by_vantage`.
BY_VANTAGE = ("p50 from $vantage", "p95 from $vantage")


def by_vantage(where: dict[str, str], *, place: tuple[str, ...]) -> tuple[Ask, ...]:
    """How long web answers took from each vantage point: the usual one, and the slowest of 20."""
    shares = (Over.P50, Over.P95)
    return tuple(
        Ask(over.value, "http", "duration_seconds", by=("vantage",), over=over, chart=True, where=where, place=place)
        for over in shares
    )


#: Agents of the chosen places: those that are up, and those that there should be.
AGENTS_UP = Ask("up", "agent", "up", fold=Fold.SUM, metric="healthmon_agent_up", joined=BY_AGENT, fresh_s=120)
AGENTS_KNOWN = replace(AGENTS_UP, name="known", fold=Fold.COUNT)


def counted(name: str, counter: str, by: tuple[str, ...]) -> Ask:
    """One of healthmon's own counters, by its labels: how much it rose in each step."""
    return Ask(
        name,
        "own_counter",
        "total",
        by=by,
        over=Over.INCREASE,
        fold=Fold.SUM,
        chart=True,
        place=(),
        where={"counter": counter},
        metric=f"healthmon_{counter}_total",
        match={},
    )


def services_in(state: str, title: str, about: str) -> Number:
    """How many pairs of area and service are in one state now."""
    ask = Ask(
        state,
        "service",
        state,
        fold=Fold.SUM,
        metric="healthmon_service_state",
        match={"state": state},
        joined=BY_AREA,
        fresh_s=300,
    )
    return Number(title, about, ask, bad=((1, COLORS[state]),))


def paths_left() -> Ask:
    """Further single failures that lose the service for the area."""
    return Ask(
        "spare failures left",
        "service",
        "paths_left",
        by=("area", "service"),
        fold=Fold.MIN,
        fresh_s=300,
        joined=BY_AREA,
    )


def services_timeline(*, size: tuple[int, int] = (16, 12)) -> Timeline:
    about = "State over time. A gap means that nothing was written: healthmon was not running."
    return Timeline("Services by area", about, SERVICES, "$area · $service", size=size)


def services_table(*, size: tuple[int, int] = (8, 12)) -> Table:
    return Table(
        "Services now",
        "The newest state of every service in every area, and how many further failures it bears.",
        (SERVICES_NOW, paths_left()),
        words={"state": states(SERVICES_NOW)},
        sort="state",
        falling=False,
        size=size,
    )


def open_incidents(*, size: tuple[int, int] = (16, 8)) -> Table:
    """What is open now; the id leads to the page with cause, impact, first steps and owner."""
    ask = Ask(
        "severity",
        "incident_open",
        "severity",
        by=("incident", "kind", "state", "root"),
        place=(),
        metric="healthmon_incident_info",
        fresh_s=35,  # stored every 15 s; a longer look shows an incident once for each cause and state that it had
    )
    return Table(
        "Open incidents",
        "Severity 1 is the worst. The id opens the incident: cause, impact, first steps, owner. All sites.",
        (ask,),
        links={"incident": INCIDENT_LINK},
        bad={"severity": ((1, BAD), (2, WARN), (3, CARE))},
        sort="severity",
        falling=False,
        size=size,
    )


def recent_incidents(*, size: tuple[int, int] = (16, 8)) -> Table:
    """What began in this time, closed or not."""
    ask = Pair(
        "severity",
        ("incident", "kind"),
        'SELECT "severity", "state", "title", "root", "areas", "detection_seconds" FROM "incident" '
        'WHERE $timeFilter GROUP BY "incident", "kind"',
        "max by (incident, kind, root) (max_over_time(healthmon_incident_info[$__range]))",
    )
    return Table(
        "Incidents of this time",
        "By the moment of opening (InfluxDB), or open at any moment (Prometheus). The id opens the page. All sites.",
        (ask,),
        links={"incident": INCIDENT_LINK},
        units={"detection_seconds": "s"},
        bad={"severity": ((1, BAD), (2, WARN), (3, CARE))},
        size=size,
    )


def failing(*, by: tuple[str, ...] = ("target", "check"), size: tuple[int, int] = (8, 8)) -> Table:
    ask = Ask(
        "failed",
        "probe",
        "success",
        by=by,
        over=Over.MEAN,
        fold=Fold.MEAN,
        share=True,
        most=20,
    )
    return Table(
        "Failing checks",
        "Share of looks in this time that failed: the 20 worst. Looks that could not see are not counted.",
        (ask,),
        units={"failed": "percentunit"},
        bad={"failed": ((0.0001, CARE), (0.5, BAD))},
        sort="failed",
        size=size,
    )


def could_not_see(*, size: tuple[int, int] = (12, 8)) -> Chart:
    places = """"site" =~ /^$site$/ AND "area" =~ /^$area$/ AND "outcome" = 'unknown'"""
    blind = (
        f'SELECT count("duration_seconds") AS "n" FROM "probe" WHERE $timeFilter AND {places} '
        "GROUP BY time($__interval), * fill(none)"
    )
    outcomes = 'healthmon_probe_outcome{site=~"$site", area=~"$area", outcome="unknown"}'
    ask = Pair(
        "checks",
        ("area",),
        f'SELECT count("n") AS "checks" FROM ({blind}) WHERE $timeFilter GROUP BY time($__interval), "area" fill(0)',
        f"count by (area) (max_over_time({outcomes}[$__interval]) > 0)",
        chart=True,
    )
    about = (
        "Checks that could not see at least once in each step. It says nothing about the target: no permission, "
        "no route, stopped, or our own fault."
    )
    return Chart("Checks that cannot see, by area", about, (ask,), "$area", bars=True, size=size)


def gauge(
    title: str,
    about: str,
    family: str,
    field: str,
    *,
    by: tuple[str, ...],
    unit: str,
    fold: Fold = Fold.MAX,
    over: Over = Over.LAST,
    most: float | None = None,
    least: float | None = 0,
    limits: tuple[tuple[float | None, str], ...] = (),
    where: dict[str, str] | None = None,
    size: tuple[int, int] = (12, 8),
) -> Chart:
    """One field over time, a line for each combination of tags."""
    ask = Ask(field, family, field, by=by, fold=fold, over=over, chart=True, where=where or {})
    alias = " · ".join(f"${tag}" for tag in by)
    return Chart(title, about, (ask,), alias, unit=unit, most=most, least=least, limits=limits, size=size)
