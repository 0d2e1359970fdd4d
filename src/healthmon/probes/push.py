"""A check that another tool answers by `POST /api/v1/readings`; nobody here ever asks the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason
from healthmon.probes.look import Look
from healthmon.probes.reasons import Fault

#: For what no family of a probe or collector fits; a tool may push any declared family.
FAMILIES = (
    Family(
        "push",
        frozenset({"value", "ratio", "count", "age_seconds", "duration_seconds", "size_bytes", "temperature_celsius"}),
        frozenset({"item"}),
    ),
)


@dataclass(frozen=True, slots=True)
class Params:
    """None: `every` says how often a reading is expected, `from` which sources may send it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


class PushProbe:
    """Stands in the registry so that the kind is known; looks at nothing."""

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """Unknown, always: only the source may say how the target is."""
        return Look(job, sight).bad(Fault(Reason.NOT_ALLOWED, "this check is pushed, never probed"))
