"""One look at the host: a blocking call in a thread, its outcome and its time as a Reading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec
import psutil

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Outcome, Reading, Reason, Sample

Kind = TypeVar("Kind")


class Unseen(Exception):
    """The host could not be looked at: says nothing about its health."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def params_of(job: Job, kind: type[Kind]) -> Kind:
    """The job's parameters as the collector's own type. Raises Unseen."""
    try:
        return msgspec.convert(job.params, kind)
    except (ValueError, msgspec.ValidationError) as error:
        raise Unseen(Reason.BAD_PARAMS, str(error)) from error


async def look(job: Job, sight: Sight, see: Callable[[], list[Sample]]) -> Reading:
    """Run `see` in a worker thread; what the operating system refuses is `unknown`, never the host's fault."""
    started, mono = sight.clock.now(), sight.clock.mono()
    samples: list[Sample] = []
    outcome, reason, detail = Outcome.UNKNOWN, None, ""
    try:
        samples = await asyncio.to_thread(see)
        outcome = Outcome.OK
    except Unseen as unseen:
        reason, detail = unseen.reason, unseen.detail
    except (psutil.AccessDenied, PermissionError) as error:
        reason, detail = Reason.NO_PERMISSION, str(error)
    except (psutil.Error, OSError, NotImplementedError) as error:
        reason, detail = Reason.NO_ANSWER, f"{type(error).__name__}: {error}"
    took = sight.clock.mono() - mono
    return Reading(job.target, job.check, sight.vantage, started, took, outcome, reason, detail, tuple(samples))
