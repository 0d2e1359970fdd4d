"""Shadow mode: everything is found and written down, nobody is paged; areas and rules go live one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from daemons.healthmon import until
from daemons.onesite import OneSite, one_site

pytestmark = [pytest.mark.wire, pytest.mark.slow]

#: how the site is set -> the areas whose failure pages
MODES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "as delivered": ({}, set()),
    "one area live": ({"overrides": {"areas": {"ed": {"mode": "live"}}}}, {"ed"}),
    "one rule live": ({"overrides": {"rules": {"check-failed": {"mode": "live"}}}}, {"ed", "icu"}),
    # the clinical floor: the last way of an emergency department is no rule's to hide once the site is live
    "one rule in the shadow": (
        {"mode": "live", "overrides": {"rules": {"check-failed": {"mode": "shadow"}}}},
        {"ed", "icu"},
    ),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, OneSite]]:
    """A site in each mode, all at once, with both services stopped until each has two incidents."""
    with contextlib.ExitStack() as stack:
        sites = {
            name: stack.enter_context(one_site(tmp_path_factory.mktemp("shadow"), alerting=alerting, placed=True))
            for name, (alerting, _) in MODES.items()
        }
        for site in sites.values():
            until(site.both_seen, timeout_s=20, what="both services were seen working")
            for service in site.services.values():
                service.down()
        for name, (_, areas) in MODES.items():
            site = sites[name]
            until(lambda site=site: len(site.incidents("open")) == 2, timeout_s=40, what=f"{name}: two incidents")
            until(lambda site=site, areas=areas: told(site) >= areas, timeout_s=20, what=f"{name}: pages")
            rest = {"ed", "icu"} - areas
            until(lambda site=site, rest=rest: listed(site) >= rest, timeout_s=20, what=f"{name}: ledger")
        yield sites


def told(site: OneSite) -> set[str]:
    return {line["area"] for page in site.pages() for line in page["incident"]["impact"]}


def listed(site: OneSite) -> set[str]:
    of = {i["id"]: {line["area"] for line in i["impact"]} for i in site.incidents()}
    rows = site.get("ledger")["items"]
    return {area for row in rows if row["cause"] == "shadow" for area in of[row["incident"]]}


@pytest.mark.parametrize("name", MODES)
def test_it_pages_only_for_what_is_live(name: str, broken: dict[str, OneSite]) -> None:
    site, (_, areas) = broken[name], MODES[name]
    assert told(site) == areas
    assert listed(site) == {"ed", "icu"} - areas
    assert [page["why"] for page in site.pages()][: len(areas)] == ["opened"] * len(areas)


def test_the_ledger_says_who_would_have_been_paged_when_and_why(broken: dict[str, OneSite]) -> None:
    site = broken["as delivered"]
    rows = [row for row in site.get("ledger")["items"] if row["cause"] == "shadow"]
    assert len(rows) == 2
    for row in rows:
        assert row["who"] == "inbox"
        assert row["because"].startswith("would have paged inbox at ")
        assert row["at"][11:16] in row["because"], "the moment, in the site's own time"
        assert "Greeting" in row["because"]
    assert site.health()["mode"] == "shadow"
    assert site.metric("healthmon_live_mode") == 0.0


def test_the_board_and_the_ledger_page_say_so(broken: dict[str, OneSite]) -> None:
    site = broken["as delivered"]
    assert "shadow" in site.page("/").lower()
    assert "would have paged inbox" in site.page("/ledger")


def test_every_mode_finds_the_same_and_tells_the_end_to_whom_it_told_the_beginning(
    broken: dict[str, OneSite],
) -> None:
    found = {
        name: sorted((i["root"]["target"], i["severity"], len(i["impact"])) for i in site.incidents())
        for name, site in broken.items()
    }
    assert len({str(value) for value in found.values()}) == 1, found
    for site in broken.values():
        for service in site.services.values():
            if not service.running:
                service.up()
    for name, (_, areas) in MODES.items():
        site, count = broken[name], 2 * len(areas)
        until(lambda site=site: len(site.incidents("mitigated")) == 2, timeout_s=40, what=f"{name}: mitigated")
        until(lambda site=site, count=count: len(site.pages()) == count, timeout_s=20, what=f"{name}: the end")
        assert sorted(page["why"] for page in site.pages()) == sorted(["opened", "mitigated"] * len(areas))
