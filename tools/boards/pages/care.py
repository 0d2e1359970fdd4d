"""One ward, one clinical service, the patient record: what people who look after patients meet."""

from __future__ import annotations

from dataclasses import replace

from boards.ask import BY_AREA, Ask, Fold, Over
from boards.board import AREA, SITE, Board, Choice
from boards.pages.common import (
    AGENTS_KNOWN,
    AGENTS_NOW,
    AGENTS_UP,
    BY_VANTAGE,
    SERVICES,
    SERVICES_NOW,
    by_vantage,
    failing,
    gauge,
    open_incidents,
    paths_left,
    services_in,
    services_table,
    services_timeline,
)
from boards.panels import Chart, Number, Table, Timeline, states
from boards.words import BAD, CARE, WARN

_ONE_AREA = replace(AREA, many=False)
_PC = Choice(
    "pc", "Looking from", "host_uptime", "vantage", "healthmon_host_uptime_uptime_seconds", narrowed=("site", "area")
)

WARD = Board(
    "healthmon-ward",
    "Ward",
    "One area: which services work there, its workstations, and the record as seen from them.",
    (
        services_in("lost", "Not available", "Services that cannot be used here now."),
        services_in("degraded", "Slow or partly working", "Services that work badly here now."),
        services_in("at_risk", "No spare route left", "Working now; one more failure loses them."),
        services_in("unknown", "Unknown", "We cannot see. It says nothing about the service."),
        Number(
            "Workstations heard",
            "Agents of this area that are up.",
            AGENTS_UP,
        ),
        Number(
            "Workstations known",
            "Agents that this area should have.",
            AGENTS_KNOWN,
        ),
        services_timeline(size=(14, 10)),
        services_table(size=(10, 10)),
        Chart(
            "Patient record as seen from here",
            "Response time of web checks from the workstations of this area.",
            by_vantage({"vantage": "/$pc/"}, place=()),
            BY_VANTAGE,
            unit="s",
            limits=((2, WARN), (10, BAD)),
        ),
        Table(
            "Workstations",
            "Each agent of this area: heard or not, and how long its last logon took.",
            (
                AGENTS_NOW,
                Ask("logon", "host_logons", "logon_seconds", by=("vantage",), fresh_s=86_400),
                Ask("processor", "host_cpu", "utilisation_ratio", by=("vantage",)),
                Ask("memory", "host_memory", "used_ratio", by=("vantage",)),
            ),
            words={"state": states(AGENTS_NOW)},
            units={"logon": "s", "processor": "percentunit", "memory": "percentunit"},
            bad={"logon": ((60, WARN), (600, BAD)), "processor": ((0.8, WARN),), "memory": ((0.9, WARN),)},
        ),
        gauge(
            "Wi-Fi signal",
            "Of trolleys and laptops. Below -67 dBm data suffer, below -75 they stop.",
            "host_wifi",
            "signal_dbm",
            by=("vantage",),
            unit="dBm",
            fold=Fold.MIN,
            least=None,
        ),
        gauge(
            "Battery of trolleys",
            "The lowest charge. Below 20 % during a drug round somebody will be stopped.",
            "host_battery",
            "charge_ratio",
            by=("vantage",),
            unit="percentunit",
            fold=Fold.MIN,
            most=1,
            limits=((0, BAD), (0.2, CARE)),
        ),
        failing(size=(12, 8)),
        open_incidents(size=(12, 8)),
    ),
    (SITE, _ONE_AREA, _PC),
)

_SERVICE = Choice("service", "Service", "service", "service", "healthmon_service_state", many=False)
_ONE = {"service": "$service"}


def _areas(state: str, title: str, about: str) -> Number:
    one = services_in(state, title, about)
    ask = replace(one.ask, where={"service": "/$service/"}, match={"state": state, "service": "/$service/"})
    return replace(one, ask=ask)


