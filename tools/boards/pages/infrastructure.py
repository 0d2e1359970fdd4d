"""Network, servers, power and rooms."""

from __future__ import annotations

from boards.ask import Ask, Fold
from boards.board import AREA, SITE, Board, target_choice
from boards.pages.common import failing, gauge, open_incidents
from boards.panels import Number, Table
from boards.words import BAD, CARE, WARN, yes_no

_SWITCH = target_choice("snmp_if", "healthmon_snmp_if_oper_up", "Switch")
_ON = {"target": "/$target/"}
_PORT = ("target", "interface")


def _ports(name: str, field: str, *, fold: Fold = Fold.MAX) -> Ask:
    return Ask(name, "snmp_if", field, by=_PORT, where=_ON, fold=fold)


NETWORK = Board(
    "healthmon-network",
    "Network",
    "Switches and their ports: up or down, load, errors, spanning tree, power over Ethernet; loss and delay.",
    (
        Number(
            "Uplinks down",
            "Ports that lead to another switch and are down.",
            Ask("down", "snmp_if", "uplink_up", fold=Fold.COUNT, only="< 1", where=_ON),
            bad=((1, BAD),),
            size=(6, 4),
        ),
        Number(
            "Ports with errors",
            "At least one packet in a thousand is damaged.",
            Ask("ports", "snmp_if", "in_error_ratio", fold=Fold.COUNT, only=">= 0.001", where=_ON),
            bad=((1, WARN),),
            size=(6, 4),
        ),
        Number(
            "Busiest port",
            "Use of its speed, in either direction.",
            Ask("use", "snmp_if", "in_utilisation_ratio", where=_ON),
            unit="percentunit",
            bad=((0.9, BAD),),
            size=(6, 4),
        ),
        Number(
            "Worst loss",
            "Of echo requests, to any target of these places.",
            Ask("loss", "icmp", "loss_ratio"),
            unit="percentunit",
            bad=((0.01, WARN), (0.2, BAD)),
            size=(6, 4),
        ),
        Table(
            "Ports",
            "Administratively on, and carrying. Errors are shares of packets.",
            (
                _ports("on", "admin_up"),
                _ports("carries", "oper_up"),
                _ports("in", "in_bytes_per_second"),
                _ports("out", "out_bytes_per_second"),
                _ports("errors in", "in_error_ratio"),
                _ports("errors out", "out_error_ratio"),
            ),
            words={"carries": yes_no("up", "DOWN", good=True), "on": yes_no("yes", "switched off", good=True)},
            units={"in": "Bps", "out": "Bps", "errors in": "percentunit", "errors out": "percentunit"},
            bad={"errors in": ((0.001, WARN),), "errors out": ((0.001, WARN),)},
            sort="carries",
            falling=False,
            size=(24, 12),
        ),
        gauge("In, by port", "Bytes a second.", "snmp_if", "in_bytes_per_second", by=_PORT, unit="Bps", where=_ON),
        gauge("Out, by port", "Bytes a second.", "snmp_if", "out_bytes_per_second", by=_PORT, unit="Bps", where=_ON),
        gauge(
            "Loss",
            "Share of echo requests without an answer.",
            "icmp",
            "loss_ratio",
            by=("target",),
            unit="percentunit",
            most=1,
        ),
        gauge("Delay", "95th percentile of echoes.", "icmp", "rtt_p95_seconds", by=("target",), unit="s"),
        gauge(
            "Topology changes",
            "Spanning tree, a second. More than 10 in 5 minutes on a core is a storm in the making.",
            "snmp_bridge",
            "topology_changes_per_second",
            by=("target",),
            unit="cps",
            where=_ON,
        ),
        gauge(
            "Power over Ethernet",
            "Share of what the switch can give.",
            "snmp_poe",
            "used_ratio",
            by=("target", "group"),
            unit="percentunit",
            most=1,
            limits=((0.9, WARN),),
        ),
        gauge(
            "Access points on the controllers",
            "A fall of many at once is a controller, a switch or a licence.",
            "snmp_wlan",
            "access_points",
            by=("target",),
            unit="short",
            fold=Fold.MIN,
        ),
        gauge("Wi-Fi clients", "All of a controller.", "snmp_wlan", "clients", by=("target",), unit="short"),
        gauge(
            "Addresses left in DHCP scopes",
            "Share in use.",
            "dhcp_scope",
            "used_ratio",
            by=("target", "scope"),
            unit="percentunit",
            most=1,
            limits=((0.8, CARE), (0.95, BAD)),
        ),
        failing(size=(12, 8)),
    ),
    (SITE, AREA, _SWITCH),
)

