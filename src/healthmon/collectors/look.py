"""One look at the host: a blocking call in a thread of its own, its outcome and its time as a Reading."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, cast

import msgspec
import psutil

from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Outcome, Reading, Reason, Sample
from healthmon.runtime.deadline import within

Answer = TypeVar("Answer")
Kind = TypeVar("Kind")

#: End before the runner's own timeout: that one would call the host failed.
BUDGET_RATIO = 0.9


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
    """Run `see` beside the loop; what the operating system refuses is `unknown`, never the host's fault."""
    started, mono = sight.clock.now(), sight.clock.mono()
    samples: list[Sample] = []
    outcome, reason, detail = Outcome.UNKNOWN, None, ""
    try:
        async with within(job.timeout_s * BUDGET_RATIO, sight.clock):
            samples = await in_daemon_thread(f"{job.kind} {job.check}", see)
        outcome = Outcome.OK
    except Unseen as unseen:
        reason, detail = unseen.reason, unseen.detail
    except (psutil.AccessDenied, PermissionError) as error:
        reason, detail = Reason.NO_PERMISSION, str(error)
    except TimeoutError:
        reason, detail = Reason.NO_ANSWER, "the operating system does not answer"
    except (psutil.Error, OSError, NotImplementedError) as error:
        reason, detail = Reason.NO_ANSWER, f"{type(error).__name__}: {error}"
    took = sight.clock.mono() - mono
    return Reading(job.target, job.check, sight.vantage, started, took, outcome, reason, detail, tuple(samples))


async def in_daemon_thread(name: str, see: Callable[[], Answer]) -> Answer:
    """The result of a blocking call. Unlike a pool's thread, one that hangs blocks neither others nor the exit."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Answer] = loop.create_future()

    def settle(error: BaseException | None, value: Answer | None) -> None:
        if answer.done():  # nobody waits any more
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(cast(Answer, value))

    def run() -> None:
        error, value = None, None
        try:
            value = see()
        except BaseException as caught:
            error = caught
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, error, value)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await answer
