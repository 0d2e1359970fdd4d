"""Alerts of Prometheus as readings: pure. One reading for each check that they are about, with all that fires there.

Alertmanager sends a group at a time, so what fires about one target comes in several payloads. Which alerts fire stands
in the newest reading itself: a restart forgets nothing, and one alert's end never hides another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.model.topology import Check, Estate, Target

#: Labels that may name the target, the surest first.
NAMING = ("healthmon_target", "target", "instance")
#: Alerts that fire always, to show that Prometheus is alive.
HEARTBEATS = frozenset({"Watchdog", "DeadMansSwitch"})
#: So many are named in a reading's text; all of them are in its samples.
NAMED_MOST = 20
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_LETTERS = str.maketrans("0123456789", "ghijklmnop")

Latest = Mapping[tuple[str, str, str], Reading]
Alert = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """What becomes of a payload. ignored: (name of the alert, why)."""

    readings: tuple[Reading, ...]
    ignored: tuple[tuple[str, str], ...]


def taken(alerts: Sequence[Alert], *, source: str, estate: Estate, latest: Latest, now: float) -> Taken:
    """Readings of the checks that the alerts are about, and what is about none."""
    places = {target.address.lower(): target for target in estate.targets.values()}
    firing: dict[tuple[str, str], dict[str, bool]] = {}
    beats: dict[tuple[str, str], None] = {}
    ignored: list[tuple[str, str]] = []
    for alert in alerts:
        name = _name(alert)
        target = _target(alert, estate, places)
        check = _check(alert, target, source) if target else None
        if target is None or check is None:
            nowhere = "no label names a target of the inventory"
            ignored.append((name, nowhere if target is None else f"no check of {target.id} names {source}"))
        elif name in HEARTBEATS:
            if check.kind == "push" and alert["status"] == "firing":
                beats[(target.id, check.id)] = None
        else:
            key = (target.id, check.id)
            known = firing.setdefault(key, _known(latest.get((*key, source))))
            known[_mark(alert)] = alert["status"] == "firing"
    readings = [_reading(key, source, now, names) for key, names in firing.items()]
    readings += [Reading(*key, source, now, 0.0, Outcome.OK) for key in beats]
    return Taken(tuple(readings), tuple(ignored))


def _reading(key: tuple[str, str], source: str, now: float, alerts: Mapping[str, bool]) -> Reading:
    marks = [mark for mark, fires in alerts.items() if fires]
    samples = tuple(Sample("alertmanager", "firing", float(fires), {"alert": mark}) for mark, fires in alerts.items())
    if not marks:
        return Reading(*key, source, now, 0.0, Outcome.OK, samples=samples)
    return Reading(*key, source, now, 0.0, Outcome.FAILED, Reason.BAD_RESPONSE, ", ".join(marks[:NAMED_MOST]), samples)


def _known(reading: Reading | None) -> dict[str, bool]:
    """The alerts that fired as of the newest reading."""
    samples = reading.samples if reading else ()
    return {sample.labels["alert"]: True for sample in samples if sample.family == "alertmanager" and sample.value}


def _name(alert: Alert) -> str:
    return _UNFIT.sub("_", str(alert["labels"].get("alertname", "")))[:80] or "unnamed"


def _mark(alert: Alert) -> str:
    """The rule's name and which of its alerts; in letters, since a row of digits looks like a patient's number."""
    return f"{_name(alert)}#{_UNFIT.sub('', str(alert.get('fingerprint', '')))[:8].lower().translate(_LETTERS)}"


def _target(alert: Alert, estate: Estate, places: Mapping[str, Target]) -> Target | None:
    for label in NAMING:
        value = str(alert["labels"].get(label, "")).lower()
        host = re.sub(r":\d+$", "", value.removeprefix("http://").removeprefix("https://").split("/")[0])
        for text in (value, host, host.split(".")[0]):
            if text and (found := estate.targets.get(text) or places.get(text)):
                return found
    return None


def _check(alert: Alert, target: Target, source: str) -> Check | None:
    """The one that `healthmon_check` names, else the first that hears this source (a heartbeat is a pushed check's)."""
    wanted = alert["labels"].get("healthmon_check")
    kind = "push" if _name(alert) in HEARTBEATS else "alertmanager"
    mine = [one for one in target.checks if one.kind == kind and source in one.vantages]
    return next((one for one in mine if wanted in (None, one.id)), None)
