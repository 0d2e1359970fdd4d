"""Alerts of Prometheus become readings; one alert's end never hides another one."""

from __future__ import annotations

from typing import Any

from healthmon.app.prometheus_alerts import Taken, taken
from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import Check, Estate, Organisation, Site, Target

SOURCE = "prom"


def target(id: str, address: str, *kinds: str, source: str = SOURCE) -> Target:
    checks = tuple(Check(kind, kind, 60, 10, vantages=(source,)) for kind in kinds)
    return Target(id, id, "server", address, "main", None, checks=checks)


ESTATE = Estate(
    Organisation("o", "O", "Europe/London"),
    sites={"main": Site("main", "Main", "Europe/London")},
    areas={},
    services={},
    targets={
        one.id: one
        for one in (
            target("srv-1", "192.0.2.1", "alertmanager"),
            target("srv-2", "srv-2.example", "alertmanager"),
            target("srv-3", "192.0.2.3", "alertmanager", source="other"),
            target("prometheus", "192.0.2.9", "push"),
        )
    },
    teams={},
    agents={},
)


def alert(name: str, status: str = "firing", fingerprint: str = "0123456789abcdef", **labels: str) -> dict[str, Any]:
    return {"status": status, "labels": {"alertname": name} | labels, "fingerprint": fingerprint}


def take(*alerts: dict[str, Any], latest: dict[tuple[str, str, str], Reading] | None = None) -> Taken:
    return taken(alerts, source=SOURCE, estate=ESTATE, latest=latest or {}, now=100.0)


def after(found: Taken) -> dict[tuple[str, str, str], Reading]:
    return {(one.target, one.check, one.vantage): one for one in found.readings}


def test_targets_are_named_by_label_address_or_host() -> None:
    for labels in ({"healthmon_target": "srv-1"}, {"instance": "192.0.2.1:9100"}, {"target": "srv-1"}):
        (reading,) = take(alert("DiskFull", **labels)).readings
        assert (reading.target, reading.check, reading.outcome) == ("srv-1", "alertmanager", Outcome.FAILED)
    (reading,) = take(alert("DiskFull", instance="https://srv-2.example:443/metrics")).readings
    assert reading.target == "srv-2"


def test_one_alerts_end_does_not_hide_another() -> None:
    first = take(alert("DiskFull", instance="192.0.2.1:9100"))
    second = take(alert("Load", fingerprint="ff", instance="192.0.2.1:9100"), latest=after(first))
    (both,) = second.readings
    assert both.detail.startswith("DiskFull#")
    assert "Load#" in both.detail
    third = take(alert("DiskFull", "resolved", instance="192.0.2.1:9100"), latest=after(second))
    (left,) = third.readings
    assert left.outcome is Outcome.FAILED
    assert "DiskFull" not in left.detail
    (end,) = take(alert("Load", "resolved", fingerprint="ff", instance="192.0.2.1:9100"), latest=after(third)).readings
    assert end.outcome is Outcome.OK


def test_more_than_are_named_are_kept_all_the_same() -> None:
    many = [alert("Rule", fingerprint=f"{n:02d}aa", instance="192.0.2.1") for n in range(50)]
    found = take(*many)
    ended = take(*[one | {"status": "resolved"} for one in many[:49]], latest=after(found))
    assert ended.readings[0].outcome is Outcome.FAILED
    assert "#" not in "".join(c for c in found.readings[0].detail if c.isdigit())


def test_what_is_about_nothing_is_said_and_no_text_is_taken() -> None:
    secret = alert("Ask Mrs Smith") | {"annotations": {"summary": "NHS 943 476 5919"}}
    found = take(secret, alert("DiskFull", instance="192.0.2.3"), alert("DiskFull", instance="192.0.2.1"))
    assert [why for _, why in found.ignored] == [
        "no label names a target of the inventory",
        "no check of srv-3 names prom",
    ]
    assert "943" not in repr(found)


def test_a_watchdog_that_fires_is_a_sign_of_life_and_its_end_is_silence() -> None:
    (beat,) = take(alert("Watchdog", healthmon_target="prometheus")).readings
    assert (beat.target, beat.check, beat.outcome) == ("prometheus", "push", Outcome.OK)
    assert not take(alert("Watchdog", "resolved", healthmon_target="prometheus")).readings
