"""docs/first-hour.md as a new user would follow it; a real nginx, snmpd and sshd stand in for the addresses."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from daemons.healthmon import answers, api, role, until
from daemons.nginx import nginx
from daemons.openssh import sshd
from daemons.paging import Receiver
from daemons.process import free_port
from daemons.snmpd import COMMUNITY, snmpd

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(300)]

PAGE = (Path(__file__).parents[2] / "docs" / "first-hour.md").read_text()


def section(number: int) -> str:
    found = re.search(rf"^## {number}\..*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[0]


def blocks(number: int, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", section(number), re.MULTILINE | re.DOTALL)


class Newcomer:
    """Somebody at a terminal in an empty folder, with three things to watch."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        (folder / "web").mkdir()
        (folder / "ssh").mkdir()
        (folder / "snmp").mkdir()
        self.web = stack.enter_context(nginx(folder / "web"))
        self.receiver = Receiver()
        stack.callback(self.receiver.stop)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        snmp, ssh = stack.enter_context(snmpd(folder / "snmp")), stack.enter_context(sshd(folder / "ssh"))
        self.instead = {
            "http://192.0.2.20/health": f"http://127.0.0.1:{self.web.plain}/health",
            "address: 192.0.2.7": "address: 127.0.0.1",
            "address: 192.0.2.21": "address: 127.0.0.1",
            "community_file: community": f"community_file: community, port: {snmp}",
            "{kind: ssh,": f"{{kind: ssh, port: {ssh},",
            "http://pager.example/hook": self.receiver.url,
            "echo public": f"echo {COMMUNITY}",
        }
        self.env = os.environ | {"HEALTHMON_DATA_DIR": str(folder / "data")}

    def written(self, text: str) -> str:
        for old, new in self.instead.items():
            text = text.replace(old, new)
        return text

    def types(self, line: str) -> str:
        """One line of a page; gives what it printed."""
        if line.startswith("healthmon "):
            argv = [sys.executable, "-m", "healthmon", *shlex.split(line)[1:]]
        else:
            argv = ["sh", "-ec", self.written(line)]
        found = subprocess.run(argv, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=90)
        assert found.returncode == 0, (line, found.stdout, found.stderr)
        return found.stdout + found.stderr

    def follows(self, number: int) -> str:
        lines = [line for block in blocks(number, "sh") for line in block.splitlines()]
        return "".join(self.types(line) for line in lines if not line.startswith("healthmon up"))


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    with ExitStack() as stack:
        yield Newcomer(tmp_path, stack)


def test_the_page_leads_from_nothing_to_a_page_and_back(newcomer: Newcomer) -> None:
    config = newcomer.folder / "healthmon.yaml"
    (text,) = blocks(2, "yaml")
    config.write_text(newcomer.written(text) + f"web: {{listen: 127.0.0.1:{newcomer.port}}}\n")
    assert "healthmon" in newcomer.types("healthmon version")
    assert "alerting is shadow" in newcomer.follows(2)
    asked = newcomer.follows(3)
    assert asked.count("ok") >= 3
    assert "up -c healthmon.yaml" in blocks(4, "sh")[0]

    daemon = role("up", "-c", str(config), log=newcomer.folder / "up.log", ready=answers(newcomer.base))
    os.environ["HEALTHMON_DATA_DIR"] = newcomer.env["HEALTHMON_DATA_DIR"]
    daemon.start()
    try:
        until(lambda: seen(newcomer) == {"ok"}, timeout_s=90, what="all three are seen")
        newcomer.follows(4)

        newcomer.web.daemon.stop()
        incident = until(lambda: opened(newcomer), timeout_s=60, what="the incident")
        lines = [(line["area"], line["service"], line["state"]) for line in incident["impact"]]
        assert ("ward-7", "ehr", "lost") in lines
        said = newcomer.follows(5)
        assert incident["id"] in said
        assert "shadow" in said
        assert not newcomer.receiver.posted

        newcomer.web.daemon.start()
        until(lambda: seen(newcomer) == {"ok"}, timeout_s=60, what="back again")
        config.write_text(config.read_text().replace("mode: shadow", "mode: live"))
        newcomer.follows(6)
        assert api(newcomer.base, "health")["mode"] == "live"
        newcomer.web.daemon.stop()
        until(lambda: newcomer.receiver.posted, timeout_s=90, what="the page")
        accepted(newcomer)
    finally:
        daemon.stop()
        os.environ.pop("HEALTHMON_DATA_DIR", None)


def accepted(newcomer: Newcomer) -> None:
    """The link of the page: opening it changes nothing, its button does."""
    body = newcomer.receiver.posted[0].raw.decode()
    (link,) = set(re.findall(r"https?://[^\s\"\\]+/ack/[^\s\"\\]+", body))
    shown = urllib.request.urlopen(link, timeout=10).read().decode()
    assert "I have it" in shown
    assert opened(newcomer)["owner"] is None
    urllib.request.urlopen(urllib.request.Request(link, data=b"by=Duty+engineer", method="POST"), timeout=10).read()
    until(lambda: (opened(newcomer) or {}).get("state") == "acknowledged", timeout_s=30, what="accepted")


def seen(newcomer: Newcomer) -> set[str]:
    targets = {one["id"]: one["outcome"] for one in api(newcomer.base, "targets")["items"]}
    return {targets[name] for name in ("sw-ward7", "ehr-web", "ehr-server")}


def opened(newcomer: Newcomer) -> dict[str, Any] | None:
    items = api(newcomer.base, "incidents")["items"]
    return next((one for one in items if one["state"] in ("open", "acknowledged") and one["impact"]), None)
