"""Fire drills with real processes: server, broker and agent, a wire between them that is cut, a person who answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.healthmon import role, until
from daemons.mosquitto import Mosquitto
from daemons.onesite import OneSite
from daemons.oneway import Wire
from daemons.paging import Receiver
from daemons.process import Daemon
from healthmon.alerting.notify.webhook import signature

pytestmark = [pytest.mark.wire, pytest.mark.slow]
HOP_S = 10.0
SECRET = "a secret of the gateway"


class Site:
    """A server beside its broker, and an agent behind a wire that can be cut."""

    def __init__(self, folder: Path) -> None:
        self.broker = Mosquitto(folder / "mosquitto")
        self.wire = Wire(self.broker.port)
        ward = {"kind": "inbox", "path": str(folder / "ward.jsonl"), "audience": "ward"}
        self.gateway = Receiver()
        sms = {"kind": "gateway", "url": self.gateway.url, "reply_secret": SECRET}
        channels = {"inbox": {"kind": "inbox", "path": str(folder / "inbox.jsonl")}, "ward": ward, "sms": sms}
        steps = [{"channels": ["inbox", "sms:+441632960001", "ward"]}]
        policies = [{"id": "all", "severities": [1, 2, 3, 4, 5], "steps": steps}]
        self.one = OneSite(
            folder,
            role_name="server",
            broker={"url": f"mqtt://127.0.0.1:{self.broker.port}"},
            services=[],
            targets=[{"id": "pc-1", "kind": "ward-workstation", "address": "127.0.0.1", "area": "ed"}],
            agents=[{"id": "pc-1", "target": "pc-1", "roles": ["ward-workstation"]}],  # nobody else is missed
            notify={"channels": channels},
            oncall={"policies": policies},
            drills={"hop_within": f"{HOP_S:g}s", "answer_within": "30s", "reports": ["inbox"]},
        )
        self.folder = folder
        self.agent: Daemon | None = None

    def start(self) -> None:
        self.broker.start()
        self.wire.start()
        self.one.daemon.start()
        plan = self.folder / "pc-1.json"
        argv = [
            sys.executable,
            "-m",
            "healthmon",
            "check",
            "-c",
            str(self.one.config),
            "--resolve",
            "pc-1",
            "-o",
            str(plan),
        ]
        subprocess.run(argv, check=True, capture_output=True)
        known = json.loads(plan.read_text())
        known["broker"]["url"] = f"mqtt://127.0.0.1:{self.wire.port}"
        plan.write_text(json.dumps(known))
        self.agent = role("agent", "-c", str(plan), log=self.folder / "agent.log", ready=lambda: True)
        self.agent.start()
        until(lambda: self.state("pc-1") == "up", timeout_s=60, what="the agent is heard")

    def stop(self) -> None:
        for daemon in (self.agent, self.one.daemon, self.broker):
            if daemon is not None:
                daemon.stop()
        self.wire.stop()
        self.gateway.stop()

    def state(self, agent: str) -> str:
        return str(next(one["state"] for one in self.one.get("agents")["items"] if one["agent"] == agent))

    def drill(self, *arguments: str, code: int) -> dict[str, Any]:
        argv = [
            sys.executable,
            "-m",
            "healthmon",
            "drill",
            *arguments,
            "--json",
            "-c",
            str(self.one.config),
            "--by",
            "Desk",
        ]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return dict(json.loads(done.stdout))

    def pages(self) -> list[dict[str, Any]]:
        return [one for one in self.one.pages() if one["why"] == "drill"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    found = Site(tmp_path_factory.mktemp("drill"))
    try:
        found.start()
        yield found
    finally:
        found.stop()


def answer_by_link(site: Site, pages_before: int) -> None:
    """As the person with the telephone: look, then press."""
    until(lambda: len(site.pages()) > pages_before, timeout_s=30, what="the page of the drill")
    link = re.search(r"Take it: (\S+)", site.pages()[-1]["text"])
    assert link
    for _ in range(2):
        with urllib.request.urlopen(link[1], timeout=10) as answer:
            assert "FIRE DRILL" in answer.read().decode()
    data = urllib.parse.urlencode({"by": "Duty engineer"}).encode()
    with urllib.request.urlopen(urllib.request.Request(link[1], data), timeout=10) as answer:
        assert "Duty engineer" in answer.read().decode()


def test_from_an_agent_to_the_person_who_answers_and_nobody_else(site: Site) -> None:
    before = len(site.pages())
    person = threading.Thread(target=answer_by_link, args=(site, before))
    person.start()
    drill = site.drill("--from", "pc-1", code=0)
    person.join(30)
    assert (drill["state"], drill["answered_by"], drill["missing"]) == ("passed", "Duty engineer", None)
    assert all(hop["at"] for hop in drill["hops"]), "every hop is timed"
    assert drill["paged"] == ["inbox", "sms"], "never a channel that is read on wards"
    page = site.pages()[-1]
    assert page["subject"].startswith("[FIRE DRILL]")
    assert page["incident"]["drill"] is True
    assert not (site.folder / "ward.jsonl").exists()
    assert site.one.incidents() == [], "no incident"
    assert not [row for row in site.one.get("alerts")["items"] if row.get("check") == "drill"]


def answer_by_sms(site: Site, texts_before: int) -> None:
    """As the gateway: the reader sends back what the SMS asks for, and the webhook comes twice."""

    def of_the_drill() -> list[str]:
        texts = [one.json["text"] for one in site.gateway.posted[texts_before:]]
        return [text for text in texts if "FIRE DRILL" in text]

    until(lambda: bool(of_the_drill()), timeout_s=30, what="the SMS of the drill")
    code = re.search(r"Reply (1 \w{4})=", of_the_drill()[-1])
    assert code, of_the_drill()
    raw = json.dumps({"from": "+44 1632 960001", "text": code[1], "id": f"m-{texts_before}"}).encode()
    headers = {"Content-Type": "application/json", "X-Healthmon-Signature": signature(SECRET, raw)}
    for said in ("thank you, that was a fire drill", "known already"):
        asked = urllib.request.Request(f"{site.one.base}/api/v1/replies/sms", raw, headers)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert json.loads(answer.read())["said"] == said


def test_a_drill_is_answered_by_sms(site: Site) -> None:
    passed = site.one.metric("healthmon_drills_total", result="passed")
    person = threading.Thread(target=answer_by_sms, args=(site, len(site.gateway.posted)))
    person.start()
    drill = site.drill("--from", "pc-1", code=0)
    person.join(30)
    assert (drill["state"], drill["answered_by"], drill["missing"]) == ("passed", "+44 1632 960001", None)
    assert all(one["owner"] is None for one in site.one.incidents()), "no incident is taken by it"
    assert site.one.metric("healthmon_drills_total", result="passed") == passed + 1.0
    assert "healthmon_drill_age_seconds" in site.one.page("/metrics")
    assert site.one.get("coverage")["drill"]["state"] == "passed"
    kept = until(lambda: site.one.get("query?metric=drill.server_heard_seconds")["items"], timeout_s=30, what="stored")
    assert kept


def test_a_cut_wire_is_named_and_the_late_answer_says_that_the_agent_spoke(site: Site) -> None:
    site.wire.hold_upstream()  # the question still reaches the agent, its answer reaches nobody
    before = len(site.pages())
    drill = site.drill("--from", "pc-1", code=1)
    assert drill["state"] == "failed"
    assert drill["missing"] == "agent_heard"
    assert "pc-1 -> broker -> server: nothing came back" in drill["because"]
    assert drill["hops"][0]["at"], "the broker had the question"
    site.wire.release()
    late = until(
        lambda: found if (found := site.one.get(f"drills/{drill['id']}"))["missing"] == "server_heard" else None,
        timeout_s=60,
        what="the answer that came late",
    )
    assert "the agent heard the question after" in late["because"]
    assert "the server heard it only" in late["because"]
    times = {hop["hop"]: hop["late_at"] for hop in late["hops"]}
    assert times["agent_heard"] < times["server_heard"]
    assert len(site.pages()) == before, "a drill that is over pages nobody"
    until(lambda: any("Fire drill failed" in one["subject"] for one in site.one.pages()), timeout_s=30, what="told")


def test_nobody_answers(site: Site) -> None:
    drill = site.drill("--from", "pc-1", code=1)
    assert drill["missing"] == "acknowledged"
    assert "nobody answered" in drill["because"]


def test_what_cannot_begin_says_why(site: Site) -> None:
    argv = [sys.executable, "-m", "healthmon", "drill", "--from", "pc-9", "-c", str(site.one.config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "no agent 'pc-9'" in done.stderr
    assert "Traceback" not in done.stderr