CLINICAL_SERVICE = Board(
    "healthmon-clinical-service",
    "Clinical service",
    "One service: in which areas it works, how many further failures each bears, how it answers.",
    (
        _areas("lost", "Areas without it", "Areas in which it cannot be used now."),
        _areas("degraded", "Areas where it is slow", "Areas in which it works badly now."),
        _areas("at_risk", "Areas without a spare route", "Working now; one more failure loses it there."),
        _areas("unknown", "Areas unknown", "We cannot see. It says nothing about the service."),
        Number(
            "Fewest spare failures",
            "Over all areas: so many further single failures until one of them loses it.",
            Ask(
                "left",
                "service",
                "paths_left",
                fold=Fold.MIN,
                fresh_s=300,
                where={"service": "/$service/"},
                joined=BY_AREA,
            ),
        ),
        Timeline(
            "By area",
            "State over time. A gap means that nothing was written: healthmon was not running.",
            replace(SERVICES, where=_ONE),
            "$area",
            size=(14, 12),
        ),
        Table(
            "Areas now",
            "State and spare failures of this service in every area.",
            (replace(SERVICES_NOW, where=_ONE), replace(paths_left(), where={"service": "/$service/"})),
            words={"state": states(SERVICES_NOW)},
            sort="spare failures left",
            falling=False,
            size=(10, 12),
        ),
        gauge(
            "Journeys",
            "Whole journeys (log on, search, open, log off) by vantage point.",
            "journey",
            "duration_seconds",
            by=("target", "vantage"),
            unit="s",
            over=Over.P95,
            limits=((2, WARN), (10, BAD)),
        ),
        gauge(
            "Web answers, slowest of 20",
            "95th percentile by target, from anywhere.",
            "http",
            "duration_seconds",
            by=("target",),
            unit="s",
            over=Over.P95,
            limits=((2, WARN), (10, BAD)),
        ),
        open_incidents(size=(24, 8)),
    ),
    (SITE, AREA, _SERVICE),
)

_TARGET = {"target": "/$target/"}
_EHR_TARGET = Choice(
    "target", "Endpoint", "http", "target", "healthmon_http_duration_seconds", narrowed=("site",), many=False
)
_PHASES = ("dns_seconds", "connect_seconds", "tls_seconds", "wait_seconds", "transfer_seconds")

EHR = Board(
    "healthmon-ehr-endpoint",
    "EHR endpoint",
    "One web endpoint: where its time goes, what it answers, from where it is slow, how long its certificate lives.",
    (
        Number(
            "Looks that passed",
            "Of those in this time that could see, from every vantage point.",
            Ask("passed", "probe", "success", over=Over.MEAN, fold=Fold.MEAN, where=_TARGET, place=("site",)),
            unit="percentunit",
        ),
        Number(
            "Status now",
            "The highest HTTP status that any vantage point got.",
            Ask("status", "http", "status_code", where=_TARGET, place=("site",)),
            unit="none",
            bad=((400, WARN), (500, BAD)),
        ),
        Number(
            "Slowest of 20, now",
            "95th percentile over this time, the worst vantage point.",
            Ask("p95", "http", "duration_seconds", over=Over.P95, where=_TARGET, place=("site",)),
            unit="s",
            bad=((2, WARN), (10, BAD)),
        ),
        Number(
            "Certificate ends in",
            "The first certificate of the chain to end.",
            Ask(
                "left", "tls", "chain_expires_in_seconds", fold=Fold.MIN, where=_TARGET, place=("site",), fresh_s=90_000
            ),
            unit="s",
        ),
        Number(
            "Of its lifetime left",
            "A third left: renew. A tenth left: at once. Certificates get shorter, days say less each year.",
            Ask("life", "tls", "lifetime_left_ratio", fold=Fold.MIN, where=_TARGET, place=("site",), fresh_s=90_000),
            unit="percentunit",
        ),
        Chart(
            "Where the time goes",
            "Mean of each phase: name, connection, encryption, waiting for the answer, transfer.",
            tuple(
                Ask(
                    phase.removesuffix("_seconds"),
                    "http",
                    phase,
                    fold=Fold.MEAN,
                    over=Over.MEAN,
                    chart=True,
                    where=_TARGET,
                    place=("site",),
                )
                for phase in _PHASES
            ),
            tuple(phase.removesuffix("_seconds") for phase in _PHASES),
            unit="s",
            stacked=True,
            size=(24, 9),
        ),
        Chart(
            "By vantage point",
            "One slow ward is the network, all slow is the endpoint.",
            by_vantage(_TARGET, place=("site",)),
            BY_VANTAGE,
            unit="s",
            limits=((2, WARN), (10, BAD)),
        ),
        gauge(
            "Steps of journeys",
            "The slowest of each step.",
            "journey",
            "duration_seconds",
            by=("target", "step"),
            unit="s",
        ),
        gauge(
            "FHIR search", "Search of the test patient; reads only.", "fhir", "search_seconds", by=("target",), unit="s"
        ),
        gauge(
            "Directory logon and search",
            "What the record asks before it lets anybody in.",
            "ldap",
            "duration_seconds",
            by=("target",),
            unit="s",
        ),
        failing(size=(24, 8)),
    ),
    (SITE, AREA, _EHR_TARGET),
)
