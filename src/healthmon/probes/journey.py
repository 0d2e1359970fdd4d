"""A journey: several HTTP steps as one person would go, with cookies, values taken along, and a clean-up at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample
from healthmon.probes.address import parse_url
from healthmon.probes.certificate import TLS_FAMILY
from healthmon.probes.http import PHASES
from healthmon.probes.http_client import Client
from healthmon.probes.http_expect import check_patterns
from healthmon.probes.http_params import ClientParams
from healthmon.probes.journey_logins import Key, Logins
from healthmon.probes.journey_step import Step, lone_place
from healthmon.probes.journey_walk import Walk
from healthmon.probes.look import Look, Settings, samples_of
from healthmon.probes.reasons import Fault

FAMILIES = (
    Family(
        "journey",
        frozenset(f"{phase}_seconds" for phase in PHASES)
        | {"duration_seconds", "status_code", "body_bytes", "redirects", "steps", "steps_passed", "failed_step"},
        frozenset({"step"}),
    ),
    TLS_FAMILY,
)

#: Of the timeout, kept for the clean-up, but never more than so many seconds.
_CLEANUP_SHARE, _CLEANUP_MOST_S = 0.2, 5.0
#: A run that is being cancelled still logs out, if that is quick.
_CANCELLED_S = 1.0
_MOST_STEPS = 30


@dataclass(frozen=True, slots=True)
class Params(ClientParams):
    """`steps` and `cleanup` come from a pack, `values` (and user and password_file) from the site.

    max_login_failures in a row are followed by a rest of login_retry_s, so that no account is locked; login_at: origins
    beside the target's own at which the password may be typed; basic_auth: user and password also as a header.
    """

    steps: tuple[Step, ...] = ()
    cleanup: tuple[Step, ...] = ()
    needs: tuple[str, ...] = ()
    defaults: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    login_at: tuple[str, ...] = ()
    basic_auth: bool = False
    max_login_failures: int = 2
    login_retry_s: float = 1800.0

    def __post_init__(self) -> None:
        ClientParams.__post_init__(self)
        if not 0 < len(self.steps) <= _MOST_STEPS:
            raise ValueError(f"steps: {len(self.steps)} of them (allowed: 1 to {_MOST_STEPS}; they come from a pack)")
        names = [step.name for step in (*self.steps, *self.cleanup)]
        if len(set(names)) < len(names):
            raise ValueError("steps: every step needs a name of its own")
        if not 1 <= self.max_login_failures <= 10:
            raise ValueError(f"max_login_failures: {self.max_login_failures} (allowed: 1 to 10)")
        if self.login_retry_s < 60.0:
            raise ValueError(f"login_retry: {self.login_retry_s:g}s (allowed: 60s or more)")
        self._check_values()

    def _check_values(self) -> None:
        known = set(self.defaults) | set(self.values) | ({"user", "password"} if self.user is not None else set())
        missing = [name for name in self.needs if name not in known]
        if missing:
            raise ValueError(
                f"{', '.join(missing)} missing: the pack needs it (user, password_file, or under `values`)"
            )
        for step in (*self.steps, *self.cleanup):
            unknown = step.wants() - known
            if unknown:
                raise ValueError(
                    f"step {step.name}: {{{min(unknown)}}} is neither given nor taken from an earlier step"
                )
            _check_given(step, {**self.defaults, **self.values})
            known |= set(step.extract)


def _check_given(step: Step, values: dict[str, str]) -> None:
    """A pattern that a site gives must be one."""
    names = [lone_place(pattern) for pattern in step.patterns()]
    check_patterns(**{f"values: {name}": values[name] for name in names if name is not None and name in values})


class JourneyProbe:
    """Walks the steps; the first that goes wrong gives the verdict, and the clean-up is walked in any case."""

    def __init__(self) -> None:
        self._settings = Settings(Params)
        self._tokens: dict[tuple[object, ...], tuple[str, float]] = {}
        self._logins = Logins()

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, or the failure of one step, which the detail names."""
        params = self._settings.of(job)
        look = Look(job, sight)
        account = _account(params)
        key = (job.target, job.check, *account.values())  # a new password is tried at once
        rest_s = self._logins.rest_s(key, sight.clock.mono())
        if rest_s > 0.0:
            return look.bad(Fault(Reason.AUTH_FAILED, _resting(rest_s)))
        walk = self._walk(job, params, account, sight)
        fault = await _through(job, params, walk)
        self._learn(key, params, walk, sight)
        samples = _whole(params, walk) + walk.samples + walk.client.first_to_end
        return look.ok(samples) if fault is None else look.bad(fault, samples)

    def _walk(self, job: Job, params: Params, account: dict[str, str], sight: Sight) -> Walk:
        home = parse_url(job.address)
        client = Client(
            params, sight, home=home, limit_s=job.timeout_s, tokens=self._tokens, basic=params.basic_auth, discreet=True
        )
        values = {**params.defaults, **params.values, **account}
        return Walk(client, job.address, home, values, params.login_at, sight)

    def _learn(self, key: Key, params: Params, walk: Walk, sight: Sight) -> None:
        if walk.login_refused:
            now = sight.clock.mono()
            self._logins.refused(key, now=now, most=params.max_login_failures, rest_s=params.login_retry_s)
        elif walk.login_accepted:
            self._logins.accepted(key)