_HOST = target_choice("host_cpu", "healthmon_host_cpu_utilisation_ratio", "Server")
_BY = ("target",)


def _host(name: str, family: str, field: str, *, fold: Fold = Fold.MAX, fresh_s: int = 900) -> Ask:
    return Ask(name, family, field, by=_BY, where=_ON, fold=fold, fresh_s=fresh_s)


SERVERS = Board(
    "healthmon-servers",
    "Servers",
    "Processors, memory, disks and when they will be full, services, updates, support, storage, backups.",
    (
        Number(
            "Disks full within a day",
            "By their present growth.",
            Ask("disks", "host_disk", "full_in_seconds", fold=Fold.COUNT, only="< 86400", where=_ON),
            bad=((1, BAD),),
            size=(6, 4),
        ),
        Number(
            "Fullest disk",
            "Share in use.",
            Ask("used", "host_disk", "used_ratio", where=_ON),
            unit="percentunit",
            bad=((0.8, CARE), (0.9, BAD)),
            size=(6, 4),
        ),
        Number(
            "Services failed",
            "On these servers.",
            Ask("failed", "host_services", "failed", fold=Fold.SUM, where=_ON),
            bad=((1, BAD),),
            size=(6, 4),
        ),
        Number(
            "Oldest backup",
            "Time since the last good one.",
            Ask("age", "backup_evidence", "age_seconds", fresh_s=90_000),
            unit="s",
            bad=((26 * 3600, BAD),),
            size=(6, 4),
        ),
        Table(
            "Servers",
            "The newest of each. Support: until the maker stops mending the system.",
            (
                _host("processor", "host_cpu", "utilisation_ratio"),
                _host("memory", "host_memory", "used_ratio"),
                _host("fullest disk", "host_disk", "used_ratio"),
                _host("full in", "host_disk", "full_in_seconds", fold=Fold.MIN),
                _host("restart waits", "host_reboot", "pending", fresh_s=90_000),
                _host("support left", "host_os", "support_left_seconds", fold=Fold.MIN, fresh_s=90_000),
                _host("up for", "host_uptime", "uptime_seconds"),
            ),
            words={"restart waits": yes_no("yes", "no", good=False)},
            units={
                "processor": "percentunit",
                "memory": "percentunit",
                "fullest disk": "percentunit",
                "full in": "s",
                "support left": "s",
                "up for": "s",
            },
            bad={"processor": ((0.8, WARN),), "memory": ((0.9, WARN),), "fullest disk": ((0.8, CARE), (0.9, BAD))},
            sort="fullest disk",
            size=(24, 10),
        ),
        gauge(
            "Processor", "Share busy.", "host_cpu", "utilisation_ratio", by=_BY, unit="percentunit", most=1, where=_ON
        ),
        gauge("Memory", "Share in use.", "host_memory", "used_ratio", by=_BY, unit="percentunit", most=1, where=_ON),
        gauge(
            "Disks",
            "Share in use.",
            "host_disk",
            "used_ratio",
            by=("target", "mount"),
            unit="percentunit",
            most=1,
            where=_ON,
            limits=((0.8, CARE), (0.9, BAD)),
        ),
        gauge(
            "Storage delay",
            "Of volumes and arrays. 20 ms is slow for a platform that many share, 30 ms is trouble.",
            "storage",
            "latency_seconds",
            by=("target", "volume"),
            unit="s",
            limits=((0.02, WARN), (0.03, BAD)),
        ),
        gauge(
            "Errors logged", "In the window of the collector.", "host_events", "errors", by=_BY, unit="short", where=_ON
        ),
        gauge(
            "Directory replication",
            "Time since each partner was last in step.",
            "directory",
            "replication_age_seconds",
            by=("target", "partner"),
            unit="s",
            limits=((3600, WARN), (6 * 3600, BAD)),
        ),
        gauge(
            "Clocks",
            "Offset that NTP servers tell. Logons fail from 5 minutes on.",
            "ntp",
            "offset_seconds",
            by=_BY,
            unit="s",
            least=None,
        ),
        failing(size=(12, 8)),
    ),
    (SITE, AREA, _HOST),
)

