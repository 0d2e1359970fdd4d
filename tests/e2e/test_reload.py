"""A running site gets another configuration: by the API, by SIGHUP, a bad one, and in the middle of an incident."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.healthmon import until
from daemons.onesite import OneSite, one_site

pytestmark = [pytest.mark.wire, pytest.mark.slow]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[OneSite]:
    with one_site(tmp_path, placed=True) as found:
        until(found.both_seen, timeout_s=60)
        yield found


def healthmon(site: OneSite, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "healthmon", *arguments, "-c", str(site.config)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60)


def changed(site: OneSite, **blocks: Any) -> None:
    site.site = site.site | blocks
    site.write()


def without(site: OneSite, area: str) -> None:
    """The server of one area, and everything that names it, is taken out of the files."""
    changed(
        site,
        targets=[target for target in site.site["targets"] if target["id"] != f"srv-{area}"],
        services=[service for service in site.site["services"] if service["id"] != f"greet-{area}"],
    )


def ids(site: OneSite) -> set[str]:
    return {one["id"] for one in site.get("targets")["items"]}


def test_what_is_added_is_looked_at_and_a_bad_file_changes_nothing(site: OneSite) -> None:
    port = site.services["ed"].port
    more = {"id": "srv-new", "kind": "server", "address": "127.0.0.1", "area": "ed",
            "checks": [{"kind": "tcp", "port": port, "every": "500ms"}]}  # fmt: skip
    good = site.site["targets"]
    changed(site, targets=[*good, more])
    done = healthmon(site, "reload", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["changes"] == {"targets": {"added": ["srv-new"]}}
    until(lambda: site.get("targets/srv-new")["outcome"] == "ok", timeout_s=60, what="the new target is seen")

    changed(site, targets=[*good, more | {"needs": ["nowhere"]}])
    assert site.daemon.process
    site.daemon.process.send_signal(signal.SIGHUP)
    until(lambda: site.health()["config_ok"] is False, timeout_s=60)
    assert site.metric("healthmon_config_last_reload_success") == 0.0
    assert "srv-new" in ids(site)
    line = next(line for line in site.log.read_text().splitlines() if "configuration not reloaded" in line)
    assert f"{site.config}:" in line
    assert "nowhere" in line

    site.config.write_text(site.config.read_text().replace("needs:", "nedes:"))
    with pytest.raises(urllib.error.HTTPError) as refused:
        site.post("reload", by="Duty manager")
    assert refused.value.code == 422
    (problem, *_) = json.loads(refused.value.read())["errors"]
    assert problem["field"].startswith(f"{site.config}:")
    assert "unknown key" in problem["message"]

    changed(site, targets=good)
    assert healthmon(site, "reload").stdout == "reloaded\ntargets: removed srv-new\n"
    assert "srv-new" not in ids(site)
    assert site.health()["config_ok"] is True
    assert site.metric("healthmon_config_last_reload_success") == 1.0


def test_in_the_middle_of_an_incident_nothing_is_lost_and_nothing_is_called_recovered(site: OneSite) -> None:
    for area in ("ed", "icu"):
        site.services[area].down()
    until(lambda: len(members(site)) == 2, timeout_s=60, what="both servers are members of open incidents")
    before = site.incidents("open", "acknowledged")
    until(lambda: {page["incident"]["id"] for page in site.pages()} == {one["id"] for one in before}, timeout_s=60)
    site.post(f"incidents/{before[0]['id']}/ack", by="Duty engineer", note="looking")
    told = len(site.pages())

    without(site, "icu")
    assert healthmon(site, "reload").returncode == 0
    site.daemon.kill9()
    site.daemon.start()
    ended = until(lambda: ending(site), timeout_s=60, what="the incident of the removed server says so")
    assert "not watched any more" in ended
    assert members(site) == {"srv-ed"}
    kept = [one for one in site.incidents() if one["id"] == before[0]["id"]]
    assert kept[0]["owner"] == "Duty engineer"
    pages = [page for page in site.pages()[told:] if page["why"] not in ("resolved",)]
    assert pages == [], "nobody is told again, and nobody is told that it came back"


def members(site: OneSite) -> set[str]:
    open_ = site.incidents("open", "acknowledged")
    return {member["target"] for one in open_ for member in one["members"] if not member.get("cleared_at")}


def ending(site: OneSite) -> str:
    lines = [entry for one in site.incidents() for entry in one["timeline"] if entry["what"] == "unwatched"]
    return str(lines[0]["text"]) if lines else ""
