"""Fire drills, the pure part: what has come in, who is paged, which hop is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from healthmon.alerting.incidents.text import DEFAULT_TEXT
from healthmon.alerting.oncall.case import notice_key
from healthmon.model.drill import CHECK, Drill, DrillPlan, DrillState, Hop
from healthmon.model.incident import Incident, IncidentKind, IncidentState, Notice, NoticeResult, Why
from healthmon.model.oncall import Reader
from healthmon.model.sample import Reading

#: The broker takes a question at once or not at all.
ASK_WITHIN_S = 10.0
#: A drill waits behind real pages: the mildest severity that is paged at all.
SEVERITY = 4
_ORDER = (*(hop for hop in Hop if hop is not Hop.STORED), Hop.STORED)


@dataclass(frozen=True, slots=True)
class Called:
    """One way of one person (or a channel as a whole) that a drill pages."""

    reader: Reader
    person: str | None = None
    name: str = ""


@dataclass(slots=True)
class DrillDesk:
    """Inside the engine: takes a drill's reading out of the stream, before anything else sees it, and pages for it."""

    texts: Mapping[str, str] = field(default_factory=lambda: DEFAULT_TEXT)
    _open: dict[str, tuple[Drill, tuple[Called, ...]]] = field(default_factory=dict)
    _due: list[str] = field(default_factory=list)

    def begin(self, drill: Drill, called: Iterable[Called]) -> None:
        self._open[drill.id] = (drill, tuple(called))

    def end(self, drill: str) -> None:
        self._open.pop(drill, None)

    def take(self, readings: Sequence[Reading]) -> Sequence[Reading]:
        """Everything but answers to drills; those that somebody waits for are paged at the next tick."""
        if not any(reading.check == CHECK for reading in readings):
            return readings
        for reading in readings:
            known = self._open.get(reading.detail) if reading.check == CHECK else None
            if known is not None and known[0].agent == reading.vantage and known[0].id not in self._due:
                self._due.append(known[0].id)
        return [reading for reading in readings if reading.check != CHECK]

    def due(self, now: float) -> tuple[Notice, ...]:
        """Pages of drills whose answer has come, once each."""
        ids, self._due = self._due, []
        found = [self._open[id_] for id_ in ids if id_ in self._open]
        return tuple(page(drill, one, now, self.texts) for drill, called in found for one in called)


def page(drill: Drill, called: Called, now: float, texts: Mapping[str, str]) -> Notice:
    """One page. Its subject, its text and its body say that it is a drill."""
    words = {**DEFAULT_TEXT, **texts}
    channel, to = called.reader
    title = words["drill_title"].format(agent=drill.agent)
    text = "\n".join([title, words["drill_text"].format(agent=drill.agent, by=drill.by), f"({drill.id})"])
    body = {"id": drill.id, "kind": "drill", "drill": True, "title": title, "severity": SEVERITY, "state": "open"}
    return Notice(
        key=notice_key(drill.id, channel, to), incident=drill.id, step=0, channel=channel, to=to, why=Why.DRILL,
        due=now, subject=words["drill_subject"].format(agent=drill.agent), text=text, body=body, severity=SEVERITY,
        person=called.person,
    )  # fmt: skip


def reached(drill: Drill, hop: Hop, at: float) -> Drill:
    """The same with a hop, the first time that it is reached; after the end it is late."""
    if hop in drill.hops or hop in drill.late:
        return drill
    if drill.running:
        return replace(drill, hops={**drill.hops, hop: at})
    return replace(drill, late={**drill.late, hop: at})


def acknowledged(drill: Drill, by: str, at: float) -> Drill:
    """A person answered the page."""
    return replace(reached(drill, Hop.ACKNOWLEDGED, at), answered_by=drill.answered_by or by)


