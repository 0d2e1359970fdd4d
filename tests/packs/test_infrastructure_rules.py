"""The stock rules over services that others stand on: which reading each of them means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from healthmon.alerting.detect.conditions import Facts, holds, metrics_of
from healthmon.config import load, stock_root
from healthmon.model.alert import Rule
from healthmon.model.sample import UNKNOWN_REASONS, Outcome, Reading, Reason, Sample
from healthmon.probes import PROBES

SITE = """\
organisation: {id: st-elsewhere, name: St Elsewhere, timezone: Europe/London}
targets: [{id: dns-1, kind: server, address: 192.0.2.53, checks: [{kind: dns, name: ehr.example}]}]
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Rule]:
    file = tmp_path_factory.mktemp("site") / "healthmon.yaml"
    file.write_text(SITE)
    return {rule.id: rule for rule in load(file, env={}).rules}


def reading(reason: Reason | None = None, **values: float | bool | str) -> Reading:
    outcome = Outcome.OK if reason is None else Outcome.UNKNOWN if reason in UNKNOWN_REASONS else Outcome.FAILED
    samples = tuple(Sample(*name.split("__"), value) for name, value in values.items())  # type: ignore[arg-type]
    return Reading("t", "c", "v", 1000.0, 0.1, outcome, reason, samples=samples)


@pytest.mark.parametrize(
    ("rule", "means", "does_not"),
    [
        ("infrastructure-failed", reading(Reason.TIMEOUT), reading(Reason.AUTH_FAILED)),
        ("infrastructure-failed", reading(Reason.BAD_STATUS), reading(Reason.BAD_BODY)),
        ("infrastructure-failed", reading(Reason.TLS_HANDSHAKE), reading(Reason.CERT_EXPIRED)),
        ("infrastructure-answer-wrong", reading(Reason.BAD_BODY), reading(Reason.TIMEOUT)),
        ("test-account-refused", reading(Reason.AUTH_FAILED), reading(Reason.REFUSED)),
        ("infrastructure-certificate", reading(Reason.CERT_EXPIRED), reading(Reason.TLS_HANDSHAKE)),
        ("infrastructure-certificate-ends", reading(tls__expires_in_seconds=1e5, tls__lifetime_left_ratio=0.5),
         reading(tls__expires_in_seconds=1e7, tls__lifetime_left_ratio=0.5)),
        ("dns-slow", reading(dns__answer_seconds=0.6), reading(dns__answer_seconds=0.4)),
        ("login-slow", reading(ldap__duration_seconds=2.5), reading(ldap__duration_seconds=1.5)),
        ("network-login-slow", reading(radius__answer_seconds=1.5), reading(radius__answer_seconds=0.1)),
        ("messages-slow", reading(mqtt__roundtrip_seconds=3.0), reading(mqtt__roundtrip_seconds=0.1)),
        ("clock-apart", reading(ntp__offset_seconds=-1.5), reading(ntp__offset_seconds=0.5)),
        ("clock-apart", reading(ntp__offset_seconds=1.5), reading(ntp__offset_seconds=-0.5)),
        ("clock-far-from-source", reading(ntp__root_distance_seconds=2.0), reading(ntp__root_distance_seconds=1.0)),
        ("file-server-clock-apart", reading(smb__clock_offset_seconds=-90.0), reading(smb__clock_offset_seconds=9.0)),
        ("printing-stopped", reading(Reason.BAD_STATUS), reading(Reason.AUTH_FAILED)),
        ("printer-needs-somebody", reading(ipp__errors=1.0), reading(ipp__errors=0.0)),
    ],
)  # fmt: skip
def test_what_a_rule_means(rules: Mapping[str, Rule], rule: str, means: Reading, does_not: Reading) -> None:
    assert said(rules[rule], means) is True
    assert said(rules[rule], does_not) is False
    assert said(rules[rule], reading(Reason.NO_ROUTE)) is not True


def said(rule: Rule, seen: Reading, labels: tuple[tuple[str, str], ...] = ()) -> bool | None:
    return holds(rule.condition, Facts.of(seen, metrics_of(rule)), labels)


def test_toner_is_told_for_each_colour(rules: Mapping[str, Rule]) -> None:
    levels = {"Black": 0.04, "Cyan": 0.5}
    samples = tuple(Sample("ipp_marker", "level_ratio", level, {"marker": name}) for name, level in levels.items())
    seen = Reading("t", "c", "v", 1000.0, 0.1, Outcome.OK, samples=samples)
    assert [said(rules["toner-low"], seen, (("marker", name),)) for name in levels] == [True, False]


def test_every_failure_of_these_kinds_is_told_by_exactly_one_rule(rules: Mapping[str, Rule]) -> None:
    """A reason that no rule takes up would be a silent outage; two rules would be two alerts for one thing."""
    ours = [rule for rule in rules.values() if not metrics_of(rule)]
    for kind in ("dns", "ntp", "ldap", "smtp", "radius", "mqtt", "ssh", "smb", "ipp"):
        assert kind in PROBES
        for reason in set(Reason) - UNKNOWN_REASONS:
            told = [rule.id for rule in ours if kind in rule.on.probes and said(rule, reading(reason))]
            possible = not (kind in ("radius", "mqtt") and reason is Reason.BAD_BODY)
            possible &= not (kind in ("dns", "ntp", "radius", "ssh", "smb") and reason.value.startswith("cert_"))
            possible &= not (kind in ("dns", "ntp", "ssh", "smb") and reason is Reason.AUTH_FAILED)
            assert len(told) == (1 if possible else 0), (kind, reason, told)


def test_runbooks_are_there() -> None:
    text = (stock_root() / "alerting" / "rules" / "infrastructure.yaml").read_text()
    named = {line.split()[-1] for line in text.splitlines() if line.strip().startswith("runbook:")}
    assert named
    assert all((Path(stock_root()) / "alerting" / name).is_file() for name in named)
