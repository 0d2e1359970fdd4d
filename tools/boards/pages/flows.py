"""Interfaces, imaging and print: what flows between systems. Counts only, never content."""

from __future__ import annotations

from boards.ask import Ask, Fold, Over
from boards.board import AREA, SITE, Board
from boards.pages.common import failing, gauge
from boards.panels import Number, Table
from boards.words import BAD, WARN

_BY = ("target", "interface")

INTERFACES = Board(
    "healthmon-interfaces-imaging",
    "Interfaces and imaging",
    "Messages between systems (counts, never content), HL7, DICOM and FHIR answers, print.",
    (
        Number(
            "Longest silence",
            "Time since the last message of any interface.",
            Ask("silence", "interface", "last_message_age_seconds"),
            unit="s",
            size=(6, 4),
        ),
        Number(
            "Oldest in a queue",
            "5 minutes is long for results, 15 for the rest.",
            Ask("oldest", "interface", "oldest_queued_seconds"),
            unit="s",
            bad=((300, WARN), (900, BAD)),
            size=(6, 4),
        ),
        Number("Waiting", "Messages in all queues.", Ask("queued", "interface", "queued", fold=Fold.SUM), size=(6, 4)),
        Number(
            "Archive echo",
            "Slowest C-ECHO.",
            Ask("echo", "dicom", "echo_seconds"),
            unit="s",
            bad=((1, WARN), (5, BAD)),
            size=(6, 4),
        ),
        Table(
            "Interfaces",
            "Silence is judged by the hour of the week in the rules; here it is only shown.",
            (
                Ask("silent for", "interface", "last_message_age_seconds", by=_BY),
                Ask("waiting", "interface", "queued", by=_BY),
                Ask("oldest", "interface", "oldest_queued_seconds", by=_BY),
            ),
            units={"silent for": "s", "oldest": "s"},
            bad={"oldest": ((300, WARN), (900, BAD))},
            sort="silent for",
            size=(24, 10),
        ),
        gauge(
            "Messages",
            "A second, by interface.",
            "interface",
            "messages_total",
            by=_BY,
            unit="cps",
            over=Over.RATE,
            fold=Fold.SUM,
        ),
        gauge(
            "Refused",
            "Messages that the other side did not take, a second.",
            "interface",
            "rejected_total",
            by=_BY,
            unit="cps",
            over=Over.RATE,
            fold=Fold.SUM,
        ),
        gauge(
            "HL7 acknowledgement", "Of the sentinel on test channels.", "hl7", "ack_seconds", by=("target",), unit="s"
        ),
        gauge(
            "DICOM",
            "Association, echo and find together.",
            "dicom",
            "duration_seconds",
            by=("target",),
            unit="s",
            limits=((1, WARN), (5, BAD)),
        ),
        gauge("DICOM find", "Search of the sentinel.", "dicom", "find_seconds", by=("target",), unit="s"),
        gauge(
            "FHIR",
            "Capability, search and read of the test patient.",
            "fhir",
            "duration_seconds",
            by=("target",),
            unit="s",
            limits=((2, WARN), (10, BAD)),
        ),
        gauge(
            "Jobs in print queues", "By queue.", "host_print_queue", "queued_jobs", by=("target", "queue"), unit="short"
        ),
        gauge(
            "Paper and toner",
            "Share left.",
            "snmp_printer_supply",
            "remaining_ratio",
            by=("target", "supply"),
            unit="percentunit",
            most=1,
            fold=Fold.MIN,
        ),
        failing(size=(24, 8)),
    ),
    (SITE, AREA),
)
