"""A server whose audit cannot be written: people are not held up, and nobody is left to believe that it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemons.healthmon import until
from daemons.onesite import OneSite, one_site

pytestmark = [pytest.mark.wire, pytest.mark.slow]


def do_something(site: OneSite) -> None:
    site.post("tokens", name="for a tool", role="view", by="Dana Example")


def test_a_gap_in_the_audit_is_told_until_it_is_written_again(tmp_path: Path) -> None:
    with one_site(tmp_path / "site", role_name="server") as site:
        until(lambda: site.health()["status"] == "ok", timeout_s=60, what="it is well")
        audit = site.data / "audit.jsonl"
        kept = audit.rename(site.data / "audit.kept")
        audit.mkdir()  # no line can be put there, not even by root
        do_something(site)
        health = site.health()
        assert (health["audit_ok"], health["status"]) == (False, "degraded")
        assert site.metric("healthmon_audit_ok") == 0
        assert site.metric("healthmon_audit_failures_total") == 1
        assert "audit_unwritten" in {spot["kind"] for spot in site.get("coverage")["blind_spots"]}
        assert "deeds leave no trace" in site.page("/")
        audit.rmdir()
        kept.rename(audit)
        do_something(site)
        health = site.health()
        assert (health["audit_ok"], health["status"]) == (True, "ok")
        assert site.metric("healthmon_audit_failures_total") == 1
        assert "audit_unwritten" not in {spot["kind"] for spot in site.get("coverage")["blind_spots"]}
