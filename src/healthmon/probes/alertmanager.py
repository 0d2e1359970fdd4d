"""A check that Alertmanager answers by its webhook; nobody here ever asks the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes.look import Look
from healthmon.probes.reasons import Fault

#: Whether each alert of Prometheus about the target fires (1) or has just ended (0).
FAMILIES = (Family("alertmanager", frozenset({"firing"}), frozenset({"alert"})),)


@dataclass(frozen=True, slots=True)
class Params:
    """None: `from` says whose webhook may speak of it. Nothing comes while nothing fires; that is no silence."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


class AlertmanagerProbe:
    """Stands in the registry so that the kind is known; looks at nothing."""

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """Unknown, always: only Prometheus may say what fires."""
        return Look(job, sight).bad(Fault(Reason.NOT_ALLOWED, "this check is pushed, never probed"))
