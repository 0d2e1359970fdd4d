"""The fleet and healthmon's own health: who is looking, and whether what they see arrives."""

from __future__ import annotations

from boards.ask import BY_AGENT, Ask
from boards.board import AREA, SITE, Board
from boards.pages.common import AGENTS_KNOWN, AGENTS_NOW, AGENTS_UP, could_not_see, counted
from boards.panels import Chart, Number, Table, Word, states
from boards.states import StateAsk
from boards.words import BAD, BLIND, STATUS, WARN, yes_no

_AGENT = {"vantage": "agent"}
_NOWHERE: tuple[str, ...] = ()


def _own(name: str, field: str, *, chart: bool = False) -> Ask:
    return Ask(name, "health", field, place=_NOWHERE, fresh_s=120, chart=chart, metric=f"healthmon_{field}")


def _agent(name: str, field: str, *, chart: bool = False, metric: str = "") -> Ask:
    return Ask(
        name,
        "agent",
        field,
        by=("vantage",),
        renamed=_AGENT,
        joined=BY_AGENT,
        fresh_s=300,
        chart=chart,
        metric=metric or f"healthmon_agent_{field}",
    )


def _counted(title: str, about: str, counter: str, by: tuple[str, ...], alias: str) -> Chart:
    return Chart(title, about, (counted("count", counter, by),), alias, bars=True)


FLEET = Board(
    "healthmon-fleet",
    "Fleet and healthmon itself",
    "Who is looking, whether what they see arrives, and how healthmon is.",
    (
        Word(
            "healthmon",
            "What it says of itself.",
            StateAsk(
                "status", "health", (), STATUS, "healthmon_status", text_field="status", place=_NOWHERE, fresh_s=120
            ),
        ),
        Number(
            "Engine looked",
            "Time since the engine last looked at the clock; it does so each second.",
            _own("age", "engine_tick_age_seconds"),
            unit="s",
            bad=((10, BAD),),
        ),
        Number(
            "Store takes writes",
            "While it does not, readings wait on the agents' disks.",
            _own("store", "store_up"),
            words=tuple(yes_no("yes", "NO", good=True)),
        ),
        Number(
            "Broker",
            "Connected or not.",
            _own("broker", "broker_up"),
            words=tuple(yes_no("connected", "AWAY", good=True)),
        ),
        Number(
            "Agents heard",
            "Of these places.",
            AGENTS_UP,
        ),
        Number(
            "Agents known",
            "Of these places.",
            AGENTS_KNOWN,
        ),
        Table(
            "Agents",
            "Gaps: batches that never arrived. Clock: corrected by this much. Heard: age of the newest batch.",
            (
                AGENTS_NOW,
                _agent("gaps", "gaps"),
                _agent("clock off by", "skew_seconds"),
                _agent("heard", "last_seen_seconds"),
            ),
            words={"state": states(AGENTS_NOW)},
            units={"clock off by": "s", "heard": "s"},
            bad={"gaps": ((1, WARN),), "clock off by": ((60, WARN),)},
            sort="heard",
            size=(12, 10),
        ),
        Chart(
            "Spool of each agent",
            "Readings that wait on the agent's disk. It grows while the broker or the store is away.",
            (Ask("spool", "agent", "spool_bytes", by=("vantage",), chart=True, metric="healthmon_agent_spool_bytes"),),
            "$vantage",
            unit="bytes",
            size=(12, 10),
        ),
        Chart(
            "Rows waiting for the store",
            "A queue that only grows is a store that is too slow.",
            (_own("rows", "store_queue_rows", chart=True),),
            "rows",
        ),
        Chart(
            "Engine's last look over time",
            "Seconds since; spikes are long steps.",
            (_own("age", "engine_tick_age_seconds", chart=True),),
            "age",
            unit="s",
        ),
        _counted(
            "Batches refused",
            "Malformed, foreign, too large: set aside and listed.",
            "ingest_rejected",
            ("reason",),
            "$reason",
        ),
        _counted(
            "Batches put off",
            "Left in the spool for later; nothing is lost.",
            "ingest_deferred",
            ("reason",),
            "$reason",
        ),
        _counted(
            "Looks that a limit refused",
            "By the choke point that every probe passes.",
            "probes_refused",
            ("why",),
            "$why",
        ),
        could_not_see(),
        Number(
            "Probing",
            "Off while the stop button is pressed: everything is unknown then.",
            _own("probing", "probing_enabled"),
            words=tuple(yes_no("on", "STOPPED", good=True)),
            bad=((1, BLIND),),
            size=(12, 4),
        ),
        Number(
            "Pages people",
            "No: shadow mode, nobody is paged.",
            _own("live", "live_mode"),
            words=tuple(yes_no("yes", "NO: shadow mode", good=True)),
            size=(12, 4),
        ),
    ),
    (SITE, AREA),
)
