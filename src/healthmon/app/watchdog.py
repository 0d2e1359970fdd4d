"""The watchdog: a tiny process elsewhere that tells people when healthmon itself is silent, frozen or stuck.

Its own journal keeps what it told, so that a restart of the watchdog repeats nothing and forgets nothing.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from healthmon.alerting.journal import Journal
from healthmon.alerting.notify.dispatch import Dispatcher
from healthmon.alerting.oncall.case import notice_key
from healthmon.model.incident import IncidentKind, Notice, Why
from healthmon.model.journal import Changes
from healthmon.model.ports import Clock, Notifier
from healthmon.model.render import rfc3339
from healthmon.runtime.supervise import spawn

log = logging.getLogger(__name__)

HEALTH_PATH = "/api/v1/health"
_HEALTH_BYTES = 65536
#: This machine has no way out: nothing is known of the server.
_OWN_FAULT = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})


@dataclass(frozen=True, slots=True)
class Watch:
    """What to watch. `tries` looks in a row decide; an engine older than `tick_limit_s` is stuck at once.

    witnesses: `host:port` near this watchdog; while none of them answers either, its own network is to blame.
    """

    url: str
    state_file: Path
    every_s: float = 10.0
    timeout_s: float = 5.0
    tries: int = 3
    clear_tries: int = 2
    tick_limit_s: float = 30.0
    name: str = "healthmon"
    timezone: str = "UTC"
    ca_file: str | None = None
    witnesses: tuple[str, ...] = ()

    @property
    def health_url(self) -> str:
        """The URL as given, with the path of the health page when it names none."""
        return self.url if urlsplit(self.url).path not in ("", "/") else self.url.rstrip("/") + HEALTH_PATH


class Seen(StrEnum):
    """What one look showed. `own_network` says nothing of the server."""

    OK = "ok"
    SILENT = "silent"  # stopped, or cut off from here
    FROZEN = "frozen"  # takes the connection and never answers
    STUCK = "stuck"  # answers while its engine stands still
    WRONG = "wrong"  # something answers that is not a healthy healthmon
    OWN_NETWORK = "own_network"


_WORDS = {
    Seen.SILENT: "cannot be reached (stopped, or cut off)",
    Seen.FROZEN: "takes connections but does not answer (frozen)",
    Seen.STUCK: "answers, but its engine stands still",
    Seen.WRONG: "does not answer as it should",
}


@dataclass(frozen=True, slots=True)
class Look:
    """One look. `sure`: no second look is needed."""

    seen: Seen
    detail: str = ""
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the watchdog holds to be true. `since`: Unix seconds of the first bad look of this episode."""

    down: bool = False
    since: float = 0.0
    bad: int = 0
    good: int = 0


def judge(standing: Standing, look: Look, *, now: float, watch: Watch) -> tuple[Standing, Why | None]:
    """The next standing, and whether people must hear of it. Pure."""
    if look.seen is Seen.OWN_NETWORK:
        return standing, None
    if look.seen is Seen.OK:
        good = standing.good + 1
        if standing.down and good >= watch.clear_tries:
            return replace(standing, down=False, bad=0, good=good), Why.MITIGATED
        return replace(standing, bad=0, good=good), None
    bad = standing.bad + 1
    since = standing.since if standing.down or standing.bad else now
    told = not standing.down and (look.sure or bad >= watch.tries)
    return Standing(standing.down or told, since, bad, 0), Why.OPENED if told else None


def read_health(body: bytes, watch: Watch) -> Look:
    """What the health page says; a page that cannot be read is not a healthy server."""
    try:
        health = msgspec.json.decode(body, type=dict[str, Any])
        age_s, status = float(health["engine_tick_age_s"]), str(health["status"])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return Look(Seen.WRONG, "the answer is not healthmon's health page")
    if age_s > watch.tick_limit_s:
        return Look(Seen.STUCK, f"last engine step {age_s:.0f} s ago", sure=True)
    if status == "failing":
        return Look(Seen.STUCK, "it says so itself: failing")
    return Look(Seen.OK, status)


async def look_at(watch: Watch) -> Look:
    """One request over a fresh connection."""
    import aiohttp

    limit = watch.timeout_s
    timeout = aiohttp.ClientTimeout(total=3 * limit, connect=limit, sock_connect=limit, sock_read=limit)
    trusted: ssl.SSLContext | bool = ssl.create_default_context(cafile=watch.ca_file) if watch.ca_file else True
    connector = aiohttp.TCPConnector(force_close=True, ssl=trusted)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as session,
            session.get(watch.health_url, allow_redirects=False) as answer,
        ):
            if answer.status not in (200, 503):
                return Look(Seen.WRONG, f"HTTP {answer.status}")
            return read_health(await answer.content.read(_HEALTH_BYTES), watch)
    except aiohttp.ConnectionTimeoutError:
        return Look(Seen.SILENT, f"no connection in {limit:g} s")
    except TimeoutError:
        return Look(Seen.FROZEN, f"no answer in {limit:g} s")
    except aiohttp.ClientConnectorCertificateError as error:
        return Look(Seen.WRONG, str(error.certificate_error))
    except aiohttp.ClientConnectorError as error:
        seen = Seen.OWN_NETWORK if error.os_error.errno in _OWN_FAULT else Seen.SILENT
        return Look(seen, os.strerror(error.os_error.errno) if error.os_error.errno else type(error).__name__)
    except (aiohttp.ClientError, OSError) as error:
        return Look(Seen.SILENT, type(error).__name__)


