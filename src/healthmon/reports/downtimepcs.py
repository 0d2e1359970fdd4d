"""Downtime PCs: on, powered, with a printer and a fresh copy, or red before anybody needs them."""

from __future__ import annotations

from collections.abc import Iterator

from healthmon.impact.refuge import PRINTER_FAULTS, printers_of
from healthmon.model.sample import Outcome
from healthmon.reports.copies import copy_state
from healthmon.reports.facts import COPY_CHECK, NOT_READY, READY, UNKNOWN, Facts, Found, Item, worst


def downtime_pcs(facts: Facts) -> Iterator[Item]:
    """The PC of each area: on, powered, with a printer and a fresh copy."""
    for area in facts.care_areas():
        if area.downtime_pc is None:
            yield Item("downtime_pc", area.id, area.name, NOT_READY, ("no downtime PC is declared",), area.id)
        else:
            state, why = pc_state(facts, area.downtime_pc)
            target = facts.estate.targets.get(area.downtime_pc)
            name = target.name if target else area.downtime_pc
            yield Item("downtime_pc", area.downtime_pc, name, state, why, area.id)


def pc_state(facts: Facts, pc: str) -> Found:
    """One downtime PC with all it needs; what is not seen is not known."""
    found = [*_on(facts, pc), *_power(facts, pc), *_printer(facts, pc), *_copy_on(facts, pc)]
    return worst(state for state, _ in found), tuple(why for state, why in found if state != READY)


def _on(facts: Facts, pc: str) -> Iterator[tuple[str, str]]:
    status = facts.view.targets.get(pc)
    if status is None or status.outcome is Outcome.UNKNOWN:
        yield UNKNOWN, "it is not seen whether it is on"
    elif status.outcome is Outcome.FAILED:
        yield NOT_READY, "it is off or not reached"


def _power(facts: Facts, pc: str) -> Iterator[tuple[str, str]]:
    """Mains, and the UPS that the label `ups` names."""
    known = facts.estate.targets.get(pc)
    labels = known.labels if known else {}
    mains = facts.value(pc, "host_battery", "on_mains")
    if mains == 0.0:
        yield NOT_READY, "it runs on its battery: plug it in"
    ups = labels.get("ups")
    if ups is not None:
        status = facts.view.targets.get(ups)
        if status is None or status.outcome is not Outcome.OK:
            yield (
                NOT_READY if status and status.outcome is Outcome.FAILED else UNKNOWN,
                f"its UPS {ups} is not seen well",
            )
        elif facts.value(ups, "snmp_ups", "on_battery") == 1.0:
            yield NOT_READY, f"its UPS {ups} runs on battery"
    elif mains is None:
        yield UNKNOWN, "its power is not seen (no battery reading, no label `ups`)"


def _printer(facts: Facts, pc: str) -> Iterator[tuple[str, str]]:
    printers = printers_of(facts.estate, pc)
    if not printers:
        yield (
            NOT_READY,
            "no printer is declared for it (label `printer`, or a printer of the area with `purpose: downtime`)",
        )
    for printer in printers:
        status = facts.view.targets.get(printer)
        if status is None or status.outcome is Outcome.UNKNOWN:
            yield UNKNOWN, f"its printer {printer} is not seen"
        elif status.outcome is Outcome.FAILED:
            yield NOT_READY, f"its printer {printer} does not answer"
        elif any((facts.value(printer, *field) or 0.0) > 0.0 for field in PRINTER_FAULTS):
            yield NOT_READY, f"its printer {printer} needs somebody"


def _copy_on(facts: Facts, pc: str) -> Iterator[tuple[str, str]]:
    """The copy on the PC, where a check looks for one."""
    target = facts.estate.targets.get(pc)
    if target is not None and any(check.id == COPY_CHECK for check in target.checks):
        state, why = copy_state(facts, pc)
        if state != READY:
            yield state, why
