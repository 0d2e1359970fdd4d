"""What care falls back on, and what is restored from: downtime copies, paper forms, backups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from healthmon.impact.refuge import COPY_MOST_S
from healthmon.model.sample import Outcome, Reading
from healthmon.reports.facts import COPY_CHECK, DAY_S, NOT_READY, READY, UNKNOWN, Facts, Found, Item

BACKUP_MOST_S = 26 * 3_600.0
RESTORE_TEST_MOST_S = 7 * DAY_S


def copies(facts: Facts) -> Iterator[Item]:
    """Every downtime copy, and every fallback that a target proves."""
    proofs: dict[str, list[str]] = {}
    for service in facts.estate.services.values():
        if service.fallback and service.fallback.proven_by:
            proofs.setdefault(service.fallback.proven_by, []).append(service.id)
        elif service.fallback is None and service.tier <= 1:
            yield Item(
                "downtime_copy", service.id, service.name, NOT_READY, ("no fallback is declared",), None, (service.id,)
            )
        elif service.tier <= 1:
            said = "nothing proves that the fallback is ready"
            yield Item("downtime_copy", service.id, service.name, UNKNOWN, (said,), None, (service.id,))
    for target in facts.estate.targets.values():
        if any(check.id == COPY_CHECK for check in target.checks):
            proofs.setdefault(target.id, [])
    for id_, services in proofs.items():
        state, why = copy_state(facts, id_)
        target_ = facts.estate.targets[id_]
        yield Item("downtime_copy", id_, target_.name, state, (why,) if why else (), target_.area, tuple(services))


def copy_state(facts: Facts, target: str) -> tuple[str, str]:
    """Fresh within 30 minutes by the check `downtime-copy`; without such a check, at least it answers."""
    looks = [one for one in facts.latest(target) if one.check == COPY_CHECK]
    if not looks:
        status = facts.view.targets.get(target)
        if status is None or status.outcome is Outcome.UNKNOWN:
            return UNKNOWN, "it is not seen"
        return (READY, "") if status.outcome is Outcome.OK else (NOT_READY, "it does not answer")
    reading = max(looks, key=lambda one: one.started)
    if not facts.fresh(reading):
        return UNKNOWN, "nobody has looked at the copy lately"
    values = {(one.family, one.field): one.value for one in reading.samples}
    age = values.get(("backup_evidence", "age_seconds"), values.get(("http", "last_modified_age_seconds")))
    if reading.outcome is Outcome.FAILED or values.get(("backup_evidence", "found")) == 0.0:
        return NOT_READY, "the copy is not there"
    if reading.outcome is Outcome.UNKNOWN or not isinstance(age, float):
        return UNKNOWN, "the age of the copy is not known"
    return (
        (READY, "")
        if age <= COPY_MOST_S
        else (NOT_READY, f"the copy is {age / 60:.0f} min old, {COPY_MOST_S / 60:.0f} is the most")
    )


def paper(facts: Facts) -> Iterator[Item]:
    """Paper forms: the version that lies there is the one in force, and each care area has some."""
    covered = {area for pack in facts.care.forms for area in pack.areas}
    for pack in facts.care.forms:
        same = pack.version == pack.current
        why = () if same else (f"version {pack.version} lies there, {pack.current} is in force",)
        yield Item("paper_forms", pack.id, pack.name, READY if same else NOT_READY, why)
    for area in facts.care_areas():
        if area.id not in covered:
            yield Item("paper_forms", area.id, area.name, UNKNOWN, ("no paper forms are registered for it",), area.id)


def backups(facts: Facts) -> Iterator[Item]:
    """Age, a copy elsewhere, a test of restoring: each must be shown. A database without any evidence is not known."""
    shown: set[str] = set()
    for id_, reading in facts.readings():
        for backup, values in _by_label(reading, "backup_evidence", "backup").items():
            if reading.check == COPY_CHECK:
                continue
            shown.update((id_, facts.estate.targets[id_].labels.get("backup_of", "")))
            state, why = backup_state(values, fresh=facts.fresh(reading))
            yield Item("backup", f"{id_}/{backup}", backup, state, why, None, facts.services_behind([id_]))
    for target in facts.estate.targets.values():
        if target.kind in ("database", "storage") and target.id not in shown:
            services = facts.services_behind([target.id])
            if any(facts.estate.services[one].tier <= 1 for one in services):
                yield Item("backup", target.id, target.name, UNKNOWN, ("nothing shows a backup of it",), None, services)


def backup_state(values: Mapping[str, Any], *, fresh: bool) -> Found:
    """NHS England policy: off-site and offline or immutable; at most 26 h old; restored in a test within 7 days."""
    if not fresh:
        return UNKNOWN, ("nobody has looked at it lately",)
    found: list[str] = []
    age, test = values.get("age_seconds"), values.get("restore_test_age_seconds")
    if values.get("found") == 0.0 or age is None:
        found.append("no backup is found")
    elif age > BACKUP_MOST_S:
        found.append(f"the last backup is {age / 3600:.0f} h old, {BACKUP_MOST_S / 3600:.0f} h is the most")
    if values.get("succeeded") == 0.0:
        found.append("the last backup says that it failed")
    if test is None:
        found.append("no test of restoring is known")
    elif test > RESTORE_TEST_MOST_S:
        found.append(
            f"restoring was last tested {test / DAY_S:.0f} days ago, {RESTORE_TEST_MOST_S / DAY_S:.0f} is the most"
        )
    if not (values.get("off_site") or values.get("off_site_age_seconds") is not None):
        found.append("no copy off-site is known")
    if not values.get("immutable"):
        found.append("no copy that cannot be changed is known")
    return (NOT_READY if found else READY), tuple(found)


def _by_label(reading: Reading, family: str, label: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in reading.samples:
        if one.family == family:
            found.setdefault(one.labels.get(label, ""), {})[one.field] = one.value
    return found
