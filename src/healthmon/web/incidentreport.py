"""The report after an incident, as Markdown or HTML: what happened, whom it hurt, who was told, what was held back.

Pure; every line is something that was recorded. What nobody wrote down is a question, not a guess.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from healthmon.impact.grounds import Grounds
from healthmon.model.incident import Entry, Incident, LedgerRow, Member, Notice, NoticeResult
from healthmon.model.topology import Estate
from healthmon.web.words import STATE_WORDS, area_words

_MOST = 500


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that is known of one incident; `evidence` is None once the snapshot does not hold it any more."""

    incident: Incident
    notices: Sequence[Notice]
    ledger: Sequence[LedgerRow]
    estate: Estate
    evidence: Grounds | None = None


def markdown(record: Record) -> str:
    """The whole report."""
    incident = record.incident
    clock = _Clock(_zone(record))
    parts = [
        f"# {_plain(incident.title)}",
        f"Incident {incident.id}, severity {incident.worst_severity} at its worst, {incident.state.value}. "
        f"Times are local ({clock.zone.key}).",
        *_section("When", _when(incident, record.notices, clock)),
        *_section("What it meant for care", _impact(record, clock)),
        *_section("Cause", _cause(record)),
        *_section("Timeline", (_entry(entry, clock) for entry in incident.timeline)),
        *_section("Who was told", (_told(notice, clock) for notice in record.notices)),
        *_section("Pages that were not sent", (_held(row, clock) for row in record.ledger)),
        *_section("Explained by it, no extra page", sorted({_behind(m) for m in incident.members if m.behind})),
        *_section("To answer together", _questions(record)),
    ]
    return "\n\n".join(parts) + "\n"


def page(record: Record) -> str:
    """The same as one HTML page without scripts."""
    lines = []
    for block in markdown(record).strip().split("\n\n"):
        text = html.escape(block.replace("\\", ""))
        if block.startswith("#"):
            level = len(block) - len(block.lstrip("#"))
            lines.append(f"<h{level}>{text.lstrip('# ')}</h{level}>")
        elif block.startswith("- "):
            items = "".join(f"<li>{item.removeprefix('- ')}</li>" for item in text.split("\n"))
            lines.append(f"<ul>{items}</ul>")
        else:
            lines.append(f"<p>{text}</p>")
    title = html.escape(record.incident.title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/static/board.css"><link rel="stylesheet" href="/static/print.css"></head>\n'
        '<body><main class="report">\n' + "\n".join(lines) + "\n</main></body></html>\n"
    )


class _Clock:
    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def __call__(self, at: float) -> str:
        return f"{datetime.fromtimestamp(at, UTC).astimezone(self.zone):%Y-%m-%d %H:%M:%S}"


def _when(incident: Incident, notices: Sequence[Notice], clock: _Clock) -> Iterator[str]:
    yield f"First sign: {clock(incident.first_evidence_at)}"
    yield f"Opened: {clock(incident.opened_at)}"
    first = min((n.at or n.due for n in notices if n.result is not NoticeResult.DEAD), default=None)
    steps = (
        ("First person told", first),
        ("Accepted", incident.acknowledged_at),
        ("First report from a ward", incident.first_human_report_at),
        ("Reachable again", incident.mitigated_at),
        ("Closed", incident.resolved_at),
    )
    for name, at in steps:
        after = f" ({_length(at - incident.opened_at)} after it opened)" if at is not None else ""
        yield f"{name}: {clock(at)}{after}" if at is not None else f"{name}: not recorded"
    if incident.episode > 1:
        yield f"It came back: {incident.episode - 1} time{'s' * (incident.episode > 2)} after it seemed over"


def _impact(record: Record, clock: _Clock) -> Iterator[str]:
    incident = record.incident
    if incident.impact_note:
        yield f"In the words of who closed it: {_plain(incident.impact_note)}"
    for line in incident.impact[:_MOST]:
        area, service = record.estate.areas.get(line.area), record.estate.services.get(line.service)
        beds = f" ({area_words(area)})" if area and area.beds else ""
        names = f"{area.name if area else line.area}{beds}: {service.name if service else line.service}"
        yield f"{names}: {STATE_WORDS[line.state][0]} since {clock(line.since)}"
    if not incident.impact:
        mapped = "nothing was mapped behind it, so this is not known" if incident.impact_known == "none" else "none now"
        yield f"Areas and services: {mapped}"


def _cause(record: Record) -> Iterator[str]:
    root = record.incident.root
    if root is None:
        yield "Not found"
        return
    yield f"{root.certainty.capitalize()}: {', '.join((root.target, *root.alternatives))} ({root.check}: {root.reason})"
    for one in record.evidence.candidates[:3] if record.evidence else ():
        yield from (f"For {one.target}: {_plain(ground.text)}" for ground in one.speaks_for)
        yield from (f"Against {one.target}: {_plain(ground.text)}" for ground in one.speaks_against)


def _entry(entry: Entry, clock: _Clock) -> str:
    return f"{clock(entry.at)} {_plain(entry.text or entry.what)} ({_plain(entry.by)})"


def _told(notice: Notice, clock: _Clock) -> str:
    who = notice.person or notice.to
    sure = f"delivered {clock(notice.delivered_at)}" if notice.delivered_at else notice.result.value
    detail = f" ({_plain(notice.detail)})" if notice.result is NoticeResult.DEAD and notice.detail else ""
    return f"{clock(notice.at or notice.due)} {_plain(who)} by {notice.channel}: {notice.why.value}, {sure}{detail}"


def _held(row: LedgerRow, clock: _Clock) -> str:
    return f"{clock(row.at)} {_plain(row.who)} ({row.cause}): {_plain(row.because)}"


def _behind(member: Member) -> str:
    return f"{member.key.target} {member.key.check}, behind {member.behind}"


def _questions(record: Record) -> Iterator[str]:
    """What the record leaves open."""
    incident = record.incident
    if incident.acknowledged_at is None:
        yield "Nobody accepted it. Why?"
    elif incident.worst_severity <= 2 and incident.acknowledged_at - incident.opened_at > 300.0:
        yield "It had no owner for more than five minutes. What stood in the way?"
    if incident.first_human_report_at is not None and incident.first_human_report_at < incident.opened_at:
        yield "A ward noticed before monitoring did. Which check was missing?"
    if any(notice.result is NoticeResult.DEAD for notice in record.notices):
        yield "Some messages did not arrive. Does that way still work?"
    if incident.worst_severity <= 2 and not incident.impact_note:
        yield "What did it mean for patients' care? Who says so, by when?"
    yield "What would have shown it earlier, and what keeps it from coming again?"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    yield f"## {title}"
    yield "\n".join(f"- {line}" for line in found[:_MOST]) if found else "Nothing."
    if len(found) > _MOST:
        yield f"And {len(found) - _MOST} more."


def _zone(record: Record) -> ZoneInfo:
    areas = record.estate.areas
    area = next((areas[line.area] for line in record.incident.impact if line.area in areas), None)
    site = record.estate.sites.get(area.site) if area else None
    return ZoneInfo(site.timezone if site else record.estate.organisation.timezone)


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(abs(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _plain(text: str) -> str:
    """One line, and nothing that Markdown or a browser would read as more than text."""
    line = " ".join(text.split())
    return "".join("\\" + char if char in "\\`*_[]<>#|" else char for char in line)
