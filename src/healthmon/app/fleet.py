"""What the ingest knows of each agent, put beside what the engine knows of its presence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from healthmon.ingest.pipeline import Pipeline
from healthmon.model.journal import Epoch, Ranges
from healthmon.model.view import AgentStatus


def with_epochs(agents: Mapping[str, AgentStatus], pipeline: Pipeline, now: float) -> dict[str, AgentStatus]:
    """Each status with the epoch that spoke last: number, clock, gaps, dropped batches, and whether it is cloned."""
    newest: dict[str, Epoch] = {}
    for epoch in pipeline.epochs().values():
        if epoch.agent not in newest or epoch.last_at >= newest[epoch.agent].last_at:
            newest[epoch.agent] = epoch
    cloned = pipeline.cloned(now)
    return {
        name: _with_epoch(status, newest[name], pipeline, name in cloned) if name in newest else status
        for name, status in agents.items()
    }


def _with_epoch(status: AgentStatus, epoch: Epoch, pipeline: Pipeline, cloned: bool) -> AgentStatus:
    return replace(
        status,
        epoch=epoch.epoch,
        seq=epoch.received[-1][1] if epoch.received else 0,
        skew_s=epoch.skew_s,
        gaps=_count(pipeline.gaps(epoch.agent, epoch.epoch)),
        dropped=_count(epoch.declared_dropped),
        cloned=cloned,
    )


def _count(ranges: Ranges) -> int:
    return sum(high - low + 1 for low, high in ranges)
