"""Alert quality: what was raised, how quickly, who was told, and what was held back."""

from __future__ import annotations

from boards.ask import Ask, Fold
from boards.board import Board
from boards.pages.common import counted, open_incidents, recent_incidents
from boards.panels import Bars, Chart, Number
from boards.words import BAD, WARN

_NOWHERE: tuple[str, ...] = ()


def _severity(
    fold: Fold = Fold.SUM, *, by: tuple[str, ...] = (), where: dict[str, str] | None = None, chart: bool = False
) -> Ask:
    return Ask(
        "open",
        "incidents",
        "open",
        by=by,
        fold=fold,
        place=_NOWHERE,
        metric="healthmon_incidents_open",
        fresh_s=120,
        where=where or {},
        chart=chart,
    )


ALERT_QUALITY = Board(
    "healthmon-alert-quality",
    "Alert quality",
    "What was raised, how quickly, who was told, what was held back and why.",
    (
        Number(
            "Severity 1 and 2 open",
            "Somebody should have each of them.",
            _severity(where={"severity": "/(1|2)/"}),
            bad=((1, BAD),),
            size=(6, 4),
        ),
        Number("All open", "Early warnings and blind spots included.", _severity(), size=(6, 4)),
        Number(
            "Blind",
            "Incidents that say: we cannot see.",
            _severity(where={"kind": "blind"}),
            bad=((1, WARN),),
            size=(6, 4),
        ),
        Number(
            "Nobody has them",
            "Open incidents that nobody has accepted.",
            Ask(
                "open",
                "incident_open",
                "severity",
                fold=Fold.COUNT,
                place=_NOWHERE,
                where={"state": "open"},
                fresh_s=35,
                metric="healthmon_incident_info",
            ),
            bad=((1, WARN),),
            size=(6, 4),
        ),
        open_incidents(size=(24, 8)),
        recent_incidents(size=(24, 9)),
        Chart(
            "Open by severity",
            "Over time.",
            (_severity(by=("severity",), chart=True),),
            "severity $severity",
            stacked=True,
        ),
        Bars("Open by kind", "Incidents, early warnings, blind spots.", _severity(by=("kind",)), size=(12, 8)),
        Chart(
            "Notices by result",
            "Sent is not delivered: acknowledged is what counts. Dead: no way was left.",
            (counted("notices", "notice", ("channel", "result")),),
            "$channel: $result",
            bars=True,
        ),
        Chart(
            "Pages held back, by cause",
            "Each stands in the ledger with who, what and why.",
            (counted("pages", "pages_suppressed", ("cause",)),),
            "$cause",
            bars=True,
        ),
    ),
    (),
    since="now-7d",
    refresh="1m",
)
