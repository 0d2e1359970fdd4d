"""Another tool pushes readings: its own token, its own checks, nothing else, and on disk before the answer."""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.healthmon import until
from daemons.onesite import OneSite

pytestmark = [pytest.mark.wire, pytest.mark.slow]

TOKEN = "netmon-secret-0123456789"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    found = OneSite(tmp_path_factory.mktemp("push"), role_name="server")
    targets = found.site["targets"]
    for target in targets[:2]:
        target["checks"].append({"id": "nightly", "kind": "push", "every": "5s", "from": ["netmon"]})
    other = {"id": "other", "kind": "push", "from": ["veeam"]}
    targets[0]["checks"].append(other)
    found.site["push"] = {"netmon": {"token": TOKEN}, "veeam": {"token": "veeam-secret-0123456789"}}
    found.write()
    try:
        found.daemon.start()
        yield found
    finally:
        found.daemon.stop()


def push(site: OneSite, *readings: Any, token: str = TOKEN, key: str = "", status: int = 200) -> dict[str, Any]:
    request = urllib.request.Request(f"{site.base}/api/v1/readings", json.dumps({"readings": readings}).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {token}")
    if key:
        request.add_header("Idempotency-Key", key)
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    body = dict(json.loads(answer.read()))
    assert answer.status == status, body
    return body


def said(outcome: str = "ok", **more: Any) -> dict[str, Any]:
    return {"target": "srv-ed", "check": "nightly", "outcome": outcome} | more


def journaled(site: OneSite) -> list[Any]:
    with sqlite3.connect(f"file:{site.data / 'journal.sqlite'}?mode=ro", uri=True) as db:
        return [json.loads(body) for (body,) in db.execute("SELECT body FROM reading")]


def test_what_is_pushed_is_on_disk_seen_and_judged_until_it_stops(site: OneSite) -> None:
    sample = {"family": "push", "field": "age_seconds", "value": 60}
    answer = push(site, said(samples=[sample]), {**said("failed", reason="bad_response"), "target": "srv-icu"})
    assert answer == {"accepted": 2}
    kept = {(one["target"], one["vantage"], one["outcome"]) for one in journaled(site)}
    assert {("srv-ed", "netmon", "ok"), ("srv-icu", "netmon", "failed")} <= kept
    series = site.get("query?metric=push.age_seconds&target=srv-ed")["items"]
    assert series[0]["tags"]["vantage"] == "netmon"
    until(lambda: "srv-icu" in failing(site), timeout_s=60, what="the pushed failure is an incident")
    until(lambda: "srv-ed" in failing(site), timeout_s=90, what="the source that fell silent is missed")
    push(site, said(), {**said(), "target": "srv-icu"})
    until(lambda: not failing(site), timeout_s=60, what="clear again")


def failing(site: OneSite) -> set[str]:
    alerts = site.get("alerts?limit=100")["items"]
    return {one["target"] for one in alerts if one["rule"] == "pushed-failed" and one["phase"] == "firing"}


def test_nothing_is_taken_when_anything_is_wrong_and_each_thing_is_named(site: OneSite) -> None:
    before = len(journaled(site))
    answer = push(
        site,
        said(),
        said("failed"),
        {**said(), "target": "srv-nowhere"},
        {**said(), "check": "greet"},
        {**said(), "check": "other"},
        said(vantage="poller"),
        said("unknown", reason="timeout"),
        said(started=4e9),
        said(samples=[{"family": "push", "field": "colour", "value": 1}]),
        said(samples=[{"family": "push", "field": "value", "value": 1, "labels": {"item": "NHS 943 476 5919"}}]),
        said(detail="patient John Smith dob 01/02/1943"),
        status=422,
    )
    fields = {error["field"]: error["message"] for error in answer["errors"]}
    assert set(fields) == {
        "readings[1].reason", "readings[2].target", "readings[3].check", "readings[4].check", "readings[5].vantage",
        "readings[6].reason", "readings[7].started", "readings[8].samples[0]", "readings[9].samples[0]",
        "readings[10].detail",
    }  # fmt: skip
    assert fields["readings[10].detail"] == fields["readings[9].samples[0]"] == "patient_data"
    assert "Smith" not in json.dumps(answer)
    assert "5919" not in json.dumps(answer)
    assert len(journaled(site)) == before


def test_the_token_is_the_identity(site: OneSite) -> None:
    assert push(site, said(), token="wrong-secret-0123456789", status=401)["status"] == 401
    assert push(site, said(), token=site.token, status=401)["status"] == 401
    assert push(site, {**said(), "check": "other"}, token="veeam-secret-0123456789") == {"accepted": 1}
    request = urllib.request.Request(f"{site.base}/api/v1/incidents")
    request.add_header("Authorization", f"Bearer {TOKEN}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 401, "a source reads nothing"


def test_a_repeat_acts_once(site: OneSite) -> None:
    one, other = said(took=1.0), said(took=2.0)
    assert push(site, one, key="k1") == push(site, one, key="k1") == {"accepted": 1}
    assert push(site, other, key="k1", status=422)["type"].endswith("key-reused")
    assert push(site, other, token="veeam-secret-0123456789", key="k1", status=422)["type"].endswith("bad-readings")
    assert Path(site.log).read_text().count("Traceback") == 0
