"""When the engine itself keeps crashing: who hears of it, without the engine's help."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from healthmon.alerting.oncall.case import notice_key
from healthmon.model.incident import IncidentKind, LedgerRow, Notice, Why
from healthmon.model.render import rfc3339

#: So many crashes within so many seconds are one episode of which every channel hears once.
CRASHES = 3
WINDOW_S = 300.0
#: Incidents of this name are not the engine's: nobody can take them.
PREFIX = "engine-crash-"


def crash_notices(
    channels: Iterable[str], *, name: str, timezone: str, since: float, now: float, why: Why
) -> tuple[Notice, ...]:
    """One notice a channel; `since` (Unix s) names the episode, so that each is told of it once."""
    began = datetime.fromtimestamp(since, ZoneInfo(timezone)).strftime("%H:%M")
    title, text = _words(why, began)
    incident = f"{PREFIX}{int(since)}"
    body = {
        "id": incident,
        "kind": IncidentKind.BLIND.value,
        "state": "open" if why is Why.OPENED else "mitigated",
        "severity": 1,
        "title": title,
        "plain_text": text,
        "opened_at": rfc3339(since),
    }
    return tuple(
        Notice(
            key=notice_key(incident, channel, why.value),
            incident=incident,
            step=0,
            channel=channel,
            to=channel,
            why=why,
            due=now,
            subject=f"[sev 1, monitoring fault] {name}: {title}",
            text=text,
            body=body,
            severity=1,
            kind=IncidentKind.BLIND,
        )
        for channel in channels
    )


def shadow_rows(notices: Iterable[Notice]) -> tuple[LedgerRow, ...]:
    """The same for a site that pages nobody yet."""
    return tuple(
        LedgerRow(n.due, n.incident, n.key, n.to, "shadow", f"would have paged {n.to} because {n.subject}")
        for n in notices
    )


def _words(why: Why, began: str) -> tuple[str, str]:
    if why is Why.OPENED:
        title = "healthmon's engine keeps crashing"
        return title, f"{title} since {began}. Faults may not be told while it does; look at its log."
    title = "healthmon's engine runs again"
    return title, f"{title}. It kept crashing since {began}; look at the board for what happened meanwhile."
