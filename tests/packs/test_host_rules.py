"""The stock rules over hosts, plugins and exporters: which reading each of them means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from healthmon.alerting.detect.conditions import Facts, holds, metrics_of
from healthmon.config import load, stock_root
from healthmon.model.alert import Rule
from healthmon.model.sample import UNKNOWN_REASONS, Outcome, Reading, Reason, Sample

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


HOUR = 3600.0


@pytest.mark.parametrize(
    ("rule", "means", "does_not"),
    [
        ("disk-failing", reading(host_smart__passed=0.0),
         reading(host_smart__passed=1.0, host_smart__damaged_places=0.0)),
        ("disk-failing", reading(host_smart__passed=1.0, host_smart__damaged_places=8.0),
         reading(host_smart__passed=1.0, host_smart__damaged_places=0.0)),
        ("disk-worn", reading(host_smart__used_life_ratio=0.97), reading(host_smart__used_life_ratio=0.5)),
        ("service-stopped", reading(host_services__running=0.0, host_services__failed=0.0),
         reading(host_services__running=1.0, host_services__failed=0.0)),
        ("print-queue-stopped", reading(host_print_queue__enabled=0.0, host_print_queue__accepting=1.0),
         reading(host_print_queue__enabled=1.0, host_print_queue__accepting=1.0)),
        ("print-jobs-stuck", reading(host_print_queue__oldest_job_age_seconds=HOUR),
         reading(host_print_queue__oldest_job_age_seconds=0.0)),
        ("print-spooler-stopped", reading(host_print_spooler__running=0.0), reading(host_print_spooler__running=1.0)),
        ("support-ended", reading(host_os__supported=0.0), reading(host_os__supported=1.0)),
        ("updates-late", reading(host_os__update_age_seconds=50 * 24 * HOUR),
         reading(host_os__update_age_seconds=10 * 24 * HOUR)),
        ("restart-waits", reading(host_reboot__pending=1.0), reading(host_reboot__pending=0.0)),
        ("logon-slow", reading(host_logons__logon_seconds=90.0), reading(host_logons__logon_seconds=9.0)),
        ("wifi-weak", reading(host_wifi__connected=1.0, host_wifi__signal_dbm=-80.0),
         reading(host_wifi__connected=0.0)),
        ("battery-low", reading(host_battery__charge_ratio=0.1, host_battery__on_mains=0.0),
         reading(host_battery__charge_ratio=0.1, host_battery__on_mains=1.0)),
        ("remote-sessions-slow", reading(host_remote_session__mean_latency_seconds=0.5),
         reading(host_remote_session__mean_latency_seconds=0.05)),
        ("backup-late", reading(backup_evidence__found=0.0),
         reading(backup_evidence__found=1.0, backup_evidence__age_seconds=HOUR)),
        ("backup-late", reading(backup_evidence__found=1.0, backup_evidence__age_seconds=30 * HOUR),
         reading(backup_evidence__found=1.0, backup_evidence__age_seconds=25 * HOUR)),
        ("backup-failed", reading(backup_evidence__succeeded=0.0), reading(backup_evidence__succeeded=1.0)),
        ("backup-unproven", reading(backup_evidence__restore_test_age_seconds=200 * HOUR),
         reading(backup_evidence__restore_test_age_seconds=9 * HOUR)),
        ("backup-at-one-place", reading(backup_evidence__off_site=0.0), reading(backup_evidence__off_site=1.0)),
        ("plugin-failed", reading(Reason.BAD_STATUS), reading()),
        ("plugin-failed", reading(Reason.TIMEOUT), reading()),
        ("plugin-warns", reading(exec__status_code=1.0), reading(exec__status_code=0.0)),
        ("plugin-warns", reading(exec__status_code=1.0), reading(Reason.BAD_STATUS, exec__status_code=2.0)),
        ("exporter-failed", reading(Reason.BAD_BODY), reading()),
    ],
)  # fmt: skip
def test_what_a_rule_means(rules: Mapping[str, Rule], rule: str, means: Reading, does_not: Reading) -> None:
    assert said(rules[rule], means) is True
    assert said(rules[rule], does_not) is False, "a reading without some of the figures must still clear"
    assert said(rules[rule], reading(Reason.NO_LIBRARY)) is not True


def said(rule: Rule, seen: Reading) -> bool | None:
    return holds(rule.condition, Facts.of(seen, metrics_of(rule)), ())


def test_every_rule_of_the_file_is_tried_here(rules: Mapping[str, Rule]) -> None:
    written = re.findall(r"^  - id: (\S+)$", (stock_root() / "alerting/rules/hosts-extra.yaml").read_text(), flags=re.M)
    assert set(written) <= set(rules)
    assert [rule for rule in written if f'"{rule}"' not in Path(__file__).read_text()] == []


def test_what_is_not_there_any_more_clears(rules: Mapping[str, Rule]) -> None:
    for rule, seen in (
        ("wifi-weak", reading(host_wifi__connected=0.0)),
        ("remote-sessions-slow", reading(host_remote_session__sessions=0.0)),
    ):
        clear = rules[rule].clear
        assert clear is not None
        assert holds(clear, Facts.of(seen, metrics_of(rules[rule])), ()) is True
