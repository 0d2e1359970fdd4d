"""Faults that are heard of when they are over: they go onto the timeline of what was known then and wake nobody.

What an agent saw while it could not be heard comes in newest first and is never judged by rules. When nothing late has
come from it for a while, its failed looks are told as spans of time. Pure; kept in the journal until they are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from healthmon.alerting.incidents.reach import Series, cut_off, reached
from healthmon.alerting.incidents.reconcile import noted
from healthmon.alerting.incidents.text import Texts
from healthmon.model.incident import Entry, Incident, IncidentKind, LedgerRow
from healthmon.model.sample import Outcome, Reading

#: The word of the timeline's entries and of the ledger's rows.
LATE = "late"
#: A spool that catches up has come to its end when nothing late has come for so long.
QUIET_S = 15.0
#: Two looks this much further apart than the check's interval are not one span; nor are two proofs that the looker saw.
SLACK_S = 5.0
_SIGHT_S = 60.0
#: Kept of one vantage point; what is beyond it is only counted. Told on one incident at a time.
_SPANS_MOST = 500
_TOLD_MOST = 20
#: An agent is missed this long after its last word at the earliest: what it saw then belongs to that silence too.
_MISSED_S = 120.0
_PREFIX = "*late\x1f"


@dataclass(frozen=True, slots=True)
class Span:
    """Failed looks of one series, one after the other: the start of the first and of the last, and how many."""

    target: str
    check: str
    vantage: str
    since: float
    until: float
    looks: int
    reason: str
    blindly: bool  # no look of it proves that the looker's own network worked

    @property
    def series(self) -> Series:
        return self.target, self.check, self.vantage


@dataclass(slots=True)
class _Late:
    """One vantage point's: when something late came last, when it reached anything, and what failed."""

    heard: float
    sight: list[tuple[float, float]]
    spans: list[Span]


class LateBook:
    """`note` takes late readings in any order; `settled` gives what they say once no more are coming."""

    def __init__(self) -> None:
        self._late: dict[str, _Late] = {}
        self._changed: set[str] = set()
        self.counters: Counter[str] = Counter()

    def note(self, reading: Reading, now: float, *, every_s: float) -> None:
        """A reading that no rule judges. every_s: how often its check runs."""
        failed, saw = reading.outcome is Outcome.FAILED, reached(reading)
        if not failed and not saw:
            return
        late = self._late.setdefault(reading.vantage, _Late(now, [], []))
        late.heard = now
        self._changed.add(reading.vantage)
        if saw:
            late.sight = _joined([*late.sight, (reading.started, reading.started)])
        if failed:
            self._add(late, reading, every_s + SLACK_S)

    def settled(self, now: float) -> list[Span]:
        """Spans of vantage points that have caught up, oldest first; those that the looker's own cut explains are not
        among them."""
        found: list[Span] = []
        for vantage in sorted(v for v, late in self._late.items() if now >= late.heard + QUIET_S):
            late = self._late.pop(vantage)
            self._changed.add(vantage)
            found += [span for span in late.spans if not span.blindly or _saw(late.sight, span)]
        return sorted(found, key=lambda span: (span.since, span.series))

    def next_due(self) -> float | None:
        """When `settled` will have something."""
        return min((late.heard + QUIET_S for late in self._late.values()), default=None)

    def written(self) -> dict[str, bytes]:
        """Rows for the journal that have changed; an empty one forgets."""
        rows = {}
        for vantage in sorted(self._changed):
            late = self._late.get(vantage)
            rows[_PREFIX + vantage] = msgspec.json.encode([late.heard, late.sight, late.spans]) if late else b""
        self._changed.clear()
        return rows

    def restore(self, memory: Mapping[str, bytes]) -> dict[str, bytes]:
        """Take up what a run before has written; what is not ours is handed back."""
        rest = {}
        for key, body in memory.items():
            if key.startswith(_PREFIX):
                known = msgspec.json.decode(body, type=tuple[float, list[tuple[float, float]], list[Span]])
                self._late[key.removeprefix(_PREFIX)] = _Late(*known)
            else:
                rest[key] = body
        return rest

    def _add(self, late: _Late, reading: Reading, gap_s: float) -> None:
        series = (reading.target, reading.check, reading.vantage)
        at, reason = reading.started, reading.reason.value if reading.reason else ""
        new = Span(*series, at, at, 1, reason, blindly=cut_off(reading))
        near = [s for s in late.spans if s.series == series and s.since - gap_s <= at <= s.until + gap_s]
        if not near and len(late.spans) >= _SPANS_MOST:
            self.counters["late_faults_left_out"] += 1
            return
        late.spans = [span for span in late.spans if span not in near]
        late.spans.append(_one([new, *near]))


