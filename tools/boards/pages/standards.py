"""Minimum standards: whether wards get what they were promised, as seen from the wards."""

from __future__ import annotations

from boards.ask import BY_AREA, Ask, Fold, Over
from boards.board import AREA, SITE, Board
from boards.panels import Bars, Chart, Number, Table
from boards.words import BAD, BLIND, CARE, WARN

_PLACE = ("area", "service")


def _share(state: str, title: str) -> Ask:
    return Ask(
        title,
        "service",
        state,
        by=_PLACE,
        over=Over.MEAN,
        fold=Fold.MEAN,
        metric="healthmon_service_state",
        match={"state": state},
        joined=BY_AREA,
    )


STANDARDS = Board(
    "healthmon-minimum-standards",
    "Minimum standards",
    "As wards saw it: availability, response, logon, batteries, Wi-Fi. Unknown is its own column, never available.",
    (
        Number(
            "Services below 99.9 %",
            "Pairs of area and service that were ok or at risk for less than that of this time.",
            Ask(
                "below",
                "service",
                "lost",
                over=Over.MEAN,
                fold=Fold.COUNT,
                only="> 0.001",
                metric="healthmon_service_state",
                match={"state": "lost"},
                joined=BY_AREA,
            ),
            bad=((1, BAD),),
            size=(6, 4),
        ),
        Number(
            "Not seen for more than 1 %",
            "Pairs of area and service of which we do not know what they were.",
            Ask(
                "unseen",
                "service",
                "unknown",
                over=Over.MEAN,
                fold=Fold.COUNT,
                only="> 0.01",
                metric="healthmon_service_state",
                match={"state": "unknown"},
                joined=BY_AREA,
            ),
            bad=((1, BLIND),),
            size=(6, 4),
        ),
        Number(
            "Logons over 60 s",
            "Machines whose newest logon took longer.",
            Ask("slow", "host_logons", "logon_seconds", fold=Fold.COUNT, only="> 60", fresh_s=86_400),
            bad=((1, WARN),),
            size=(6, 4),
        ),
        Number(
            "Web answers over 2 s",
            "Vantage points whose 95th percentile is over 2 s.",
            Ask("slow", "http", "duration_seconds", over=Over.P95, fold=Fold.COUNT, only="> 2", place=()),
            bad=((1, WARN),),
            size=(6, 4),
        ),
        Table(
            "Time in each state, as the areas saw it",
            "Shares of this time. Available = ok and at risk. Unknown is not available and not lost: nobody knows.",
            (
                _share("ok", "ok"),
                _share("at_risk", "at risk"),
                _share("degraded", "slow"),
                _share("lost", "lost"),
                _share("unknown", "unknown"),
            ),
            units=dict.fromkeys(("ok", "at risk", "slow", "lost", "unknown"), "percentunit"),
            bad={"lost": ((0.001, BAD),), "slow": ((0.01, WARN),), "unknown": ((0.01, BLIND),)},
            sort="lost",
            size=(24, 12),
        ),
        Bars(
            "Logon, slowest of each area",
            "Standard: 60 s to a desktop that can be used.",
            Ask("logon", "host_logons", "logon_seconds", by=("area",), fresh_s=86_400),
            unit="s",
            bad=((60, WARN), (600, BAD)),
        ),
        Bars(
            "Wi-Fi, weakest of each area",
            "Standard: -67 dBm or more at the trolley.",
            Ask("signal", "host_wifi", "signal_dbm", by=("area",), fold=Fold.MIN),
            unit="dBm",
        ),
        Bars(
            "Battery, lowest of each area",
            "Standard: no trolley below 20 % in a drug round.",
            Ask("charge", "host_battery", "charge_ratio", by=("area",), fold=Fold.MIN),
            unit="percentunit",
            most=1,
        ),
        Chart(
            "Response as seen from the wards",
            "95th percentile, standard 2 s; above 10 s attention is lost.",
            (Ask("p95", "http", "duration_seconds", by=("vantage",), over=Over.P95, chart=True, place=()),),
            "$vantage",
            unit="s",
            limits=((2, CARE), (10, BAD)),
            size=(24, 9),
        ),
    ),
    (SITE, AREA),
    since="now-30d",
    refresh="5m",
)
