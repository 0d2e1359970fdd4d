"""A large inventory loads in sane time, and config loads no client library."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from healthmon.config.loading import load_text

HEAVY = ("aiohttp", "pysnmp", "gufo", "influxdb_client", "aiomqtt", "holidays", "jinja2", "prometheus_client")


def inventory(targets: int) -> str:
    """200 wards, one core, an access switch each, and many devices behind them."""
    lines = ["organisation: {id: big, name: Big, timezone: Europe/London}", "areas:"]
    lines += [f"  - {{id: ward-{i}, name: W {i}, kind: ward, acuity: inpatient, needs: [t{i}]}}" for i in range(200)]
    lines += ["services:", "  - {id: ehr, name: Patient record, tier: 1, used_in: all, needs: [t0]}", "targets:"]
    for i in range(targets):
        needs = f"[t{i % 200}]" if i >= 200 else "[t0]" if i else "[]"
        lines.append(
            f"  - {{id: t{i}, kind: switch, address: 192.0.2.{i % 250}, area: ward-{i % 200}, needs: {needs}, "
            f"labels: {{floor: '{i % 9}'}}, checks: [icmp, {{kind: snmp, pack: if-mib, every: 30s}}]}}"
        )
    return "\n".join(lines)


@pytest.mark.slow
def test_ten_thousand_targets_load(capsys: pytest.CaptureFixture[str]) -> None:
    text = inventory(10_000)
    began = time.perf_counter()
    site = load_text(text, env={})
    took = time.perf_counter() - began

    assert len(site.estate.targets) == 10_000
    assert sum(len(target.checks) for target in site.estate.targets.values()) == 20_000
    with capsys.disabled():
        print(f"\n10,000 targets with 20,000 checks loaded in {took:.2f} s (aim < 5 s)")


def test_config_imports_no_client_library() -> None:
    script = (
        "import sys; from healthmon.config import load, json_schema; from healthmon.config.loading import load_text\n"
        "load_text('''organisation: {id: x, name: X}\n"
        "targets: [{id: a, kind: k, address: 192.0.2.1, checks: [icmp, http, tcp, tls, snmp]}]\n"
        "notify: {channels: {p: {kind: webhook, url: \"https://p.example\"}}}''', env={})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