async def witnessed(watch: Watch, look: Look) -> Look:
    """A silent server is our own network's fault when no witness answers either."""
    if look.seen is not Seen.SILENT or not watch.witnesses:
        return look
    for witness in watch.witnesses:
        host, _, port = witness.rpartition(":")
        try:
            async with asyncio.timeout(watch.timeout_s):
                _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            return look
        except ConnectionRefusedError:
            return look
        except (OSError, TimeoutError):
            continue
    return Look(Seen.OWN_NETWORK, f"none of {', '.join(watch.witnesses)} answers either")


@dataclass(slots=True)
class _Watching:
    """The loop: look, judge, write down, tell."""

    watch: Watch
    channels: tuple[str, ...]
    journal: Journal
    dispatcher: Dispatcher
    clock: Clock
    standing: Standing
    last: Seen | None = field(default=None)

    async def run(self) -> None:
        while True:
            await self.once()
            await self.clock.sleep(self.watch.every_s)

    async def once(self) -> None:
        look = await witnessed(self.watch, await look_at(self.watch))
        if look.seen is not self.last:
            level = logging.INFO if look.seen is Seen.OK else logging.WARNING
            log.log(level, "server %s", look.seen.value, extra={"detail": look.detail, "server": self.watch.name})
            self.last = look.seen
        now = self.clock.now()
        standing, why = judge(self.standing, look, now=now, watch=self.watch)
        if why is not None:
            notices = tuple(_notice(self.watch, standing, look, why, channel, now) for channel in self.channels)
            presence = {self.watch.name: ("down" if standing.down else "ok", standing.since)}
            await self._write_down(Changes(at=now, notices=notices, presence=presence))
            self.dispatcher.put(notices)
        self.standing = standing

    async def _write_down(self, changes: Changes) -> None:
        try:
            await asyncio.to_thread(self.journal.commit, changes)
        except (OSError, sqlite3.Error) as error:  # better told twice after a restart than not at all
            log.error("watchdog cannot write its state", extra={"error": str(error)})


async def run_watchdog(watch: Watch, notifiers: Mapping[str, Notifier], clock: Clock, stop: asyncio.Event) -> None:
    """Watch until `stop` is set. Pages once for each episode and once when it is over, by every notifier."""
    journal = Journal(watch.state_file)
    restored = await asyncio.to_thread(journal.restore)

    async def commit(changes: Changes) -> None:
        await asyncio.to_thread(journal.commit, changes)

    dispatcher = Dispatcher(channels=notifiers, journal_commit=commit, clock=clock, on_result=_log_result)
    dispatcher.put(restored.notices.values())
    state, since = restored.presence.get(watch.name, ("ok", 0.0))
    standing = Standing(down=state == "down", since=since)
    watching = _Watching(watch, tuple(notifiers), journal, dispatcher, clock, standing)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                spawn(group, "watchdog notices", dispatcher.run()),
                spawn(group, "watchdog looks", watching.run()),
            ]
            await stop.wait()
            await dispatcher.wind_down()
            for task in tasks:
                task.cancel()
    finally:
        journal.close()


def _log_result(notice: Notice) -> None:
    log.info("notice", extra={"channel": notice.channel, "result": notice.result.value, "detail": notice.detail})


def _notice(watch: Watch, standing: Standing, look: Look, why: Why, channel: str, now: float) -> Notice:
    began = datetime.fromtimestamp(standing.since, ZoneInfo(watch.timezone)).strftime("%H:%M")
    if why is Why.MITIGATED:
        title = f"{watch.name} answers again"
        text = f"{title}. It was not watching since {began}; look at the board for what happened meanwhile."
    else:
        title = f"Monitoring fault: {watch.name} {_WORDS[look.seen]}"
        text = f"{title} since {began}: {look.detail}.\nNobody is told of faults until this is mended."
    incident = f"watchdog-{watch.name}-{int(standing.since)}"
    return Notice(
        key=notice_key(incident, channel, why.value),
        incident=incident,
        step=0,
        channel=channel,
        to=channel,
        why=why,
        due=now,
        subject=f"[sev 1, monitoring fault] {title}",
        text=text,
        body=_body(incident, standing, title=title, text=text),
        severity=1,
        kind=IncidentKind.BLIND,
    )


def _body(incident: str, standing: Standing, *, title: str, text: str) -> dict[str, Any]:
    """As much of the public incident as a watchdog knows."""
    return {
        "id": incident,
        "kind": IncidentKind.BLIND.value,
        "state": "open" if standing.down else "mitigated",
        "severity": 1,
        "title": title,
        "plain_text": text,
        "opened_at": rfc3339(standing.since),
    }
