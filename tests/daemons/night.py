"""A night with two faults: real sockets, two rotas, people reached through a gateway over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from daemons.onesite import OneSite
from daemons.paging import Receiver
from daemons.process import free_port
from healthmon.app.agent import AgentRuntime
from healthmon.app.demo import Api, DemoOptions, child_up, ward_plans, write_site
from healthmon.config import load
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.supervise import spawn
from healthmon.simulation.hospital import open_hospital

CLOCK = SystemClock()
#: Seconds after which the next person is asked, and the duty manager.
NEXT_S, MANAGER_S = 15.0, 30.0
PEOPLE = (
    ("net-1", "First network engineer", "+44 1632 960001"),
    ("net-2", "Second network engineer", "+44 1632 960002"),
    ("apps-1", "First applications engineer", "+44 1632 960003"),
    ("apps-2", "Second applications engineer", "+44 1632 960004"),
    ("dm", "Duty manager", "+44 1632 960009"),
)
PHONES = {phone: name for _, name, phone in PEOPLE}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to break and mend; `words` stand in its incident's title, `root` is what it is put down to.

    asked: whom it reaches, one after the other, when nobody takes it.
    """

    words: str
    root: str
    area: str
    asked: tuple[str, ...]
    cut: Callable[[], object]
    mend: Callable[[], object]


@dataclass(slots=True)
class Night:
    """A hospital, its healthmon, and the gateway that gets what people get. Somebody takes `taken`, nobody `left`."""

    api: Api
    gateway: Receiver
    token: str
    taken: Fault
    left: Fault

    @property
    def url(self) -> str:
        return self.api.url

    def messages(self, text: str = "") -> list[dict[str, Any]]:
        """What went to telephones and holds this text, in order."""
        found = [posted.json for posted in self.gateway.posted]
        return [one for one in found if text in one["long"]]

    def asked(self, text: str) -> list[str]:
        """Who was asked about it, each once, in order."""
        return list(dict.fromkeys(PHONES[one["to"]] for one in self.messages(text)))

    async def until(self, met: Any, what: str, within_s: float = 60.0) -> Any:
        """The first true answer of a function that may be a coroutine; the deadline guards against hangs."""
        try:
            async with asyncio.timeout(within_s):
                while not (found := await _value(met)):  # noqa: ASYNC110 - a page and an API cannot tell us
                    await asyncio.sleep(0.1)
                return found
        except TimeoutError:
            raise AssertionError(f"never: {what}; incidents {await self.api.incidents()}") from None


async def _value(met: Any) -> Any:
    found = met()
    return await found if asyncio.iscoroutine(found) else found


def link_of(message: dict[str, Any]) -> str:
    """The link as its reader sees it."""
    found = re.search(r"https?://\S+/ack/\S+", message["long"])
    assert found, message
    return found[0]


def knock(url: str, method: str) -> int:
    """As a scanner of links does."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def patient(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same looks with more patience: a busy test machine is no fault of the hospital."""
    return [check | {"every": "5s", "timeout": "4500ms"} for check in checks]


def _rota(id_: str, *people: str) -> dict[str, Any]:
    return {"id": id_, "layers": [{"id": "turns", "people": list(people), "turns": 52, "first": "2026-01-05"}]}


def _oncall(next_s: float, manager_s: float) -> dict[str, Any]:
    steps = [
        {"after": "0s", "to": ["team"]},
        {"after": f"{next_s:g}s", "to": ["next"]},
        {"after": f"{manager_s:g}s", "to": ["duty-manager"]},
    ]
    return {
        "users": [{"id": id_, "name": name, "phone": phone, "channels": ["sms"]} for id_, name, phone in PEOPLE],
        "duty_manager": "user:dm",
        "rotas": [_rota("net", "net-1", "net-2"), _rota("apps", "apps-1", "apps-2")],
        "policies": [{"id": "night", "severities": [1, 2, 3], "steps": steps, "one_medium": "a test has one gateway"}],
    }


