"""Readiness, standards and `how was IT this shift` of a real server: API, pages, command line, durable votes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from daemons.healthmon import until
from daemons.onesite import OneSite, one_site
from healthmon.cli.commands import app

pytestmark = [pytest.mark.wire, pytest.mark.slow]

CARE = {
    "people": {"ed": {"day": 9, "night": 6}, "icu": {"day": 8}},
    "forms": [{"id": "pack", "name": "Downtime pack", "version": "3", "current": "4"}],
    "legacy": [{"id": "old", "name": "Old server", "targets": ["srv-ed"], "end_of_support": "2020-01-14"}],
    "expiries": [{"id": "lic", "name": "Record licence", "expires_on": "2020-01-01", "services": ["greet-ed"]}],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    with one_site(tmp_path_factory.mktemp("care"), care=CARE) as found:
        until(found.both_seen, timeout_s=30, what="both are seen")
        yield found


def run(site: OneSite, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "-c", str(site.config)])


def test_readiness_names_what_is_not_ready_and_what_stops_with_it(site: OneSite) -> None:
    found = {(one["kind"], one["id"]): one for one in site.get("readiness")["items"]}
    assert found["legacy", "old"]["state"] == "not ready"
    assert found["legacy", "old"]["services"] == ["greet-ed"]
    assert found["paper_forms", "pack"]["why"] == ["version 3 lies there, 4 is in force"]
    assert found["date", "lic"]["state"] == "not ready"
    assert found["downtime_pc", "ed"]["why"] == ["no downtime PC is declared"]
    assert found["own", "token"]["state"] == "ready"
    page = site.page("/readiness")
    assert "version 3 lies there" in page
    assert page.count("<table") == 2


def test_standards_say_how_much_is_known_and_burn_nothing_before_a_window_is_full(site: OneSite) -> None:
    found = site.get("standards")
    assert {(one["area"], one["service"]) for one in found["items"]} == {("ed", "greet-ed"), ("icu", "greet-icu")}
    for one in found["items"]:
        assert one["burning"] == []
        assert one["budget"]["left_ratio"] is None
        assert all(rate["long"] is None for rate in one["burn_rates"] if rate["long_seconds"] > 3600)
    assert "not known yet" in site.page("/standards")


def test_a_tap_is_kept_without_who_and_few_are_not_shown(tmp_path: Path) -> None:
    with one_site(tmp_path / "own", role_name="server") as site:  # nobody else votes here
        for answer in ("good", "slow", "bad", "good"):
            site.post("shifts", area="ed", answer=answer)
        assert site.get("shifts") == {"days": 30, "areas_not_shown": 1, "items": []}
        site.post("shifts", area="ed", answer="good")
        assert site.get("shifts")["items"] == [{"area": "ed", "good": 3, "slow": 1, "bad": 1}]
        for body in ({"area": "nowhere", "answer": "good"}, {"area": "ed", "answer": "awful"}):
            with pytest.raises(urllib.error.HTTPError) as refused:
                site.post("shifts", **body)
            assert refused.value.code in (400, 404, 422)


def test_the_question_is_a_form_without_a_script(site: OneSite) -> None:
    page = site.page("/area/ed/shift")
    assert page.count('name="answer"') == 3
    request = urllib.request.Request(f"{site.base}/area/icu/shift", data=b"answer=good", method="POST")
    request.add_header("Authorization", f"Bearer {site.token}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert "Thank you" in answer.read().decode()


def test_the_commands_say_the_same(site: OneSite) -> None:
    ready = run(site, "readiness")
    assert ready.exit_code == 1
    assert "Downtime pack" in ready.output
    assert json.loads(run(site, "readiness", "--json").output)["items"]
    held = run(site, "standards")
    assert held.exit_code == 0, held.output
    assert "greet-icu" in held.output


def test_lost_time_is_counted_while_it_is_lost(site: OneSite) -> None:
    site.services["ed"].down()
    try:
        until(
            lambda: site.metric("healthmon_clinician_lost_seconds_total", area="ed", service="greet-ed",
                                basis="estimated") > 0,
            timeout_s=90, what="lost time is counted",
        )  # fmt: skip
    finally:
        site.services["ed"].up()
    assert site.metric("healthmon_clinician_lost_seconds_total", area="icu", service="greet-icu") == 0.0
