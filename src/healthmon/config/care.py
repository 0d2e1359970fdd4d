"""The `care:` block and the pack of minimum standards, resolved against the site."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from healthmon.config.careforms import CareForm
from healthmon.config.packs import Packs
from healthmon.config.problems import Problems, allowed, did_you_mean
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.impact.losttime import Costs
from healthmon.model.topology import Estate
from healthmon.reports.care import Asked, Care, Expiry, Legacy, PaperForms, People, Standard

PACK = "alerting/standards/default.yaml"
#: What can be measured; a standard names one of these.
METRICS = {
    "availability_ratio", "response_p50_seconds", "response_p95_seconds", "logon_p95_seconds", "reconnect_p95_seconds",
    "app_start_p95_seconds",
    "crash_free_ratio", "wifi_signal_dbm", "wifi_snr_db", "battery_ratio",
}  # fmt: skip
#: Those that a service may have its own aim for.
OF_SERVICES = ("availability_ratio", "response_p50_seconds", "response_p95_seconds")
Warn = list[tuple[DataPath, str]]


def care_of(written: Written, packs: Packs, estate: Estate, warn: Warn, problems: Problems) -> Care:
    """Areas, targets and services that are named must exist."""
    form = written.care
    standards = standards_of(packs, problems)
    _names_known(written, form, estate)
    return Care(
        standards=standards,
        own=_own(written, estate, warn),
        people={id_: People(one.day, one.night, one.pcs, dict(one.roles)) for id_, one in form.people.items()},
        costs=_costs(form),
        forms=tuple(
            PaperForms(one.id, one.name, _areas(one.areas, estate), one.version, one.current, one.printed_on)
            for one in form.forms
        ),
        legacy=tuple(
            Legacy(one.id, one.name, one.system, tuple(one.targets), one.end_of_support, one.owner, one.plan,
                   one.retired_on)
            for one in form.legacy
        ),
        expiries=tuple(
            Expiry(one.id, one.name, one.kind, one.expires_on, one.owner, tuple(one.services)) for one in form.expiries
        ),
        asked=tuple(Asked(one.id, one.area, one.asked_on, one.text, one.done_on, one.done) for one in form.asked),
    )  # fmt: skip


def standards_of(packs: Packs, problems: Problems) -> tuple[Standard, ...]:
    """The pack of minimum standards; what is wrong in it is said with its place."""
    document = packs.document(PACK)
    if document is None:
        return ()
    found = []
    for number, one in enumerate(document.data.get("standards") or []):
        try:
            found.append(_standard(one))
        except (KeyError, TypeError, ValueError) as error:
            problems.add(document.spot(("standards", number)), f"is no standard: {error}")
    return tuple(found)


def _standard(one: Mapping[str, Any]) -> Standard:
    if one["metric"] not in METRICS:
        raise ValueError(f"unknown metric '{one['metric']}'{allowed(METRICS)}")
    if ("at_least" in one) == ("at_most" in one):
        raise ValueError("give at_least or at_most")
    aim = float(one["at_least"] if "at_least" in one else one["at_most"])
    tiers = tuple(int(tier) for tier in one.get("tiers", ()))
    return Standard(one["id"], one["name"], one["metric"], aim, "at_least" in one, one.get("unit", ""), tiers,
                    one.get("source", ""))  # fmt: skip


def _own(written: Written, estate: Estate, warn: Warn) -> dict[tuple[str, str], float]:
    found = {}
    places = {placed.form.id: placed.path for placed in written.services}
    for service in estate.services.values():
        for name, aim in service.standards.items():
            found[service.id, name] = aim
            if name not in OF_SERVICES:
                said = f"nothing measures '{name}'{did_you_mean(name, OF_SERVICES)}{allowed(OF_SERVICES)}"
                warn.append(((*places[service.id], "standards"), said))
    return found


def _costs(form: CareForm) -> Costs:
    lost, slow = form.costs.paper_lost, form.costs.paper_degraded
    return Costs(form.costs.move_seconds, (lost[0], lost[1], lost[2]), (slow[0], slow[1], slow[2]))


def _areas(names: Iterable[str], estate: Estate) -> tuple[str, ...]:
    return tuple(estate.areas) if "all" in names else tuple(names)


def _names_known(written: Written, form: CareForm, estate: Estate) -> None:
    for id_ in form.people:
        _known(written, id_, estate.areas, ("people", id_), "area")
    for number, pack in enumerate(form.forms):
        for name in pack.areas:
            _known(written, name, {"all", *estate.areas}, ("forms", number), "area")
    for number, system in enumerate(form.legacy):
        for name in system.targets:
            _known(written, name, estate.targets, ("legacy", number), "target")
    for number, date_ in enumerate(form.expiries):
        for name in date_.services:
            _known(written, name, estate.services, ("expiries", number), "service")
    for number, one in enumerate(form.asked):
        _known(written, one.area, estate.areas, ("asked", number), "area")
    for name in ("paper_lost", "paper_degraded"):
        ends = getattr(form.costs, name)
        if sorted(ends) != ends or not 0 <= ends[0] <= ends[-1] <= 1:
            written.validator.problem(("care", "costs", name), "must be three shares from 0 to 1 that do not fall")


def _known(written: Written, name: str, known: Iterable[str], path: tuple[str | int, ...], noun: str) -> None:
    names = set(known)
    if name not in names:
        written.validator.problem(("care", *path), f"unknown {noun} '{name}'{did_you_mean(name, names)}")
