"""Agents that are not heard: when to miss each, why a silence may be as it should be, and many that fall silent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from healthmon.alerting.detect.conditions import absent_after
from healthmon.alerting.detect.presences import AGENT_CHECK, NEVER_OFF
from healthmon.model.alert import AlertKey, NoData, Rule, Verdict
from healthmon.model.condition import Absent, Group
from healthmon.model.incident import LedgerRow
from healthmon.model.topology import Agent

if TYPE_CHECKING:
    from healthmon.alerting.detect.desk import AlertDesk

#: Heard within: nobody asks why it is silent.
_HEARD_S = 60.0
#: While the port of a silent machine is waited for, look again so often.
_PORT_AGAIN_S = 5.0
#: Who looks at other things may be gone so long after a goodbye; then nobody sees them, and that must be told.
GOODBYE_S = 900.0


class AgentSilence:
    """The desk's part that waits for agents; alerts, presence and due times are the desk's."""

    def __init__(self, desk: AlertDesk) -> None:
        self._desk = desk
        self._next_at: dict[str, float] = {}  # when each agent is looked at next
        self._groups: list[tuple[Rule, list[Agent]]] = []
        self._away: set[str] = set()  # they have said goodbye and are waited for

    def watch_all(self, now: float) -> None:
        """Expect every declared agent that a rule asks about, heard of or not."""
        for agent in self._desk.estate.agents.values():
            if self._desk.index.for_agent(agent):
                self.watch(agent, now)
        self._groups = self._desk.index.groups_of_agents()
        for rule, agents in self._groups:
            self._desk.push(_next_count(rule, now), "lost", rule.id)
            if any(key.rule == rule.id for key in self._desk.alerts):  # after a restart: who they were
                self._counted(rule, agents, _next_count(rule, now) - _every_s(rule))

    def watch(self, agent: Agent, now: float) -> None:
        """Look at it when its silence will have lasted long enough for some rule."""
        if agent.id not in self._next_at:
            rules = self._desk.index.for_agent(agent)
            spans = [for_s for rule in rules if (for_s := absent_after(rule)) is not None]
            if spans:
                at = max(self._heard_at(agent.id, now), self._desk.awake_at) + min(spans)
                self._look_at_agent(agent.id, at if at > now else self._goes_on(agent, at, now))

    def _goes_on(self, agent: Agent, at: float, now: float) -> float:
        """It was looked at before a restart: when it is looked at next."""
        if not self._desk.present.knows(agent.id):
            return at
        if self._desk.present.waits_for_port(agent, now) is not None:
            return _next_port(now)
        return self._desk.present.again_at(agent.id, now) if self._desk.present.cause(agent.id) else at

    def _look_at_agent(self, agent_id: str, at: float) -> None:
        self._next_at[agent_id] = at
        self._desk.push(at, "agent", agent_id)

    def _heard_at(self, agent_id: str, now: float) -> float:
        return self._desk.presence.get(agent_id, ("never", now))[1]

    def spoke(self, agent_id: str) -> None:
        """It was thought about at leisure, perhaps; from now on its silence counts again."""
        if agent_id in self._away or self._desk.present.cause(agent_id):
            self._away.discard(agent_id)
            self._next_at.pop(agent_id, None)

    def excuses(self, agent_id: str, now: float) -> bool:
        """Whether it is a machine that people switch off, silent as it may be: so is all that it looks at."""
        agent = self._desk.estate.agents.get(agent_id)
        if agent is None or not self._desk.present.knows(agent_id):
            return False
        state, at = self._desk.presence.get(agent_id, ("never", now))
        return not (state == "up" and now - at <= _HEARD_S) and not self._desk.present.tells(agent, now)

    def due(self, agent_id: str, at: float, now: float, before: float) -> None:
        """The agent has been silent for a while, or has spoken since."""
        if self._next_at.get(agent_id) != at:
            return  # another moment was chosen meanwhile
        self._next_at.pop(agent_id)
        agent = self._desk.estate.agents[agent_id]
        state, _ = self._desk.presence.get(agent_id, ("never", now))
        heard_at = max(self._heard_at(agent_id, now), self._desk.awake_at)
        ahead: list[float] = []
        for rule in self._desk.index.for_agent(agent):
            for_s = absent_after(rule)
            if for_s is None:
                continue
            due = heard_at + for_s
            if due > now:
                ahead.append(due)
            elif agent_key(rule, agent) not in self._desk.alerts:
                ahead += self._absent(rule, agent, state, due, now, before)
        if ahead:
            self._look_at_agent(agent_id, min(ahead))

    def _absent(self, rule: Rule, agent: Agent, state: str, due: float, now: float, before: float) -> Iterable[float]:
        """Fire, unless the machine was shut down cleanly or need not be on at this hour; when to think anew."""
        key = agent_key(rule, agent)
        if self._desk.present.knows(agent.id):
            return self._absent_pc(key, rule, agent, due, now)
        meant = self._meant(agent, state, due)
        if meant is None:
            self._desk.silent(key, rule, due, now)
            return ()
        cause, because = meant
        back_by = due + GOODBYE_S if self._desk.index.looks_elsewhere(agent) else math.inf
        if now >= back_by:
            self._desk.silent(key, rule, due, now, f"{because} and has not come back")
            return ()
        if due > before:
            self._unsaid(f"{key}#{due:.3f}", agent, cause, because, now)
        if back_by == math.inf:
            return ()
        self._away.add(agent.id)
        return (back_by,)

    def _absent_pc(self, key: AlertKey, rule: Rule, agent: Agent, due: float, now: float) -> Iterable[float]:
        """A machine that people switch off: its port is waited for, and its hours may begin later."""
        until = self._desk.present.waits_for_port(agent, now)
        if until is not None:
            return (min(until, _next_port(now)),)
        before = self._desk.present.cause(agent.id)
        judged = self._desk.present.judge(agent, now)
        if judged.tells:
            self._desk.silent(key, rule, due, now, "; ".join(judged.because))
            return ()
        if judged.cause != before:
            stamp = f"{due:.3f}" if not before else f"{due:.3f} {judged.cause}"
            self._unsaid(f"{key}#{stamp}", agent, judged.cause, "; ".join(judged.because), now)
        return (self._desk.present.again_at(agent.id, now),)

    def _unsaid(self, row_key: str, agent: Agent, cause: str, because: str, now: float) -> None:
        self._desk.ledger.append(LedgerRow(now, "", row_key, "nobody", cause, f"{agent.id} is silent: {because}"))

    def _meant(self, agent: Agent, state: str, now: float) -> tuple[str, str] | None:
        """Why this silence is as it should be, if it is: (cause, words)."""
        if any(role in NEVER_OFF for role in agent.roles):
            return None
        if self._desk.present.knows(agent.id):
            judged = self._desk.present.why(agent, now)
            return None if judged.tells else (judged.cause, "; ".join(judged.because))
        return ("clean_stop", "it was shut down cleanly") if state == "stopped" else None

    def lost_due(self, rule_id: str, now: float) -> None:
        """Judge a rule about the silence of many agents."""
        for rule, agents in self._groups:
            if rule.id == rule_id:
                for verdict in self._counted(rule, agents, now):
                    if verdict.bad is None and rule.no_data is NoData.CLEAR and verdict.key in self._desk.alerts:
                        self._nobody_counts(verdict.key, rule, now)
                    self._desk.move_group(verdict, rule, now)
                self._desk.push(_next_count(rule, now), "lost", rule_id)

    def _counted(self, rule: Rule, agents: list[Agent], now: float) -> list[Verdict]:
        """What the rule says of each of its groups; who is on which side is known from now on."""
        heard = self._counted_since(agents, now)
        return list(self._desk.groups.silence(rule, agents, heard, self._desk.alerts, now))

    def _nobody_counts(self, key: AlertKey, rule: Rule, now: float) -> None:
        """Of a group too few are expected at this hour; not while we are blind, or have just seen again."""
        if now - max(self._desk.awake_at, self._desk.blind_at) >= (rule.stale_s or _HEARD_S):
            self._desk.drop(key, now)

    def _counted_since(self, agents: Iterable[Agent], now: float) -> list[float | None]:
        """When each was heard last; None when its silence means nothing (stopped, out of hours, we are blind)."""
        presence, awake_at, blind = self._desk.presence, self._desk.awake_at, self._desk.blind
        never, found = ("never", now), list[float | None]()
        for agent in agents:
            state, at = presence.get(agent.id, never)
            heard_at = max(at, awake_at)
            spoke = state == "up" and now - heard_at <= _HEARD_S
            found.append(None if blind or not (spoke or self._counts(agent, state, now)) else heard_at)
        return found

    def _counts(self, agent: Agent, state: str, now: float) -> bool:
        """Whether this silence is not as it should be."""
        if self._desk.present.knows(agent.id):
            return self._desk.present.tells(agent, now)
        return self._meant(agent, state, now) is None


def _next_port(now: float) -> float:
    """On round moments, so that a restart does not move them."""
    return (now // _PORT_AGAIN_S + 1) * _PORT_AGAIN_S


def _next_count(rule: Rule, now: float) -> float:
    """When many agents are counted next; on round moments, so that a restart does not move them."""
    return (now // _every_s(rule) + 1) * _every_s(rule)


def _every_s(rule: Rule) -> float:
    """Many agents are counted ten times within the silence that is asked about, every 1 to 30 s."""
    where = rule.condition.where if isinstance(rule.condition, Group) else rule.condition
    return min(30.0, max(1.0, where.for_s / 10)) if isinstance(where, Absent) else 30.0


def agent_key(rule: Rule, agent: Agent) -> AlertKey:
    return AlertKey(rule.id, agent.target or agent.id, AGENT_CHECK, agent.id)
