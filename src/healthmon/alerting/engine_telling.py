"""The engine's side of telling people: which incident is looked at when, in which mode, and what was told."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from healthmon.alerting.engine_settings import EngineSettings
from healthmon.alerting.incidents.actions import lapsed
from healthmon.alerting.incidents.reconcile import noted
from healthmon.alerting.mutes import holding
from healthmon.alerting.mutes.desk import MuteDesk
from healthmon.alerting.mutes.floor import Line, by_themselves
from healthmon.alerting.oncall.case import Gone, gone_since
from healthmon.alerting.oncall.ladder import lapses_at
from healthmon.model.alert import Rule
from healthmon.model.incident import (
    Entry,
    Incident,
    IncidentState,
    LedgerRow,
    Member,
    Notice,
    NoticeResult,
    Policy,
)
from healthmon.model.journal import Restored
from healthmon.model.topology import Estate

#: (notices, ledger rows); the signature of alerting.oncall.escalation.due.
Escalate = Callable[..., tuple[tuple[Notice, ...], tuple[LedgerRow, ...]]]
#: An open incident is looked at again so often, for holds and steps that fall due by the time of day.
_POLL_S = 5.0
_RECENT_ROWS = 200
#: Lines of the timeline from which a page waits for what fails with it.
_MOVED = ("opened", "reopened", "reopen", "severity", "kind")
_FINAL = (NoticeResult.SENT, NoticeResult.DEAD)


class Telling:
    """Calls the escalation for incidents that changed or whose time has come; keeps the told-log."""

    def __init__(
        self,
        estate: Estate,
        policies: tuple[Policy, ...],
        settings: EngineSettings,
        staffed: Callable[[str, float], bool],
        rules: Mapping[str, Rule],
        escalate: Escalate | None,
        mutes: MuteDesk,
        at_stake: Callable[[Incident], tuple[Line, ...]],
    ) -> None:
        self._estate = estate
        self._policies = policies
        self._settings = settings
        self._staffed = staffed
        self._rules = rules
        self._escalate = escalate or _stock_escalation()
        self._mutes = mutes
        self._at_stake = at_stake
        self._decisions: dict[str, holding.Decision | None] = {}
        self._gone: Gone = dict
        self.held: Counter[str] = Counter()  # pages not sent, by cause
        self._told: dict[str, dict[str, Notice]] = {}
        self._ledgered: set[str] = set()
        self._absorbed: dict[str, set[str]] = {}
        self._look: dict[str, float] = {}
        self._results: dict[str, Notice] = {}
        self._recent: deque[LedgerRow] = deque(maxlen=_RECENT_ROWS)

    @property
    def recent(self) -> tuple[LedgerRow, ...]:
        """The newest rows of the ledger, newest first."""
        return tuple(reversed(self._recent))

    def restore(self, restored: Restored, incidents: Mapping[str, Incident]) -> None:
        for notice in restored.notices.values():
            self._told.setdefault(notice.incident, {})[notice.key] = notice
        self._ledgered |= restored.ledgered
        for incident in incidents.values():
            self._absorb(incident)
            if not _over(incident):
                self.look_at(incident.id, self._next_look(incident, restored.at))

    def look_at(self, incident: str, at: float = float("-inf")) -> None:
        """Ask the escalation about this incident at the next due, or at a time."""
        self._look[incident] = min(at, self._look.get(incident, float("inf")))

    def next_due(self) -> float | None:
        return min(self._look.values(), default=None)

    def told(self, notice: Notice, incident: Incident | None, now: float) -> Incident | None:
        """Keep the result; the incident with a line about it, if there is something to say."""
        before = self._told.get(notice.incident, {}).get(notice.key)
        if before is not None and before.delivered_at is not None:  # the reader answered before the sender did
            notice = replace(notice, delivered_at=before.delivered_at)
            notice = replace(notice, result=before.result) if before.result is NoticeResult.ACKNOWLEDGED else notice
        self._told.setdefault(notice.incident, {})[notice.key] = notice
        self._results[notice.key] = notice
        self.look_at(notice.incident)
        if incident is None or notice.result not in _FINAL:
            return None
        what = "told" if notice.result is NoticeResult.SENT else "not_told"
        who = notice.to if notice.to == notice.channel else f"{notice.to} ({notice.channel})"
        text = f"{who}: {notice.why.value}, {notice.result.value}"
        return noted(incident, Entry(now, what, text))

    def lapse(self, incidents: Mapping[str, Incident], now: float) -> list[Incident]:
        """Accepted incidents of which nobody has said a word for too long: nobody has them any more."""
        found = []
        for incident in incidents.values():
            at = lapses_at(incident, self._policies)
            if at is not None and at <= now:
                found.append(lapsed(incident, now))
        return found

    def answered(self, incident: str, readers: Container[tuple[str, str]], now: float) -> None:
        """Somebody answered a page: what was sent to them has been delivered, which sending alone never proves."""
        for notice in self._told.get(incident, {}).values():
            known = notice.result in (NoticeResult.SENT, NoticeResult.RETRYING)
            if known and (notice.channel, notice.to) in readers:
                self._note(replace(notice, result=NoticeResult.ACKNOWLEDGED, delivered_at=notice.delivered_at or now))

    def received(self, key: str, now: float) -> bool:
        """A gateway's receipt for one message; False when no such message is known."""
        for told in self._told.values():
            notice = told.get(key)
            if notice is not None:
                if notice.result is NoticeResult.SENT and notice.delivered_at is None:
                    self._note(replace(notice, delivered_at=now))
                return True
        return False

    def _note(self, notice: Notice) -> None:
        self._told[notice.incident][notice.key] = self._results[notice.key] = notice

    def drain_decisions(self) -> dict[str, holding.Decision | None]:
        """What was decided about mutes since the last time, by incident."""
        decisions, self._decisions = self._decisions, {}
        return decisions

    def drain_told(self) -> tuple[Notice, ...]:
        results = tuple(self._results.values())
        self._results.clear()
        return results

    def due(self, incidents: Mapping[str, Incident], now: float) -> tuple[tuple[Notice, ...], list[LedgerRow]]:
        """Notices and rows of every incident whose time has come."""
        notices: list[Notice] = []
        rows: list[LedgerRow] = []
        self._gone = cache(lambda: gone_since(incidents.values()))
        for id_ in sorted(id_ for id_, at in self._look.items() if at <= now):
            del self._look[id_]
            incident = incidents.get(id_)
            if incident is None:
                continue
            self._absorb(incident)
            new, listed = self._ask(incident, now)
            if self._settings.phrase is not None:
                new = [self._settings.phrase(notice, incident) for notice in new]
            for notice in new:
                self._told.setdefault(notice.incident, {})[notice.key] = notice
            notices += new
            rows += listed
            if not _over(incident):
                self.look_at(id_, self._next_look(incident, now))
        return tuple(notices), rows

    def unwritten(self, rows: Iterable[LedgerRow]) -> tuple[LedgerRow, ...]:
        """Rows that the ledger does not have yet."""
        fresh = {row.key: row for row in rows if row.key not in self._ledgered}
        self._ledgered.update(fresh)
        self.held.update(row.cause for row in fresh.values())
        self._recent.extend(fresh.values())
        return tuple(fresh.values())

    def forget(self, incident: str) -> None:
        self._told.pop(incident, None)
        self._absorbed.pop(incident, None)

    def mode(self, incident: Incident) -> str:
        """Live if any rule that speaks for itself in it is live: by rule, then area, then site."""
        if not incident.members:
            return self._reported_mode(incident)
        own = by_themselves(incident.members)
        modes = {self._member_mode(member) for member in own or incident.members}
        if "live" not in modes and self._settings.mode == "live" and not _over(incident) and self._at_stake(incident):
            return "live"  # an override to shadow does not hide the last way of an ED, ICU or theatre
        return "live" if "live" in modes else "shadow"

    def _ask(self, incident: Incident, now: float) -> tuple[Sequence[Notice], Sequence[LedgerRow]]:
        said = incident.nobody_can_work  # no silence hides a ward that cannot work
        decision = None if _over(incident) or said else holding.decide(incident, self._mutes, now, self._at_stake)
        self._decisions[incident.id] = decision
        holds = decision is not None and decision.holds
        notices, rows = self._asked(incident, now, mode="live" if holds else self.mode(incident))
        if decision is not None and holds:
            for mute in decision.mutes:
                self._mutes.first_cover(mute, incident, now)
            return holding.split(decision, incident, notices, rows, now)
        return [holding.with_changes(notice, incident, self._mutes, now) for notice in notices], rows

    def _asked(self, incident: Incident, now: float, *, mode: str) -> tuple[Sequence[Notice], Sequence[LedgerRow]]:
        absorbed = sorted(self._absorbed.get(incident.id, ()))
        told: dict[str, Notice] = {}
        for id_ in (incident.id, *absorbed):
            told.update(self._told.get(id_, {}))
        more: dict[str, Any] = {
            "waking": self._settings.waking,
            "staffed": self._staffed,
            "ledgered": self._ledgered,
            "absorbed": absorbed,
            "gone": self._gone,
        }
        if self._settings.roster is not None:
            more["roster"] = self._settings.roster
        return self._escalate(
            incident,
            policies=self._policies,
            told=told,
            mode=mode,
            now=now,
            estate=self._estate,
            **more,
        )

    def _reported_mode(self, incident: Incident) -> str:
        """Of what only people know of: live if any of its places is."""
        settings = self._settings
        areas = [self._estate.areas[one.area] for one in incident.reports if one.area in self._estate.areas]
        modes = [
            settings.area_modes.get(area.id) or settings.site_modes.get(area.site) or settings.mode for area in areas
        ]
        return "live" if "live" in (modes or [settings.mode]) else "shadow"

    def _member_mode(self, member: Member) -> str:
        settings, rule = self._settings, self._rules.get(member.key.rule)
        target = self._estate.targets.get(member.key.target)
        return (
            settings.rule_modes.get(member.key.rule)
            or (rule.mode if rule else None)
            or (settings.area_modes.get(target.area) if target and target.area else None)
            or (settings.site_modes.get(target.site) if target else None)
            or settings.mode
        )

    def _next_look(self, incident: Incident, after: float | None) -> float:
        """The next step, or the next of the incident's own moments, one every few seconds: a restart moves none."""
        if after is None:
            return float("-inf")
        offset_s = zlib.crc32(incident.id.encode()) % 1_000 / 1_000 * _POLL_S
        poll = ((after - offset_s) // _POLL_S + 1) * _POLL_S + offset_s
        return min([poll if poll > after else poll + _POLL_S, *self._steps(incident, after)])

    def _steps(self, incident: Incident, now: float) -> list[float]:
        """When the steps of any policy fall due, from the opening, and when a page has waited for the rest."""
        afters = {step.after_s for policy in self._policies for step in policy.steps}
        waking = self._settings.waking
        waits = {waking.gather_s(incident.severity), waking.longest_gather_s(incident.severity)} - {0.0}
        moved = [entry.at for entry in incident.timeline if entry.what in _MOVED] if waits else []
        times = [incident.opened_at + after for after in sorted(afters)]
        times += [at + wait_s for at in moved for wait_s in waits]
        return [at for at in times if at > now]

    def _absorb(self, incident: Incident) -> None:
        """Who was told of the younger must hear of the end of the older."""
        if incident.merged_into is not None:
            mine = self._absorbed.get(incident.id, set()) | {incident.id}
            self._absorbed.setdefault(incident.merged_into, set()).update(mine)


def _over(incident: Incident) -> bool:
    return incident.state in (IncidentState.MITIGATED, IncidentState.RESOLVED)


def _stock_escalation() -> Escalate:
    from healthmon.alerting.oncall.escalation import due

    return due
