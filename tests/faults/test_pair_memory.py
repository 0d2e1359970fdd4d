"""What two servers share beyond incidents: it is asked for at the leader, which is killed, and found at the other."""

from __future__ import annotations

import http.cookiejar
import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemons.healthmon import api, until
from daemons.onesite import OneSite
from daemons.twoservers import Two, is_up, two
from healthmon.web.accounts import FILE, Account, Accounts
from healthmon.web.permissions import Role

pytestmark = pytest.mark.wire
WORDS = "three quiet wards"
TICKETS = "a secret of the ticket system"


class Browser:
    """One person at one browser."""

    def __init__(self) -> None:
        self._open = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy()))
        ).open

    def form(self, site: OneSite, path: str, **fields: str) -> str:
        """Post a form as the page itself would; the page that follows."""
        return self._send(site, path, urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def json(self, site: OneSite, path: str, **body: Any) -> Any:
        return json.loads(self._send(site, f"/api/v1/{path}", json.dumps(body).encode(), "application/json"))

    def page(self, site: OneSite, path: str) -> str:
        return self._send(site, path, None, "")

    def _send(self, site: OneSite, path: str, data: bytes | None, kind: str) -> str:
        request = urllib.request.Request(site.base + path, data)
        if data is not None:
            for name, value in (("Origin", site.base), ("Sec-Fetch-Site", "same-origin"), ("Content-Type", kind)):
                request.add_header(name, value)
        with self._open(request, timeout=10) as answer:
            return str(answer.read().decode())


def signed_in(site: OneSite, user: str) -> Browser:
    browser = Browser()
    browser.form(site, "/login", user=user, password=WORDS, next="/mutes")
    return browser


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


MORE: dict[str, Any] = {
    "oncall": {
        "users": [{"id": name, "name": f"{name.title()} Engineer", "channels": ["pager"]} for name in ("ann", "bob")],
        "rotas": [{"id": "net", "people": ["ann", "bob"]}],
    },
    "drills": {"hop_within": "1s", "reports": ["pager"]},
    "web": {"ward_networks": ["127.0.0.0/8"]},
    "wards": {"tickets": {"desk": {"shape": "plain", "token": TICKETS}}},
}


def put(site: OneSite) -> str:
    """One of everything that people tell the leader; gives the id of what waits for a second person."""
    drill = site.post("drills", by="Desk", **{"from": "pc-1"})["id"]
    until(lambda: site.get(f"drills/{drill}")["state"] == "failed", timeout_s=30, what="the silent agent is named")
    site.post("oncall/net/overrides", user="bob", replaces="ann", ends_at=in_an_hour(), by="Desk", reason="Train")
    site.post("silences", match={"target": "pc-2"}, owner="Net", reason="New disk", ends_at=in_an_hour(), by="Desk")
    for _ in range(5):  # fewer are not told
        site.post("shifts", area="ed", answer="good")
    api(site.base, "tickets", {"number": "T1", "opened_at": in_an_hour(), "state": "open", "area": "ed"}, TICKETS)
    ward = Browser()
    ward.form(site, "/area/ed/mark", what="paper", by="Sister")
    site.post("reports", area="ed", service="greet-ed", effect="one_of_us_cannot")
    floor = {"match": {"area": "ed"}, "owner": "Net", "reason": "Core", "floor": "two_people", "ends_at": in_an_hour()}
    return str(signed_in(site, "dana").json(site, "silences", **floor)["approval"]["id"])


def held(site: OneSite) -> dict[str, Any]:
    """Everything of it, as this server tells it."""
    drills, reports, tickets = (site.get(path)["items"] for path in ("drills", "reports", "tickets"))
    return {
        "drills": [(one["id"], one["state"], one["because"]) for one in drills],
        "overrides": [(one["user"], one["replaces"]) for one in site.get("oncall/net")["overrides"]],
        "silences": [(one["id"], one["match"]) for one in site.get("silences")["items"]],
        "tickets": [(one["number"], one["state"]) for one in tickets],
        "reports": [(one["area"], one["service"], one["effect"], one["count"]) for one in reports],
        "marks": re.findall(r'<p class="mark">(.*?)</p>', site.page("/area/ed")),
        "shifts": site.get("shifts")["items"],
        "approvals": site.get("approvals")["items"],
        "incidents": sorted(one["id"] for one in site.incidents()),
    }  # fmt: skip


def test_what_people_said_outlives_the_leader(tmp_path: Path) -> None:
    with two(tmp_path / "pair", **MORE) as (made, _, _):
        a, b = made.servers["a"], made.servers["b"]
        for user in ("dana", "kim"):
            Accounts(a.data / FILE).put(
                Account(user, f"{user.title()} Example", Role.SILENCE), password=WORDS, new=True
            )
        before_at_b = signed_in_nowhere(made)
        waiting, cookie = put(a), signed_in(a, "kim")
        until(lambda: b.health()["logins_missing"], timeout_s=30, what="the standby misses the file of users")
        shutil.copy(a.data / FILE, b.data / FILE)  # docs/scaling.md: local users are a file of each machine
        assert not b.health()["logins_missing"]
        before = held(a)
        assert [one["id"] for one in before["approvals"]] == [waiting]
        assert all(before.values()), before
        until(lambda: copied(made, before), timeout_s=30, what="the standby has heard of it")
        a.daemon.kill9()
        until(lambda: is_up(made, "b"), timeout_s=90, what="b leads")
        pair = b.health()["pair"]
        assert (pair["name"], pair["copied"], pair["doubtful"]) == ("b", False, False), "nobody stands by any more"
        assert "does not have the newest" in b.page("/")
        assert held(b) == before
        # a session ends with the server that gave it; the page of signing in says why
        with pytest.raises(urllib.error.HTTPError) as stranger:
            cookie.json(b, f"approvals/{waiting}/approve")
        assert stranger.value.code == 401
        said = before_at_b.page(b, "/login")
        assert "This server took over from a at" in said
        with pytest.raises(urllib.error.HTTPError) as same:
            signed_in(b, "dana").json(b, f"approvals/{waiting}/approve")
        assert same.value.code == 403, "the one who asked does not approve it at the other server either"
        lifted = signed_in(b, "kim").json(b, f"approvals/{waiting}/approve")
        assert (lifted["created_by"], lifted["approved_by"]) == ("Dana Example", "Kim Example")
        assert b.get("approvals")["items"] == []


def signed_in_nowhere(made: Two) -> Browser:
    """A browser that has only seen the standby."""
    browser = Browser()
    with pytest.raises(urllib.error.HTTPError) as standing_by:
        browser.page(made.servers["b"], "/")
    assert standing_by.value.code == 503
    return browser


def copied(made: Two, before: dict[str, Any]) -> bool:
    """The other server has the newest commit, and nothing came after what was read."""
    return made.servers["a"].metric("healthmon_ha_standby_copied") == 1.0 and held(made.servers["a"]) == before
