"""Ward workstations: what clinicians wait for. Machines only; nothing here is about a person."""

from __future__ import annotations

from boards.ask import Ask, Fold, Over
from boards.board import AREA, SITE, Board
from boards.pages.common import AGENTS_KNOWN, AGENTS_NOW, AGENTS_UP, gauge
from boards.panels import Chart, Number, Table, states
from boards.words import BAD, CARE, WARN, yes_no

_PC = ("vantage",)

WORKSTATIONS = Board(
    "healthmon-ward-workstations",
    "Ward workstations",
    "Clinician experience: logon, start, response from the ward, Wi-Fi, batteries. Machines, never persons.",
    (
        Number(
            "Heard",
            "Agents that are up.",
            AGENTS_UP,
        ),
        Number(
            "Known",
            "Agents that there should be.",
            AGENTS_KNOWN,
        ),
        Number(
            "Slowest logon",
            "Newest logon of each machine, the slowest of them.",
            Ask("logon", "host_logons", "logon_seconds", fresh_s=86_400),
            unit="s",
            bad=((60, WARN), (600, BAD)),
        ),
        Number(
            "Batteries below 20 %",
            "Trolleys and laptops that will stop somebody.",
            Ask("low", "host_battery", "charge_ratio", fold=Fold.COUNT, only="< 0.2"),
            bad=((1, WARN),),
        ),
        Number(
            "Weak Wi-Fi",
            "Machines below -67 dBm.",
            Ask("weak", "host_wifi", "signal_dbm", fold=Fold.COUNT, only="< -67"),
            bad=((1, WARN),),
        ),
        Number(
            "Restart waits",
            "Machines that wait for a restart.",
            Ask("waiting", "host_reboot", "pending", fold=Fold.SUM, fresh_s=90_000),
        ),
        Table(
            "Machines",
            "The newest of each. Logon: from the password to a desktop that can be used, where the platform tells it.",
            (
                AGENTS_NOW,
                Ask("logon", "host_logons", "logon_seconds", by=_PC, fresh_s=86_400),
                Ask("start", "host_logons", "boot_seconds", by=_PC, fresh_s=86_400 * 7),
                Ask("processor", "host_cpu", "utilisation_ratio", by=_PC),
                Ask("memory", "host_memory", "used_ratio", by=_PC),
                Ask("Wi-Fi", "host_wifi", "signal_dbm", by=_PC, fold=Fold.MIN),
                Ask("battery", "host_battery", "charge_ratio", by=_PC, fold=Fold.MIN),
                Ask("restart waits", "host_reboot", "pending", by=_PC, fresh_s=90_000),
            ),
            words={"state": states(AGENTS_NOW), "restart waits": yes_no("yes", "no", good=False)},
            units={
                "logon": "s",
                "start": "s",
                "processor": "percentunit",
                "memory": "percentunit",
                "Wi-Fi": "dBm",
                "battery": "percentunit",
            },
            bad={
                "logon": ((60, WARN), (600, BAD)),
                "start": ((300, WARN),),
                "processor": ((0.8, WARN),),
                "memory": ((0.9, WARN),),
            },
            sort="logon",
            size=(24, 12),
        ),
        Chart(
            "Logon by area",
            "The slowest of each area over time.",
            (Ask("logon", "host_logons", "logon_seconds", by=("area",), chart=True),),
            "$area",
            unit="s",
            limits=((60, WARN), (600, BAD)),
        ),
        Chart(
            "Web answers as seen from the wards",
            "95th percentile by vantage point.",
            (Ask("p95", "http", "duration_seconds", by=_PC, over=Over.P95, chart=True, place=()),),
            "$vantage",
            unit="s",
            limits=((2, WARN), (10, BAD)),
        ),
        gauge(
            "Wi-Fi signal",
            "Below -67 dBm data suffer.",
            "host_wifi",
            "signal_dbm",
            by=_PC,
            unit="dBm",
            fold=Fold.MIN,
            least=None,
        ),
        gauge(
            "Battery",
            "Charge of trolleys and laptops.",
            "host_battery",
            "charge_ratio",
            by=_PC,
            unit="percentunit",
            fold=Fold.MIN,
            most=1,
            limits=((0, BAD), (0.2, CARE)),
        ),
        gauge(
            "Remote sessions",
            "Mean delay of sessions on session hosts.",
            "host_remote_session",
            "mean_latency_seconds",
            by=("target",),
            unit="s",
            limits=((0.15, WARN),),
        ),
        gauge(
            "Print queues",
            "The oldest job that waits.",
            "host_print_queue",
            "oldest_job_age_seconds",
            by=("target", "queue"),
            unit="s",
            limits=((300, WARN),),
        ),
    ),
    (SITE, AREA),
)
