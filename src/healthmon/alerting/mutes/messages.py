"""What is sent about mutes themselves: an end that comes near, something covered, broken glass and its review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from healthmon.alerting.oncall.case import notice_key
from healthmon.model.incident import Incident, LedgerRow, Notice, Why
from healthmon.model.mute import Change, Mute, Silence
from healthmon.model.oncall import Reader
from healthmon.model.render import rfc3339


def local(at: float, timezone: str) -> str:
    """HH:MM at the site."""
    return datetime.fromtimestamp(at, ZoneInfo(timezone)).strftime("%H:%M")


def ends_soon(mute: Mute, now: float, readers: Iterable[Reader]) -> Iterator[Notice]:
    until = local(mute.when.ends_at, mute.when.timezone)
    if isinstance(mute, Silence):
        subject = f"Silence ends at {until}: {mute.match.words()}"
    else:
        subject = f"Change ends at {until}: {mute.title} ({mute.id})"
    said = f"Owner: {mute.owner or 'none'}. Reason: {mute.reason or 'none given'}."
    text = f"{subject}\n{said}\nWhat still fails then will page."
    yield from _notices(mute, now, readers, "ends_soon", subject, text, more=(mute.when.ends_at,))


def covers(silence: Silence, incident: Incident, now: float, readers: Iterable[Reader]) -> Iterator[Notice]:
    subject = f"A silence holds back pages: {incident.title}"
    until = local(silence.when.ends_at, silence.when.timezone)
    text = f"{subject}\n{silence.match.words()} is silenced by {silence.owner} until {until}: {silence.reason}."
    text += f"\nIncident {incident.id}, severity {incident.severity}, is on the board."
    yield from _notices(silence, now, readers, "covers", subject, text, more=(incident.id,))


def glass_broken(silence: Silence, now: float, readers: Iterable[Reader]) -> Iterator[Notice]:
    until = local(silence.when.ends_at, silence.when.timezone)
    subject = f"BREAK-GLASS: {silence.created_by} has silenced {silence.match.words()} until {until}"
    text = f"{subject}\nThis may hide the loss of the last way to the record for an ED, ICU or theatre."
    text += f"\nReason: {silence.reason}. It is listed for review tomorrow."
    yield from _notices(silence, now, readers, "glass", subject, text, severity=1)


def review_due(silence: Silence, now: float, readers: Iterable[Reader]) -> Iterator[Notice]:
    subject = f"To review: {silence.created_by} broke the glass for {silence.match.words()}"
    text = f"{subject}\nReason given: {silence.reason}."
    text += f"\nSay that it was looked at: healthmon silences review {silence.id}"
    yield from _notices(silence, now, readers, "review", subject, text)


def unsent(notices: Iterable[Notice]) -> Iterator[LedgerRow]:
    """The same where nobody is paged at all."""
    for notice in notices:
        because = f"would have told {notice.to}: {notice.subject}"
        yield LedgerRow(notice.due, notice.incident, notice.key, notice.to, "shadow", because, what=notice.subject)


def of_change(change: Change, now: float) -> str:
    """`before`, `during` or `after` it, with its name."""
    if change.ending is not None or (change.when.repeat is None and now >= change.when.ends_at):
        return f"after change {change.id} ({change.title})"
    return f"during change {change.id} ({change.title})"


def _notices(
    mute: Mute,
    now: float,
    readers: Iterable[Reader],
    what: str,
    subject: str,
    text: str,
    *,
    severity: int = 4,
    more: tuple[object, ...] = (),
) -> Iterator[Notice]:
    body: dict[str, Any] = {
        "id": mute.id,
        "kind": "mute",
        "what": what,
        "title": subject,
        "plain_text": text,
        "severity": severity,
        "ends_at": rfc3339(mute.when.ends_at),
    }
    for channel, to in readers:
        yield Notice(
            key=notice_key(mute.id, what, channel, to, *more),
            incident=mute.id,
            step=0,
            channel=channel,
            to=to,
            why=Why.MUTE,
            due=now,
            subject=subject,
            text=text,
            body=body,
            severity=severity,
        )