def _one(spans: list[Span]) -> Span:
    """Spans that touch, as one."""
    return replace(
        min(spans, key=lambda span: span.since),
        until=max(span.until for span in spans),
        looks=sum(span.looks for span in spans),
        blindly=all(span.blindly for span in spans),
    )


def _joined(times: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Times of sight, near ones made one, the newest few hundred."""
    found: list[tuple[float, float]] = []
    for low, high in sorted(times):
        if found and low <= found[-1][1] + _SIGHT_S:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found[-_SPANS_MOST:]


def _saw(sight: Iterable[tuple[float, float]], span: Span) -> bool:
    return any(low <= span.until and high >= span.since for low, high in sight)


def told(
    spans: Iterable[Span], incidents: Mapping[str, Incident], hosts: Mapping[str, str], now: float, texts: Texts
) -> tuple[list[Incident], list[LedgerRow]]:
    """Incidents whose timeline says it, and rows for what belongs to none. hosts: the target that a vantage runs on."""
    changed: dict[str, Incident] = {}
    counts: dict[str, int] = {}
    rows: list[LedgerRow] = []
    for span in spans:
        every = [changed.get(one.id, one) for one in incidents.values() if one.merged_into is None]
        own = next((one for one in every if _of_target(one, span)), None)
        if own is not None and _known(own, span):
            if span.since >= own.first_evidence_at - SLACK_S or not own.open:
                continue
            text = texts.say("entry_late_before", **_words(span, texts))
        else:
            text = texts.say("entry_late", **_words(span, texts))
        home = own or next((one for one in every if _of_looker(one, span, hosts.get(span.vantage))), None)
        if home is None:
            key = f"{LATE}:{'/'.join(span.series)}:{span.since:.0f}"
            rows.append(LedgerRow(now, "", key, "board", LATE, text, what=text))
            continue
        counts[home.id] = counts.get(home.id, 0) + 1
        if counts[home.id] <= _TOLD_MOST:
            changed[home.id] = noted(home, Entry(now, LATE, text))
        elif counts[home.id] == _TOLD_MOST + 1:
            changed[home.id] = noted(home, Entry(now, LATE, texts.say("entry_late_more")))
    return list(changed.values()), rows


def _of_target(incident: Incident, span: Span) -> bool:
    """It is about this target and was not over before."""
    if incident.kind is IncidentKind.BLIND or not any(m.key.target == span.target for m in incident.members):
        return False
    ended = incident.resolved_at if incident.resolved_at is not None else float("inf")
    return ended >= span.since and incident.first_evidence_at <= span.until + _MISSED_S


def _known(incident: Incident, span: Span) -> bool:
    """What was told of the target covers the end of this span."""
    ends = [m.cleared_at for m in incident.members if m.key.target == span.target]
    end = float("inf") if None in ends else max(one for one in ends if one is not None)
    return end >= span.until


def _of_looker(incident: Incident, span: Span, host: str | None) -> bool:
    """It is about the looker's own silence at that time, or that nobody could see."""
    mine = any(member.key.target in (span.vantage, host) for member in incident.members)
    if not mine and incident.kind is not IncidentKind.BLIND:
        return False
    ended = incident.resolved_at if incident.resolved_at is not None else float("inf")
    return ended >= span.since and incident.first_evidence_at - _MISSED_S <= span.until


def _words(span: Span, texts: Texts) -> dict[str, object]:
    return {
        "target": texts.name(span.target),
        "vantage": texts.name(span.vantage),
        "since": texts.clock(span.since),
        "until": texts.clock(span.until),
        "reason": span.reason,
        "count": span.looks,
    }
