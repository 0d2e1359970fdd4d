"""What SNMP packs may emit: one vocabulary for every vendor, so that one rule and one board fit all of them."""

from __future__ import annotations

from collections.abc import Mapping

from healthmon.model.sample import Family
from healthmon.probes.silence import INTERFACE_FAMILY
from healthmon.probes.told import TOLD

#: Every pack reads the uptime; it comes with each answer.
SYSTEM = "snmp_system"


def _family(name: str, label: str | None, fields: str) -> Family:
    return Family(name, frozenset(fields.split()), frozenset({label} if label else ()))


_INTERFACE = (
    "oper_up admin_up uplink_up speed_bits_per_second mtu_bytes"
    " in_bytes_per_second out_bytes_per_second in_utilisation_ratio out_utilisation_ratio"
    " in_packets_per_second out_packets_per_second"
    " in_errors_per_second out_errors_per_second in_error_ratio out_error_ratio"
    " in_discards_per_second out_discards_per_second"
    " in_bytes_total out_bytes_total in_errors_total out_errors_total"
)
_UPS = (
    "on_battery on_bypass output_on battery_low battery_replace charge_ratio remaining_seconds on_battery_seconds"
    " load_ratio battery_volts battery_amperes battery_celsius alarms self_test_failed"
    " input_volts input_hertz output_volts output_hertz output_amperes output_watts bypass_hertz"
)
_SENSOR = (
    "celsius inlet_celsius humidity_ratio volts amperes watts voltamperes hertz speed_rpm power_dbm"
    " energy_joules flow_cubic_metres_per_second power_factor_ratio ok state state_code"
)

#: Family -> its label and every field that a pack may give. A pack may declare families of its own beside these.
VOCABULARY: Mapping[str, Family] = {
    family.name: family
    for family in (
        _family(SYSTEM, None, "uptime_seconds"),
        _family("snmp_if", "interface", _INTERFACE),
        _family("snmp_host", None, "uptime_seconds processes users load_1m load_5m load_15m"),
        _family("snmp_processor", "processor", "utilisation_ratio"),
        _family("snmp_memory", "memory", "total_bytes used_bytes free_bytes allocated_bytes used_ratio"),
        _family("snmp_swap", "memory", "total_bytes used_bytes free_bytes used_ratio"),
        _family("snmp_buffer", "memory", "total_bytes used_bytes used_ratio"),
        _family("snmp_storage", "storage", "total_bytes used_bytes free_bytes used_ratio inodes_used_ratio"),
        _family("snmp_sensor", "sensor", _SENSOR),
        _family("snmp_component", "component", "ok state state_code"),
        _family("snmp_amount", "amount", "value per_second utilisation_ratio seconds"),
        _family("snmp_disk", "disk", "bad_sectors lifetime_left_ratio"),
        _family("snmp_ups", None, _UPS),
        _family("snmp_ups_output", "line", "volts amperes watts load_ratio"),
        _family("snmp_ups_input", "line", "volts amperes watts hertz"),
        _family("snmp_printer", "device", "idle printing device_down paper_low paper_out toner_low toner_out"
                " door_open jammed offline service_needed ok state state_code"),
        _family("snmp_printer_supply", "supply", "level capacity remaining_ratio some_left level_known"),
        _family("snmp_printer_cover", "cover", "open"),
        _family("snmp_printer_tray", "tray", "sheets capacity_sheets remaining_ratio paper_left"),
        _family("snmp_printer_counter", "marker", "pages_total last_page_age_seconds"),
        _family("snmp_wlan", None, "access_points clients"),
        _family("snmp_access_point", "access_point", "up clients"),
        _family("snmp_bridge", None, "topology_changes_total topology_changes_per_second"
                " topology_age_seconds root_cost root_port is_root"),
        _family("snmp_bridge_port", "interface", "forwarding blocking state state_code ok"),
        _family("snmp_neighbour", "port", "present"),
        _family("snmp_dot1x", "interface", "authorized auth_failures_total"),
        _family("snmp_poe", "group", "power_watts used_watts used_ratio on ok state state_code"),
        _family("snmp_outlet", "outlet", "on amperes watts state state_code ok"),
        INTERFACE_FAMILY,
        *TOLD,
    )
}  # fmt: skip