POWER = Board(
    "healthmon-power-environment",
    "Power and environment",
    "UPS, generators, supplies, rooms: what gives minutes of warning before everything else fails.",
    (
        Number(
            "UPS on battery",
            "Mains are gone there: minutes count.",
            Ask("on battery", "snmp_ups", "on_battery", fold=Fold.SUM),
            bad=((1, BAD),),
            size=(6, 4),
        ),
        Number(
            "Shortest time left",
            "Of any UPS. Below 15 minutes of real need this is severity 1.",
            Ask("left", "snmp_ups", "remaining_seconds", fold=Fold.MIN),
            unit="s",
            size=(6, 4),
        ),
        Number(
            "Batteries to replace",
            "What UPS say of themselves.",
            Ask("batteries", "snmp_ups", "battery_replace", fold=Fold.SUM),
            bad=((1, WARN),),
            size=(6, 4),
        ),
        Number(
            "Warmest inlet",
            "27 °C is the recommended top, 32 °C is trouble.",
            Ask("inlet", "snmp_sensor", "inlet_celsius"),
            unit="celsius",
            bad=((27, WARN), (32, BAD)),
            size=(6, 4),
        ),
        Table(
            "UPS",
            "The newest of each.",
            (
                Ask("battery", "snmp_ups", "on_battery", by=_BY),
                Ask("charge", "snmp_ups", "charge_ratio", by=_BY, fold=Fold.MIN),
                Ask("time left", "snmp_ups", "remaining_seconds", by=_BY, fold=Fold.MIN),
                Ask("load", "snmp_ups", "load_ratio", by=_BY),
                Ask("replace", "snmp_ups", "battery_replace", by=_BY),
                Ask("self test", "snmp_ups", "self_test_failed", by=_BY),
            ),
            words={
                "battery": yes_no("ON BATTERY", "mains", good=False),
                "replace": yes_no("REPLACE", "no", good=False),
                "self test": yes_no("FAILED", "passed", good=False),
            },
            units={"charge": "percentunit", "time left": "s", "load": "percentunit"},
            sort="time left",
            falling=False,
            size=(16, 9),
        ),
        Table(
            "Generators",
            "Ready to start, running, mains there, fuel.",
            (
                Ask("mains", "generator", "mains_present", by=_BY, fold=Fold.MIN),
                Ask("running", "generator", "running", by=_BY),
                Ask("ready", "generator", "ready", by=_BY, fold=Fold.MIN),
                Ask("fuel", "generator", "fuel_ratio", by=_BY, fold=Fold.MIN),
            ),
            words={
                "mains": yes_no("there", "GONE", good=True),
                "running": yes_no("running", "stands", good=True),
                "ready": yes_no("ready", "NOT READY", good=True),
            },
            units={"fuel": "percentunit"},
            size=(8, 9),
        ),
        gauge(
            "UPS charge",
            "Of the battery.",
            "snmp_ups",
            "charge_ratio",
            by=_BY,
            unit="percentunit",
            most=1,
            fold=Fold.MIN,
        ),
        gauge(
            "UPS load",
            "Share of what it can carry.",
            "snmp_ups",
            "load_ratio",
            by=_BY,
            unit="percentunit",
            limits=((0.8, WARN),),
        ),
        gauge(
            "Inlets",
            "Air that goes into the racks.",
            "snmp_sensor",
            "inlet_celsius",
            by=("target", "sensor"),
            unit="celsius",
            least=None,
            limits=((27, WARN), (32, BAD)),
        ),
        gauge(
            "Temperatures",
            "All sensors.",
            "snmp_sensor",
            "celsius",
            by=("target", "sensor"),
            unit="celsius",
            least=None,
        ),
        gauge(
            "Humidity",
            "Relative.",
            "snmp_sensor",
            "humidity_ratio",
            by=("target", "sensor"),
            unit="percentunit",
            most=1,
        ),
        gauge(
            "Supplies and outlets",
            "Watts drawn, by outlet.",
            "snmp_outlet",
            "watts",
            by=("target", "outlet"),
            unit="watt",
        ),
        Table(
            "Parts",
            "Fans, supplies, batteries, cards: what devices say of themselves, the worst 20 first.",
            (Ask("not well", "snmp_component", "ok", by=("target", "component"), fold=Fold.MIN, share=True, most=20),),
            words={"not well": yes_no("NOT WELL", "well", good=False)},
            sort="not well",
            size=(12, 8),
        ),
        open_incidents(size=(12, 8)),
    ),
    (SITE, AREA),
)
