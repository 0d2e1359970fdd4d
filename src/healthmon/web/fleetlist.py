"""One agent of the fleet as JSON and as a row of words; those that need a look come first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from healthmon.model.about import Absence
from healthmon.model.render import rfc3339
from healthmon.model.view import AgentStatus
from healthmon.web.words import LocalTime

#: A backlog of so many batches is more than what is just on its way.
BACKLOG = 30
_ORDER = ("never", "silent", "stopped", "up")


def agent_json(agent: AgentStatus) -> dict[str, Any]:
    """`GET agents`. What the agent has not said yet is null."""
    about = agent.about
    return {
        "agent": agent.agent,
        "target": agent.target,
        "state": agent.state,
        "last_at": rfc3339(agent.last_at),
        "epoch": agent.epoch,
        "seq": agent.seq,
        "skew_s": agent.skew_s,
        "gaps": agent.gaps,
        "dropped": agent.dropped,
        "cloned": agent.cloned,
        "version": about.version if about else None,
        "started_at": rfc3339(about.started + agent.skew_s) if about else None,
        "booted_at": rfc3339(about.booted + agent.skew_s) if about else None,
        "last_stop": about.ended.value if about else None,
        "spool": _spool_json(agent),
        "absence": _absence_json(agent.absence) if agent.absence else None,
        "remarks": remarks(agent),
    }


def _spool_json(agent: AgentStatus) -> dict[str, Any] | None:
    about = agent.about
    if about is None:
        return None
    return {
        "state": about.spool,
        "why": about.why,
        "bytes": about.bytes,
        "batches": about.batches,
        "readings": about.readings,
        "dropped_readings": about.dropped_readings,
        "set_aside": about.set_aside,
    }


def _absence_json(absence: Absence) -> dict[str, Any]:
    return {
        "since": rfc3339(absence.since),
        "until": rfc3339(absence.until),
        "cause": absence.cause.value,
        "sure": absence.sure,
        "text": absence.words,
    }


def remarks(agent: AgentStatus) -> list[str]:
    """What somebody should look at, in words."""
    about, lasts = agent.about, agent.absence is not None and agent.absence.until is None
    memory = f"keeps readings in memory only: {about.why.replace('_', ' ') or 'disk'}" if about else ""
    found = {
        agent.absence.words if agent.absence else "": lasts,
        "two machines speak with this name: a cloned disk": agent.cloned,
        f"clock {-agent.skew_s:+.0f} s off, corrected": agent.skew_s,
        memory: about is not None and about.spool == "memory",
        f"{_count(about.batches if about else 0, 'batch')} waiting": about is not None and about.batches > BACKLOG,
        f"{_count(agent.gaps, 'batch')} missing": agent.gaps,
        f"{_count(agent.dropped, 'batch')} given up by the agent": agent.dropped,
        f"{_count(about.set_aside if about else 0, 'corrupt spool')} set aside": about is not None and about.set_aside,
    }
    return [words for words, is_so in found.items() if words and is_so]


def _count(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


@dataclass(frozen=True, slots=True)
class Row:
    """One agent as people read it."""

    agent: AgentStatus
    last: str
    waiting: str
    remarks: str


def rows_of(agents: list[AgentStatus], clock: LocalTime) -> list[Row]:
    """Who needs a look first, then by name."""
    rows = [_row(agent, clock) for agent in agents]
    return sorted(rows, key=lambda row: (not row.remarks, _ORDER.index(row.agent.state), row.agent.agent))


def _row(agent: AgentStatus, clock: LocalTime) -> Row:
    last = "never" if agent.last_at is None else clock.short(agent.last_at)
    waiting = "not known" if agent.about is None else str(agent.about.batches)
    return Row(agent, last, waiting, "; ".join(remarks(agent)))
