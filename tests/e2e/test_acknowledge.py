"""Who has it: by the link in a page, the command line, the API and the board; escalation stops for the owner."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from typing import Any

import pytest

from daemons.healthmon import until
from daemons.onesite import OneSite, one_site

pytestmark = [pytest.mark.wire, pytest.mark.slow]

ESCALATE_S = 6.0


def second(site: OneSite) -> list[dict[str, Any]]:
    path = site.folder / "second.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def of_area(site: OneSite, area: str) -> dict[str, Any]:
    return next(i for i in site.incidents() if area in {line["area"] for line in i["impact"]})


def link_of(page: dict[str, Any]) -> str:
    """The link as a reader sees it in the text."""
    found = re.search(r"Take it: (\S+)", page["text"])
    assert found
    return found[1]


def visit(url: str, method: str = "GET", **form: str) -> tuple[int, str]:
    """As a phone without a login would."""
    data = urllib.parse.urlencode(form).encode() if form else b"" if method == "POST" else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=10) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def healthmon(site: OneSite, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "healthmon", *arguments, "-c", str(site.config)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    """Both services fail; each incident is a page to `inbox`, and after some seconds one to `second`.

    The incident of `ed` is taken by its link at once; that of `icu` by nobody until it was escalated.
    """
    folder = tmp_path_factory.mktemp("ack")
    channels = {name: {"kind": "inbox", "path": str(folder / f"{name}.jsonl")} for name in ("inbox", "second")}
    steps = [{"after": "0s", "channels": ["inbox"]}, {"after": f"{ESCALATE_S:g}s", "channels": ["second"]}]
    policies = [{"id": "all", "severities": [1, 2, 3, 4, 5], "steps": steps}]
    with one_site(folder, placed=True, notify={"channels": channels}, oncall={"policies": policies}) as found:
        until(found.both_seen, timeout_s=20)
        for service in found.services.values():
            service.down()
        until(lambda: len(found.pages()) == 2, timeout_s=40, what="two pages")
        take_by_link(found, "ed")
        until(lambda: second(found), timeout_s=ESCALATE_S + 20, what="the step for the one nobody took")
        yield found


def take_by_link(site: OneSite, area: str) -> None:
    """Look four times, press twice."""
    page = next(p for p in site.pages() if p["incident"]["impact"][0]["area"] == area)
    link, id_ = link_of(page), page["incident_id"]
    before = site.get(f"incidents/{id_}")
    for method in ("GET", "HEAD", "GET", "HEAD"):
        assert visit(link, method)[0] == 200
    looked = site.get(f"incidents/{id_}")
    assert (looked["state"], looked["owner"]) == (before["state"], before["owner"]) == ("open", None)
    status, text = visit(link, "POST", by="Duty engineer")
    assert status == 200
    assert "Duty engineer" in text
    status, text = visit(link, "POST", by="Somebody else")
    assert status in (403, 409, 410)
    assert "Traceback" not in text


def test_the_link_in_a_page_takes_it_once(site: OneSite) -> None:
    taken = of_area(site, "ed")
    assert (taken["state"], taken["owner"]) == ("acknowledged", "Duty engineer")
    assert "Duty engineer" in site.page("/")


def test_the_step_after_is_told_of_what_nobody_took_and_of_nothing_else(site: OneSite) -> None:
    assert {p["incident"]["impact"][0]["area"] for p in second(site)} == {"icu"}
    assert [p["why"] for p in second(site)] == ["escalated"]


def test_a_forged_or_cut_link_is_refused_and_changes_nothing(site: OneSite) -> None:
    link = link_of(next(p for p in site.pages() if p["incident"]["impact"][0]["area"] == "icu"))
    state = of_area(site, "icu")["state"]
    for forged in (link[:-1], link[:-4] + "AAAA", link.rsplit("/", 1)[0] + "/x", link + "x"):
        for method in ("GET", "POST"):
            status, text = visit(forged, method, **({"by": "Mallory"} if method == "POST" else {}))
            assert 400 <= status < 500
            assert "Traceback" not in text
    assert of_area(site, "icu")["state"] == state


def test_command_line_api_and_board_each_take_it(site: OneSite) -> None:
    id_ = of_area(site, "icu")["id"]
    said = healthmon(site, "incidents", "ack", id_, "--by", "Terminal")
    assert (said.returncode, said.stderr) == (0, "")
    assert "acknowledged, owner Terminal" in said.stdout
    assert of_area(site, "icu")["owner"] == "Terminal"
    assert healthmon(site, "incidents", "unack", id_, "--by", "Terminal").returncode == 0
    assert of_area(site, "icu")["state"] == "open"

    answer = site.post(f"incidents/{id_}/ack", by="Program", note="on it")
    assert (answer["state"], answer["owner"]) == ("acknowledged", "Program")
    site.post(f"incidents/{id_}/unack", by="Program")

    take_on_the_board(site, id_, "Dana Example")
    found = site.get(f"incidents/{id_}")
    assert (found["state"], found["owner"]) == ("acknowledged", "Dana Example")
    actors = [entry["by"] for entry in found["timeline"]]
    assert {"Terminal", "Program", "Dana Example"} <= set(actors)
    shown = healthmon(site, "incidents", "show", id_)
    assert "Dana Example" in shown.stdout


def take_on_the_board(site: OneSite, id_: str, name: str) -> None:
    """Sign in and press the button, without a browser's scripts."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    opener.addheaders = [("Origin", site.base), ("Sec-Fetch-Site", "same-origin")]
    with opener.open(f"{site.base}/login") as answer:
        fields = hidden(answer.read().decode(), "/login")
    opener.open(f"{site.base}/login", form(fields | {"name": name, "token": site.token})).close()
    with opener.open(f"{site.base}/incident/{id_}") as answer:
        text = answer.read().decode()
    action = next(a for a in re.findall(r'<form[^>]*action="([^"]+)"', text) if a.endswith("/ack"))
    opener.open(site.base + action, form(hidden(text, action))).close()


def hidden(text: str, action: str) -> dict[str, str]:
    """The hidden fields of one form."""
    block = next(f for f in re.findall(r"<form.*?</form>", text, re.S) if f'action="{action}"' in f)
    inputs = re.findall(r"<input[^>]*>", block)
    pairs = ((re.search(r'name="([^"]*)"', i), re.search(r'value="([^"]*)"', i)) for i in inputs if "hidden" in i)
    return {name[1]: value[1] for name, value in pairs if name and value}


def form(fields: dict[str, str]) -> bytes:
    return urllib.parse.urlencode(fields).encode()


def test_a_stranger_cannot_act(site: OneSite) -> None:
    id_ = of_area(site, "icu")["id"]
    request = urllib.request.Request(f"{site.base}/api/v1/incidents/{id_}/ack", b'{"by": "Mallory"}')
    request.add_header("Content-Type", "application/json")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 401
    assert of_area(site, "icu")["owner"] != "Mallory"
