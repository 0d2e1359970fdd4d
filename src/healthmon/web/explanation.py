"""One incident in words: what speaks for and against its cause, who was told, who was not, and what happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from healthmon.impact.grounds import Candidate, evidence_for, fate_proof, fate_text
from healthmon.impact.hours import Calendar
from healthmon.model.incident import Incident, LedgerRow, Notice
from healthmon.model.render import rfc3339
from healthmon.model.view import View
from healthmon.web.words import STATE_WORDS

_WHY = {
    "opened": "it was opened",
    "worse": "it got worse",
    "new_area": "it reached another area",
    "escalated": "nobody had taken it",
    "mitigated": "it is reachable again",
    "resolved": "it was closed",
}
_LINES_MOST = 20
_FATES_MOST = 3


def explanation(
    incident: Incident, view: View, notices: Sequence[Notice], ledger: Sequence[LedgerRow], *, shown: bool = True
) -> dict[str, Any]:
    """Sections of plain lines, in the order in which somebody new to it would ask.

    shown: the picture still has it; of an older one nobody says today what speaks for its cause.
    """
    clock = _Clock(incident, view)
    sections = {
        "what": list(_what(incident, clock)),
        "cause": list(_cause(incident, view) if shown else _old_cause(incident)),
        "whom it hurts": list(_harm(incident, view)),
        "who was told": [_told(notice, clock) for notice in notices] or ["nobody"],
        "who was not, and why": [_not_told(row, clock) for row in ledger] or ["nothing was held back"],
        "what happened": [f"{clock(entry.at)} {entry.text} ({entry.by})" for entry in incident.timeline],
    }
    kept = [{"title": title, "lines": lines} for title, lines in sections.items() if lines]
    return {"incident": incident.id, "as_at": rfc3339(view.at), "sections": kept}


def words(explained: Mapping[str, Any]) -> str:
    """The same as text."""
    parts = [
        "\n".join([f"{section['title']}:", *(f"  {line}" for line in section["lines"])])
        for section in explained["sections"]
    ]
    return "\n\n".join(parts)


class _Clock:
    """HH:MM at the site of the incident."""

    def __init__(self, incident: Incident, view: View) -> None:
        estate = view.estate
        target = estate.targets.get(incident.root.target) if incident.root else None
        self._site = target.site if target else next(iter(estate.sites), "")
        self._calendar = Calendar(estate)

    def __call__(self, at: float) -> str:
        return self._calendar.local(self._site, at).strftime("%H:%M:%S")


def _what(incident: Incident, clock: _Clock) -> Iterator[str]:
    yield f"{incident.title}"
    yield (
        f"severity {incident.severity} (impact {incident.impact_level}, urgency {incident.urgency}), "
        f"{incident.state.value}, owner {incident.owner or 'nobody yet'}, team {incident.team or 'none'}"
    )
    yield f"first sign {clock(incident.first_evidence_at)}, opened {clock(incident.opened_at)}"


def _cause(incident: Incident, view: View) -> Iterator[str]:
    grounds = evidence_for(incident, view)
    root = incident.root
    shared = root.in_common if root is not None and root.check else ()
    for number, candidate in enumerate(grounds.candidates):
        yield from _candidate(candidate, shared if number == 0 else (), first=number == 0)
    for fate in grounds.in_common[:_FATES_MOST]:
        yield f"in common: {fate_text(fate)}"
        yield f"  {fate_proof(fate)}"
    for sight in grounds.sights:
        yield f"contradiction: {sight.text}"
    yield from _behind(incident)


def _old_cause(incident: Incident) -> Iterator[str]:
    """As it was written down."""
    if incident.root is not None:
        yield f"{incident.root.certainty}: {incident.root.target}"
        yield from (f"or: {id_}" for id_ in incident.root.alternatives)
    yield from _behind(incident)


def _behind(incident: Incident) -> Iterator[str]:
    behind = sorted({member.key.target for member in incident.members if member.behind})
    if behind:
        yield f"explained by it, no extra page: {_few(behind)}"


def _candidate(candidate: Candidate, shared: Sequence[str], *, first: bool) -> Iterator[str]:
    """The cause, or what things that went at once share; the target is then the first of them."""
    named = f"what they share, {' or '.join(shared)}; the first was {candidate.target}" if shared else candidate.target
    yield f"{candidate.certainty}: {named}" if first else f"or: {named}"
    yield from (f"  for: {ground.text}" for ground in candidate.speaks_for)
    yield from (f"  against: {ground.text}" for ground in candidate.speaks_against)


def _harm(incident: Incident, view: View) -> Iterator[str]:
    if not incident.impact:
        known = incident.impact_known != "none"
        yield (
            "no service is known to be affected" if known else "clinical impact not known: nothing is mapped behind it"
        )
    for line in incident.impact[:_LINES_MOST]:
        area, service = view.estate.areas.get(line.area), view.estate.services.get(line.service)
        names = f"{area.name if area else line.area}: {service.name if service else line.service}"
        least = "" if line.paths.exact else "at least "
        instead = f"; instead: {line.fallback_text}" if line.fallback_text and line.fallback_proven_at else ""
        state, _ = STATE_WORDS[line.state]
        yield f"{names}: {state} ({least}{line.paths.left} of {line.paths.of} routes left){instead}"
    if len(incident.impact) > _LINES_MOST:
        yield f"and {len(incident.impact) - _LINES_MOST} more"


def _told(notice: Notice, clock: _Clock) -> str:
    who = notice.to if notice.to == notice.channel else f"{notice.to} ({notice.channel})"
    detail = f", {notice.detail}" if notice.detail and notice.result.value in ("dead", "retrying") else ""
    repeat = ", a repeat" if notice.repeat else ""
    why = _WHY.get(notice.why.value, notice.why.value)
    return f"{clock(notice.at or notice.due)} {who}, because {why}: {notice.result.value}{detail}{repeat}"


def _not_told(row: LedgerRow, clock: _Clock) -> str:
    return f"{clock(row.at)} {row.who} ({row.cause}): {row.because}"


def _few(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
