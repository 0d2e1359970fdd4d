"""Two servers and one lease, real processes: the leader is killed in mid-incident, or nobody can be asked who leads."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemons.healthmon import until
from daemons.paging import Receiver
from daemons.twoservers import Two, is_up, two

pytestmark = pytest.mark.wire


def pages(pager: Receiver, why: str) -> list[dict[str, Any]]:
    return [posted.json for posted in list(pager.posted) if posted.json["why"] == why]


def test_the_standby_goes_on_with_the_same_incident(tmp_path: Path) -> None:
    with two(tmp_path / "pair") as (made, pager, _):
        made.services["ed"].down()
        until(lambda: pages(pager, "opened"), timeout_s=60, what="a page")
        (incident,) = made.incidents("a")
        standby_says(made, pager, incident)
        token = re.findall(r"Take it: \S+/ack/(\S+)", pages(pager, "opened")[0]["text"])[0]
        made.servers["a"].post(f"ack/{token}", by="Duty engineer")
        until(lambda: made.listed("b") == {incident: "acknowledged"}, timeout_s=60, what="the standby has heard of it")
        killed_at = time.monotonic()
        made.servers["a"].daemon.kill9()
        until(lambda: is_up(made, "b"), timeout_s=90, what="b leads")
        print(f"b answers as the server {time.monotonic() - killed_at:.1f} s after the kill, with a lease of 3 s")
        until(lambda: made.incidents("b") == {incident: "acknowledged"}, timeout_s=60, what="b has the incident")
        with pytest.raises(urllib.error.HTTPError) as spent:
            made.servers["b"].post(f"ack/{token}", by="Somebody else")
        assert "used" in spent.value.read().decode(), "a link that was spent at the other server is spent"
        made.services["ed"].up()
        until(lambda: pages(pager, "mitigated"), timeout_s=90, what="b says that it is back")
        until(lambda: made.incidents("b") == {incident: "mitigated"}, timeout_s=60, what="b shows it as mitigated")
        keys = Counter(posted.json["key"] for posted in list(pager.posted))
        first: set[str] = set()
        for posted in list(pager.posted):
            assert posted.json["key"] not in first or posted.json["repeat"], "an unmarked repeat"
            first.add(posted.json["key"])
        assert sum(count - 1 for count in keys.values()) <= 1
        assert {posted.json["incident"]["id"] for posted in list(pager.posted)} == {incident}
        terms = _terms(made, "b")
        assert [term["server"] for term in terms] == ["a", "b"]
        assert terms[0]["term"] < terms[1]["term"]
        # the one that was killed comes back, and stands by
        back = made.servers["a"].daemon
        back.ready = lambda: "standing by with a copy" in made.servers["a"].log.read_text()
        back.start()


def test_a_standby_that_slept_goes_on_from_the_stream(tmp_path: Path) -> None:
    """It missed the incident, the page and the acknowledgement; the leader is killed; nobody is paged again."""
    with two(tmp_path / "pair", stream=True) as (made, pager, _):
        standby = made.servers["b"].daemon.process
        assert standby is not None
        standby.send_signal(signal.SIGSTOP)
        made.services["ed"].down()
        until(lambda: pages(pager, "opened"), timeout_s=60, what="a page, though the standby sleeps")
        (incident,) = made.incidents("a")
        made.servers["a"].post(f"incidents/{incident}/ack", by="Duty engineer")
        made.servers["a"].daemon.kill9()
        standby.send_signal(signal.SIGCONT)
        until(lambda: is_up(made, "b"), timeout_s=90, what="b leads")
        until(lambda: made.incidents("b") == {incident: "acknowledged"}, timeout_s=60, what="b has it from the stream")
        assert "the journal was brought up to its stream" in made.servers["b"].log.read_text()
        made.services["ed"].up()
        until(lambda: pages(pager, "mitigated"), timeout_s=90, what="b says that it is back")
        told = [posted.json for posted in list(pager.posted)]
        assert {one["incident"]["id"] for one in told} == {incident}
        repeats = [one for number, one in enumerate(told) if one["key"] in {before["key"] for before in told[:number]}]
        assert all(one["repeat"] for one in repeats)
        assert len(repeats) <= 1
        assert [term["server"] for term in _terms(made, "b")] == ["a", "b"]


def standby_says(made: Two, pager: Receiver, incident: str) -> None:
    """b serves a page and a health of its own, which nobody takes for the server's."""
    until(lambda: made.listed("b") == {incident: "open"}, timeout_s=60, what="the copy has the incident")
    health = made.servers["b"].health()
    assert (health["status"], health["leader"], health["copied"]) == ("standby", "a", True)
    with pytest.raises(urllib.error.HTTPError) as page:
        made.servers["b"].page("/")
    text = page.value.read().decode()
    assert page.value.code == 503
    assert "This is the standby of Small Hospital" in text
    assert "<b>a</b> leads" in text
    assert made.incidents("a").keys() == {incident}
    assert made.listed("a")[incident] == "open"
    assert any(line in text for line in (one["incident"]["title"] for one in pages(pager, "opened")))


def _terms(made: Two, name: str) -> list[dict[str, Any]]:
    path = made.servers[name].data / "journal.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return [json.loads(body) for (body,) in db.execute("SELECT body FROM event WHERE kind = 'term' ORDER BY seq")]


def test_while_nobody_can_be_asked_both_page_and_mark_it(tmp_path: Path) -> None:
    with two(tmp_path / "pair") as (made, pager, keeper):
        assert keeper.process is not None
        keeper.process.send_signal(signal.SIGSTOP)
        try:
            until(lambda: made.incidents("b") == {} and is_up(made, "b"), timeout_s=90, what="b leads as well")
            made.services["icu"].down()
            until(lambda: _senders(pager) == {"a", "b"}, timeout_s=90, what="a page of each")
            assert all(page["repeat"] for page in pages(pager, "opened"))
        finally:
            keeper.process.send_signal(signal.SIGCONT)
        until(lambda: any(_stands_by(made, name) for name in "ab"), timeout_s=90, what="one of them stands by")
        keeper.process.send_signal(signal.SIGSTOP)
        ended = [made.servers[name].daemon.told_to_stop() for name in "ab"]
        keeper.process.send_signal(signal.SIGCONT)
        assert ended == [0, 0], "both end, though nobody can be told that they do"


def _senders(pager: Receiver) -> set[str]:
    return {page["incident"]["server"] for page in pages(pager, "opened")}


def _stands_by(made: Two, name: str) -> bool:
    return "another server leads" in made.servers[name].log.read_text()


def test_standby_needs_the_block(tmp_path: Path) -> None:
    site = {"organisation": {"id": "o", "name": "O", "timezone": "UTC"}, "sites": [{"id": "main", "name": "M"}]}
    (tmp_path / "healthmon.yaml").write_text(json.dumps(site))
    argv = [sys.executable, "-m", "healthmon", "server", "--standby", "-c", str(tmp_path / "healthmon.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "needs the block `ha:`" in done.stderr
