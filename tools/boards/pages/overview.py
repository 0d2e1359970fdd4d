"""Which clinical service works in which area, what is open, and who is looking."""

from __future__ import annotations

from boards.ask import Ask, Fold, Over
from boards.board import AREA, SITE, Board, Choice
from boards.pages.common import (
    BY_VANTAGE,
    by_vantage,
    could_not_see,
    failing,
    open_incidents,
    recent_incidents,
    services_in,
    services_table,
    services_timeline,
)
from boards.panels import Bars, Chart
from boards.words import BAD

_EHR = Choice("ehr", "Patient record", "http", "target", "healthmon_http_duration_seconds", many=False)

OVERVIEW = Board(
    "healthmon-hospital-overview",
    "Hospital overview",
    "Which clinical service works in which area, what is open, and who is looking.",
    (
        services_in("lost", "Not available", "Services in areas that cannot be used now."),
        services_in("degraded", "Slow or partly working", "Services in areas that work badly now."),
        services_in("at_risk", "No spare route left", "Working now; one more failure loses them."),
        services_in("unknown", "Unknown", "We cannot see. It says nothing about the service."),
        Bars(
            "Open incidents by severity",
            "Severity 1 is the worst. All sites.",
            Ask(
                "open",
                "incidents",
                "open",
                by=("severity",),
                fold=Fold.SUM,
                metric="healthmon_incidents_open",
                place=(),
            ),
            bad=((1, BAD),),
            size=(8, 4),
        ),
        services_timeline(),
        services_table(),
        open_incidents(),
        failing(),
        recent_incidents(size=(24, 8)),
        Chart(
            "Looks that passed, by area",
            "Share of looks that passed, of those that could see.",
            (Ask("passed", "probe", "success", by=("area",), over=Over.MEAN, fold=Fold.MEAN, chart=True),),
            "$area",
            unit="percentunit",
            most=1,
        ),
        could_not_see(),
        Chart(
            "Patient record response time by vantage point",
            "As seen from the poller and from each agent: one slow ward is the network, all slow is the record.",
            by_vantage({"target": "/$ehr/"}, place=()),
            BY_VANTAGE,
            unit="s",
            size=(24, 9),
        ),
    ),
    (SITE, AREA, _EHR),
    since="now-3h",
    refresh="10s",
)