NETWORK = ("First network engineer", "Second network engineer", "Duty manager")
APPLICATIONS = ("First applications engineer", "Second applications engineer", "Duty manager")


def _people(gateway: Receiver, *, next_s: float = NEXT_S, manager_s: float = MANAGER_S) -> dict[str, Any]:
    """Teams, rotas and the way to people, for any site."""
    body = {"to": "{to}", "text": "{text}", "long": "{long_text}", "ref": "{key}"}
    return {
        "notify": {"channels": {"sms": {"kind": "gateway", "url": gateway.url, "body": body}}},
        "oncall": _oncall(next_s, manager_s),
        "teams": {"network": {"rota": "net", "phone": "2-2201"}, "apps": {"rota": "apps", "phone": "2-2202"}},
    }


@contextlib.asynccontextmanager
async def small_night(folder: Path) -> AsyncIterator[Night]:
    """Two areas with one service each on real sockets: light enough for any test machine."""
    gateway, teams = Receiver(), {"srv-ed": "apps", "srv-icu": "network"}
    site = OneSite(folder, **_people(gateway))
    for target in site.site["targets"]:
        target["team"] = teams.get(target["id"], "network")
        target.setdefault("area", target["id"].removeprefix("srv-"))
    site.write()
    ed, icu = site.services["ed"], site.services["icu"]
    try:
        ed.up()
        icu.up()
        await asyncio.to_thread(site.daemon.start)
        async with aiohttp.ClientSession() as session:
            yield Night(
                Api(site.base, session),
                gateway,
                site.token,
                Fault("Greeting icu not available", "srv-icu", "icu", NETWORK, icu.down, icu.up),
                Fault("Greeting ed not available", "srv-ed", "ed", APPLICATIONS, ed.down, ed.up),
            )
    finally:
        await asyncio.to_thread(site.daemon.stop)
        ed.down()
        icu.down()
        gateway.stop()


@contextlib.asynccontextmanager
async def hospital_night(folder: Path, *, patience: bool = True) -> AsyncIterator[Night]:
    """The simulated hospital with its ward agents: what the pictures show. It needs a machine with time to spare.

    patience: looks are rarer and wait longer than the demo's own.
    """
    hospital, gateway = await open_hospital(), Receiver()
    config = write_site(hospital, folder, DemoOptions(listen=f"127.0.0.1:{free_port()}"))
    site = yaml.safe_load(config.read_text())
    people = _people(gateway, next_s=60.0, manager_s=90.0)  # taking pictures takes its time
    site |= people | {"teams": site["teams"] | people["teams"]}
    for target in site["targets"] if patience else ():
        target["checks"] = patient(target.get("checks", []))
    config.write_text(yaml.safe_dump(site, sort_keys=False, allow_unicode=True))
    icu, lab = hospital.links["sw-icu"], hospital.links["lims"]
    try:
        async with child_up(config) as url, aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            plans = await ward_plans(hospital, load(config))
            agents = [spawn(group, plan.agent, AgentRuntime(plan, clock=CLOCK).run()) for plan in plans]
            api = Api(url, session)
            try:
                await api.settled(CLOCK)
                yield Night(
                    api,
                    gateway,
                    (folder / "data" / "token").read_text().strip(),
                    Fault("not available in Intensive Care", "sw-icu", "icu", NETWORK, icu.sever, icu.mend),
                    Fault("Laboratory results not available", "lims", "ed", APPLICATIONS, lab.sever, lab.mend),
                )
            finally:
                for agent in agents:
                    agent.cancel()
    finally:
        gateway.stop()
        await hospital.stop()


def act(night: Night, path: str, **body: str) -> dict[str, Any]:
    """One action by the API, as another tool would do it."""
    request = urllib.request.Request(f"{night.url}/api/v1/{path}", json.dumps(body).encode(), method="POST")
    request.add_header("Authorization", f"Bearer {night.token}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.loads(answer.read()))
