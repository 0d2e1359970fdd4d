"""What on-call work costs people, and what waited for the morning: messages about duty itself. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from healthmon.alerting.oncall.case import BAD_NEWS, notice_key
from healthmon.alerting.oncall.localtime import moment
from healthmon.alerting.oncall.roster import Roster
from healthmon.model.incident import Incident, LedgerRow, Notice, NoticeResult, Why
from healthmon.model.oncall import Reader

#: Why a page was not sent at night and is on the morning list instead.
HELD = frozenset({"not_woken", "brief_loss"})
MORNING_LIST = "morning list"
#: What the told-log calls its messages.
MORNING_ABOUT = "duty-morning"
_MOST_LINES = 40


@dataclass(frozen=True, slots=True)
class Load:
    """How often one person was paged in one shift: [start, end) in Unix s; two media of one page count once."""

    user: str
    rota: str
    start: float
    end: float
    pages: int


def loads(notices: Iterable[Notice], roster: Roster, now: float) -> list[Load]:
    """The load of everybody who is on call now, in the shift that they are in."""
    paged: dict[str, set[tuple[str, float, str]]] = defaultdict(set)
    for notice in notices:
        if notice.person and notice.why in BAD_NEWS and notice.result is not NoticeResult.DEAD:
            paged[notice.person].add((notice.incident, notice.due, notice.why.value))
    found = []
    for rota in roster.plan.rotas:
        shift = roster.shift(rota, now)
        if shift.user is not None:
            count = sum(1 for _, due, _ in paged[shift.user] if shift.start <= due <= now)
            found.append(Load(shift.user, rota, shift.start, shift.end, count))
    return found


def too_much(load: Load, roster: Roster, now: float) -> Iterator[Notice]:
    """Somebody was paged more often in a shift than the hospital wants: told once a shift and person."""
    most = roster.plan.pages_per_shift
    if load.pages <= most:
        return
    user, rota = roster.plan.users[load.user], roster.plan.rotas[load.rota]
    since = datetime.fromtimestamp(load.start, UTC).astimezone(ZoneInfo(rota.timezone))
    subject = f"{user.name}: {load.pages} pages in one shift"
    text = f"{subject}\n{rota.name}, since {since:%a %H:%M}. More than {most} is too many: who relieves them?"
    for reader in map(reader_of, roster.plan.reports):
        key = notice_key("too_many_pages", load.rota, load.user, f"{load.start:.0f}", *reader)
        yield about_duty(key, f"duty-{load.rota}", reader, subject, text, now)


def morning_at(roster: Roster, timezone: str, now: float) -> float:
    """The last moment before now at which the morning list was due (Unix s)."""
    zone = ZoneInfo(timezone)
    today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    due = moment(zone, today, roster.plan.morning_minute)
    return due if due <= now else moment(zone, today - timedelta(days=1), roster.plan.morning_minute)


def morning_lists(
    rows: Iterable[LedgerRow],
    incidents: Mapping[str, Incident],
    channels: Mapping[str | None, tuple[str, ...]],
    *,
    due: float,
    timezone: str,
) -> Iterator[Notice]:
    """What was held for the morning, one message to each channel of each team.

    channels: by team; None is who gets what belongs to no team with channels of its own.
    """
    zone = ZoneInfo(timezone)
    by_team: dict[str | None, dict[str, LedgerRow]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: row.at):
        if row.cause in HELD and row.who == MORNING_LIST:
            incident = incidents.get(row.incident)
            team = incident.team if incident and channels.get(incident.team) else None
            by_team[team][row.incident] = row
    day = f"{datetime.fromtimestamp(due, UTC).astimezone(zone):%Y-%m-%d}"
    for team, held in sorted(by_team.items(), key=lambda item: item[0] or ""):
        lines = [_line(row, incidents.get(row.incident), zone) for row in held.values()]
        subject = f"Held back over night: {len(lines)} for {team or 'everybody'}"
        more = [f"and {len(lines) - _MOST_LINES} more, see the ledger"] if len(lines) > _MOST_LINES else []
        text = "\n".join([subject, *lines[:_MOST_LINES], *more])
        for reader in map(reader_of, channels.get(team, ())):
            key = notice_key(MORNING_LIST, day, team, *reader)
            yield about_duty(key, MORNING_ABOUT, reader, subject, text, due)


def reader_of(name: str) -> Reader:
    """`mail` or `mail:ops@hospital.example`."""
    channel, _, to = name.partition(":")
    return channel, to or channel


def about_duty(key: str, about: str, reader: Reader, subject: str, text: str, due: float) -> Notice:
    """A message to on-call staff that is about no incident."""
    body = {"id": about, "kind": "duty", "title": subject, "plain_text": text, "severity": 4}
    return Notice(
        key=key, incident=about, step=0, channel=reader[0], to=reader[1], why=Why.DUTY, due=due, subject=subject,
        text=text, body=body, severity=4,
    )  # fmt: skip


def _line(row: LedgerRow, incident: Incident | None, zone: ZoneInfo) -> str:
    at = datetime.fromtimestamp(row.at, UTC).astimezone(zone)
    state = f", {incident.state.value} now" if incident else ""
    return f"- {at:%H:%M} {row.what} ({row.incident}{state}): {row.because}"