def first_missing(drill: Drill) -> Hop | None:
    """The store is looked at last: without it the page goes out all the same."""
    return next((hop for hop in _ORDER if hop not in drill.hops), None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What else is known when a hop is missing."""

    broker_ok: bool = True
    last_heard: str = "never"  # of the agent, local time
    refused: str = ""  # why ingest refused what this agent sent since the drill began
    pages: tuple[Notice, ...] = ()


def judged(drill: Drill, plan: DrillPlan, seen: Seen, now: float, texts: Mapping[str, str]) -> Drill:
    """Passed when every hop was reached; failed when the next one has had its time, and which one that is."""
    if not drill.running:
        return drill
    missing = first_missing(drill)
    if missing is None:
        return replace(drill, state=DrillState.PASSED, ended=now)
    if now < _deadline(drill, plan, missing) and not _hopeless(missing, seen):
        return drill
    because = _because(drill, plan, missing, seen, {**DEFAULT_TEXT, **texts})
    return replace(drill, state=DrillState.FAILED, ended=now, missing=missing, because=because)


def late_words(drill: Drill, texts: Mapping[str, str]) -> str:
    """What an answer that came after the end proves: the agent heard and spoke, the server heard it late."""
    words, times = {**DEFAULT_TEXT, **texts}, {**drill.hops, **drill.late}
    if Hop.SERVER_HEARD not in drill.late or Hop.AGENT_SPOKE not in times:
        return drill.because
    heard_s = times[Hop.AGENT_HEARD] - drill.started
    gone_s = times[Hop.SERVER_HEARD] - times[Hop.AGENT_HEARD]
    return words["drill_late"].format(agent=drill.agent, heard=f"{max(0.0, heard_s):.1f}", gone=f"{gone_s:.0f}")


def shown(drill: Drill, texts: Mapping[str, str]) -> Incident:
    """A drill as the page behind an acknowledgement link shows it; never stored, never among incidents."""
    words = {**DEFAULT_TEXT, **texts}
    state = IncidentState.OPEN if drill.running and not drill.answered_by else IncidentState.ACKNOWLEDGED
    return Incident(
        id=drill.id, kind=IncidentKind.INCIDENT, state=state, severity=SEVERITY, impact_level=SEVERITY,
        urgency=SEVERITY, title=words["drill_title"].format(agent=drill.agent),
        plain_text=words["drill_text"].format(agent=drill.agent, by=drill.by), root=None, members=(), impact=(),
        impact_known="none", opened_at=drill.started, first_evidence_at=drill.started, owner=drill.answered_by or None,
    )  # fmt: skip


def _deadline(drill: Drill, plan: DrillPlan, missing: Hop) -> float:
    if missing is Hop.ASKED:
        return drill.started + ASK_WITHIN_S
    if missing is Hop.ACKNOWLEDGED:
        return drill.hops[Hop.PAGE_SENT] + plan.answer_within_s
    # an agent's clock may be wrong: waiting is counted from what the server itself saw
    ours = [drill.hops[hop] for hop in (Hop.ASKED, Hop.SERVER_HEARD, Hop.ENGINE_DECIDED) if hop in drill.hops]
    return max([drill.started, *ours]) + plan.hop_within_s


def _hopeless(missing: Hop, seen: Seen) -> bool:
    dead = [one for one in seen.pages if one.result is NoticeResult.DEAD]
    return missing is Hop.PAGE_SENT and bool(seen.pages) and len(dead) == len(seen.pages)


def _because(drill: Drill, plan: DrillPlan, missing: Hop, seen: Seen, words: Mapping[str, str]) -> str:
    facts = {"agent": drill.agent, "seconds": f"{plan.hop_within_s:.0f}", "last": seen.last_heard,
             "minutes": f"{plan.answer_within_s / 60.0:.0f}", "why": seen.refused}  # fmt: skip
    if missing is Hop.ASKED:
        return words["drill_no_ask"].format(**facts)
    if missing in (Hop.AGENT_HEARD, Hop.AGENT_SPOKE, Hop.SERVER_HEARD):
        if not seen.broker_ok:
            return words["drill_no_broker"].format(**facts)
        return words["drill_refused" if seen.refused else "drill_no_answer"].format(**facts)
    if missing is Hop.PAGE_SENT:
        said = "; ".join(sorted({f"{one.channel}: {one.detail or one.result.value}" for one in seen.pages}))
        return words["drill_no_page"].format(pages=said or "-")
    name = {Hop.STORED: "drill_no_store", Hop.ENGINE_DECIDED: "drill_no_engine"}.get(missing, "drill_no_person")
    return words[name].format(**facts)
