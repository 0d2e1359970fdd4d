"""Collects what a monthly report is made of: the journal, the store, the calendar of changes, the service desk."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path

from healthmon.alerting.journal import Journal
from healthmon.alerting.mutes.windows import windows_between
from healthmon.app.reportstore import pcs_of, responses_of
from healthmon.app.saidreports import both, told_tickets, ward_reports
from healthmon.config import SiteConfig
from healthmon.impact.graph import NeedGraph
from healthmon.impact.hours import Calendar
from healthmon.model.incident import Incident, LedgerFilter, LedgerRow
from healthmon.model.mute import Change
from healthmon.model.sample import Query, Series
from healthmon.reports.availability import STATES, Count, Line, Shares, Tally
from healthmon.reports.period import Period
from healthmon.reports.record import Planned, Record, Vote
from healthmon.reports.tickets import Ticket

#: One question to a store.
Ask = Callable[[Query], Awaitable[list[Series]]]
#: (how much is done, of how much, what is being done).
Progress = Callable[[int, int, str], None]
#: Points of one answer at most; a store refuses more than twice as many.
_POINTS = 250_000
_DAY_S = 86_400
#: What went is compared with so long before.
HISTORY_S = 200 * 86_400.0
#: The audit kind of the answers to `how was IT this shift`.
VOTE = "shift_vote"
_LEDGER_MOST = 1_000_000
Spans = Sequence[tuple[float, float]]


def silent(done: int, of: int, what: str) -> None:
    """No progress is shown."""


async def record_of(
    site: SiteConfig,
    period: Period,
    *,
    ask: Ask,
    journal: Journal,
    tickets: Iterable[Ticket] = (),
    area: str | None = None,
    progress: Progress = silent,
) -> Record:
    """The raw facts of a month, of the whole organisation or of one area. Raises StoreDown, sqlite3.Error."""
    incidents = [one for one in journal.incidents(period.start, period.until) if area is None or touches(one, area)]
    ids = {one.id for one in incidents}
    notices = {one.id: tuple(journal.notices(one.id)) for one in incidents}
    changes = changes_of(site, journal)
    owned = {one.id: one.acknowledged_at for one in incidents if one.acknowledged_at is not None}
    said = both(tickets, [*told_tickets(journal, period, owned), *ward_reports(incidents)])
    kept = [one for one in said if period.holds(one.opened_at) and (area is None or one.area == area)]
    return Record(
        period=period,
        estate=site.estate,
        incidents=tuple(incidents),
        notices=notices,
        ledger=tuple(row for row in ledger_of(journal, period) if area is None or row.incident in ids),
        tickets=tuple(kept),
        tallies=await tallies(site, period, ask, changes, area=area, progress=progress),
        care=site.care,
        pcs=tuple(await pcs_of(site, period, ask, area=area, progress=progress)),
        responses=await responses_of(site, period, ask, area=area, progress=progress),
        changes=tuple(planned(site, changes, period, area)),
        history=tuple(journal.incidents(period.start - HISTORY_S, period.until)),
        votes=tuple(one for one in votes_of(journal, period) if area in (None, one.area)),
    )


def votes_of(journal: Journal, period: Period) -> list[Vote]:
    """Answers to `how was IT this shift`, by the shift that they are about."""
    events = journal.events(VOTE, period.start, limit=_LEDGER_MOST)
    return [Vote(e.at, e.body["area"], e.body["answer"]) for e in events if e.at < period.until]


def planned(site: SiteConfig, changes: Sequence[Change], period: Period, area: str | None) -> Iterator[Planned]:
    """Changes with a window in the month; of one area, those that touch what it uses."""
    graph = NeedGraph(site.estate)
    lines = [line for line in graph.lines() if line[0] == area]
    mine = {id_ for line in lines for id_ in (*graph.closure(graph.goal(*line)), line[1])}
    for change in changes:
        over = change.ending.at if change.ending is not None else float("inf")
        spans = [span for span in windows_between(change.when, period.start, period.until) if span[0] < over]
        if spans and (area is None or mine.intersection(change.targets)):
            cut = tuple((start, min(end, over)) for start, end in spans)
            yield Planned(change.id, change.title, change.owner, change.targets, cut)


def touches(incident: Incident, area: str) -> bool:
    """Whether the incident took something from the area."""
    return any(line.area == area for line in incident.impact)


def ledger_of(journal: Journal, period: Period) -> list[LedgerRow]:
    """Pages that were not sent in the month, the oldest first."""
    wanted = LedgerFilter(since=period.start, until=period.until)
    return journal.ledger(_LEDGER_MOST, wanted=wanted)[::-1]


def changes_of(site: SiteConfig, journal: Journal) -> list[Change]:
    """Planned changes as they stood last: those of the configuration and those that people made."""
    found = {change.id: change for change in site.changes}
    for event in journal.mute_events():
        if event.change is not None and event.action != "refused":
            found[event.change.id] = event.change
    return list(found.values())


async def tallies(
    site: SiteConfig, period: Period, ask: Ask, changes: Sequence[Change], *, area: str | None, progress: Progress
) -> dict[Line, Tally]:
    """Every minute of every area and service."""
    lines = [line for line in NeedGraph(site.estate).lines() if area is None or line[0] == area]
    counts = minute_counts(site, lines, changes, period)
    found = {line: Tally() for line in lines}
    start, end = int(period.start), int(period.until)
    step = max(3600, min(_DAY_S, _POINTS // max(1, len(lines)) * 60 // 3600 * 3600))
    for at in range(start, end, step):
        until = min(at + step, end)
        seen = await minutes_of(ask, at, until, area=area)
        for line in lines:
            counts[line].add(found[line], seen.get(line, {}), at, until)
        progress(until - start, end - start, "availability")
    return found


def minute_counts(
    site: SiteConfig, lines: Iterable[Line], changes: Sequence[Change], period: Period
) -> dict[Line, Count]:
    """How the minutes of each line are judged in this time."""
    graph, calendar = NeedGraph(site.estate), Calendar(site.estate, site.holidays)
    return {line: _count(line, graph, calendar, changes, period) for line in lines}


async def minutes_of(ask: Ask, start: int, end: int, *, area: str | None = None) -> dict[Line, dict[int, Shares]]:
    """What share of each seen minute each line was in each state."""
    found: dict[Line, dict[int, list[float]]] = {}
    match = {} if area is None else {"area": area}
    for place, state in enumerate(STATES):
        for series in await ask(Query("service", state.value, match, float(start), float(end), 60.0)):
            line = series.tags.get("area", ""), series.tags.get("service", "")
            minutes = found.setdefault(line, {})
            for at, value in series.points:
                minutes.setdefault(int(at), [0.0] * len(STATES))[place] = float(value)
    return {line: {at: tuple(shares) for at, shares in minutes.items()} for line, minutes in found.items()}


def _count(line: Line, graph: NeedGraph, calendar: Calendar, changes: Sequence[Change], period: Period) -> Count:
    area, _ = line
    hours = graph.estate.areas[area].staffed
    carried = {*graph.closure(graph.goal(*line)), line[1]}
    spans = sorted(span for change in changes if carried.intersection(change.targets)
                   for span in planned_spans(change, period))  # fmt: skip
    return Count((lambda at: True) if hours is None else (lambda at: calendar.staffed(area, at)), _within(spans))


def planned_spans(change: Change, period: Period) -> list[tuple[float, float]]:
    """The windows of a change in which what it expects is planned; without expected signals, none are."""
    if not change.expected:
        return []
    over = change.ending.at if change.ending is not None else float("inf")
    spans = windows_between(change.when, period.start, period.until)
    return [(start, min(end, over)) for start, end in spans if start < over]


def _within(spans: Spans) -> Callable[[int], bool]:
    """Whether a minute begins in one of the spans, which are in order."""
    merged: list[tuple[float, float]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    starts = [start for start, _ in merged]

    def within(at: int) -> bool:
        place = bisect_right(starts, at) - 1
        return place >= 0 and at < merged[place][1]

    return within


def journal_of(site: SiteConfig) -> Journal:
    """The journal of this data directory. Raises FileNotFoundError."""
    path = site.data_dir / "journal.sqlite"
    if not path.exists():
        raise FileNotFoundError(2, "no journal is there: has a server run with this configuration?", str(path))
    return Journal(path)


def asking(site: SiteConfig) -> tuple[Ask, Callable[[], Awaitable[None]]]:
    """How to ask the store of this configuration, and how to let go of it; the embedded file is only read."""
    if site.store.kind == "embedded":
        return _asking_file(site.data_dir / "store.sqlite")
    from healthmon.app.stores import open_store

    store = open_store(site.store, site.data_dir)
    return store.query, store.close


def _asking_file(path: Path) -> tuple[Ask, Callable[[], Awaitable[None]]]:
    from healthmon.store.looking import StoreFile

    if not path.exists():
        raise FileNotFoundError(2, "no store is there: has a server run with this configuration?", str(path))
    file = StoreFile(path)

    async def ask(query: Query) -> list[Series]:
        return file.query(query)

    async def close() -> None:
        file.close()

    return ask, close