def _account(params: Params) -> dict[str, str]:
    """Name and password as they stand now. Raises OSError."""
    if params.user is None or params.password_file is None:
        return {}
    return {"user": params.user, "password": Path(params.password_file).read_text().rstrip("\r\n")}


def _whole(params: Params, walk: Walk) -> list[Sample]:
    names = {step.name for step in params.steps}
    passed = float(len([name for name in walk.passed if name in names]))
    whole = {"duration_seconds": walk.client.total_s(), "steps": float(len(params.steps)), "steps_passed": passed}
    return samples_of("journey", whole | ({"failed_step": walk.failed} if walk.failed else {}))


async def _through(job: Job, params: Params, walk: Walk) -> Fault | None:
    """All steps, then the clean-up within the time kept for it; the first fault of the two."""
    reserve_s = min(_CLEANUP_MOST_S, job.timeout_s * _CLEANUP_SHARE) if params.cleanup else 0.0
    walk.client.extend(job.timeout_s - reserve_s)
    try:
        fault = await _each(params.steps, walk, job.timeout_s)
    except asyncio.CancelledError:
        walk.client.extend(walk.client.total_s() + _CANCELLED_S)
        await _clean_up(params.cleanup, walk, job.timeout_s)
        raise
    walk.client.extend(max(job.timeout_s, walk.client.total_s()))
    unclean = await _clean_up(params.cleanup, walk, job.timeout_s)
    return fault or unclean


async def _each(steps: Sequence[Step], walk: Walk, timeout_s: float) -> Fault | None:
    for number, step in enumerate(steps, start=1):
        fault = await _one(step, walk, timeout_s)
        if fault is not None:
            walk.failed = step.name
            return Fault(fault.reason, f"step {step.name} ({number} of {len(steps)}): {fault.detail}")
    return None


async def _clean_up(steps: Sequence[Step], walk: Walk, timeout_s: float) -> Fault | None:
    """Every clean-up step for which the values are known, whatever became of the others."""
    first: Fault | None = None
    for step in steps:
        if not walk.answered or not walk.knows(step):
            continue
        fault = await _one(step, walk, timeout_s)
        if fault is not None and first is None:
            walk.failed = walk.failed or step.name
            first = Fault(fault.reason, f"clean-up {step.name}: {fault.detail}")
    return first


async def _one(step: Step, walk: Walk, timeout_s: float) -> Fault | None:
    """One step with its samples, whether it went well or not."""
    try:
        fault = await walk.take(step)
    except (OSError, HealthmonError) as error:
        fault = walk.client.phases.fault_of(error, timeout_s)
    walk.samples += _step_samples(step, walk)
    if fault is None:
        walk.passed.append(step.name)
    return fault


def _step_samples(step: Step, walk: Walk) -> list[Sample]:
    return samples_of("journey", {**walk.client.phases.fields(), **walk.client.fields}, {"step": step.name})


def _resting(rest_s: float) -> str:
    return (
        f"the login was refused; not tried again for {max(1, round(rest_s / 60.0))} min, so that no account is locked"
    )
