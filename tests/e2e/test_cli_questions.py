"""`explain` and `why-not` of a running site, as somebody at a terminal asks them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daemons.healthmon import until
from daemons.onesite import OneSite, one_site
from healthmon.app.neighbours import Link
from healthmon.cli.discover import keep_links
from healthmon.config import load

pytestmark = [pytest.mark.wire, pytest.mark.slow]


def healthmon(site: OneSite, *arguments: str) -> tuple[int, str, str]:
    argv = [sys.executable, "-m", "healthmon", *arguments, "-c", str(site.config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_an_incident_is_explained_and_a_page_is_accounted_for(tmp_path: Path) -> None:
    with one_site(tmp_path, placed=True) as site:
        until(site.both_seen, timeout_s=60)
        code, text, _ = healthmon(site, "why-not", "check-failed", "srv-ed")
        assert code == 0
        assert "NO  the condition does not hold: wants outcome failed; now greet is ok" in text
        found = json.loads(healthmon(site, "coverage", "--live", "--json")[1])
        assert found["live"] is True
        assert {"kind": "target_without_probe", "id": "srv-ed"} not in [
            {"kind": one["kind"], "id": one["id"]} for one in found["blind_spots"]
        ]
        assert "never_seen" in {one["kind"] for one in found["blind_spots"]}
        page = site.page("/coverage")
        assert "of access paths are covered" in page
        assert "nothing proves" in page or "has no fallback" in page
        keep_links(load(site.config), [Link("sw-ed", "Gi7", "srv-ed", "eth0", "lldp", ("sw-ed",), leaf="srv-ed")])
        code, text, _ = healthmon(site, "links")
        assert code == 0
        assert "srv-ed eth0  --  sw-ed Gi7  (lldp, told by sw-ed, 0.0 h ago" in text
        drawn = site.page("/links")
        assert "<svg" in drawn
        assert "srv-ed eth0 to sw-ed Gi7: lldp, told by sw-ed" in drawn
        site.services["ed"].down()
        until(site.pages, timeout_s=60)
        (incident,) = site.incidents("open")
        code, text, _ = healthmon(site, "explain", incident["id"])
        assert code == 0
        assert "for: srv-ed itself fails" in text
        assert "inbox, because it was opened: sent" in text
        code, text, _ = healthmon(site, "why-not", "check-failed", "srv-ed", "--json")
        assert json.loads(text)["gates"][-1]["what"] == "told"
        assert healthmon(site, "explain", "inc-nothing")[0] == 1
        site.services["ed"].up()
        until(lambda: "before:" in healthmon(site, "why-not", "check-failed", "srv-ed")[1], timeout_s=60)
        text = healthmon(site, "why-not", "check-failed", "srv-ed")[1]
        assert f"it was in incident {incident['id']}, severity " in text
        assert "people were told: inbox at " in text.partition("before:")[2]
        code, _, said = healthmon(site, "why-not", "chek-failed", "srv-ed")
        assert (code, said.count("\n")) == (1, 1)
        assert "did you mean 'check-failed'?" in said
        added = (
            "changes",
            "add",
            "--title",
            "Switch work",
            "--target",
            "srv-icu",
            "--for",
            "2h",
            "--reason",
            "firmware",
        )
        code, _, said = healthmon(site, *added)
        assert code == 0, said
        question = ("whatif", "--down", "srv-ed", "--json")
        assert json.loads(healthmon(site, *question)[1])["down_then"] == ["srv-ed"]
        planned = json.loads(healthmon(site, *question, "--live")[1])
        assert (planned["planned_from"], planned["down_then"]) == ("server", ["srv-ed", "srv-icu"])
