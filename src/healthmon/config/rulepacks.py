"""Rules, policies and roles as packs write them, and what they become in the model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from healthmon.config.conditions import ConditionForm, condition_of
from healthmon.config.forms import CheckForm, Form, Names
from healthmon.config.oncallforms import PolicyForm
from healthmon.config.scalars import Duration, Id
from healthmon.model.alert import Effect, Flap, NoData, Rule, Selector
from healthmon.model.incident import Policy, Step
from healthmon.model.topology import Acuity, AreaKind


class OnForm(Form):
    """Which series a rule is about; a key left out means any."""

    kinds: Names = Field(default=[])
    probes: Names = Field(default=[])
    checks: Names = Field(default=[])
    targets: Names = Field(default=[])
    areas: Names = Field(default=[])
    labels: dict[str, str] = Field(default={})
    agents: bool = False
    sites: Names = Field(default=[])
    area_kinds: list[AreaKind] = Field(default=[], description="Of the target's area: ward, ed, icu ...")
    acuity: list[Acuity] = Field(default=[], description="Of the target's area")
    tiers: list[Annotated[int, Field(ge=0, le=3)]] = Field(default=[], description="Of a service that needs the target")
    roles: Names = Field(default=[], description="Of an agent on the target")


class FlapForm(Form):
    """Weighted share of state changes in the last 20 judgements: above `high` it flaps until below `low`."""

    high: float = Field(default=0.30, gt=0, lt=1)
    low: float = Field(default=0.25, gt=0, lt=1)

    @model_validator(mode="after")
    def _apart(self) -> FlapForm:
        if self.low > self.high:
            raise ValueError("`low` must not be more than `high`")
        return self


def _flap_of_word(value: Any) -> Any:
    return {} if value is True else None if value is False else value


class RuleForm(Form):
    """One question asked of every matching series; severity is never said here."""

    id: Id
    on: OnForm
    condition: ConditionForm
    effect: Effect
    no_data: NoData
    summary: str
    hold: Duration = 0.0
    confirm: int = Field(default=1, ge=1)
    clear: ConditionForm | None = None
    clear_confirm: int = Field(default=1, ge=1)
    keep: Duration = 0.0
    stale: Duration = 0.0
    certainty: Literal["symptom", "threshold", "deterministic"] = "symptom"
    source: str = Field(default="", description="Where the threshold comes from")
    runbook: str = ""
    mode: Literal["live", "shadow"] | None = None
    flap: Annotated[FlapForm | None, BeforeValidator(_flap_of_word)] = Field(
        default=None, description="`true`, or the marks: while its state flaps, an alert is not cleared"
    )


class RulePackForm(Form):
    """alerting/rules/*.yaml"""

    description: str = ""
    rules: list[RuleForm]


class PolicyPackForm(Form):
    """alerting/policies/*.yaml"""

    description: str = ""
    policies: list[PolicyForm]


def _check_of_name(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


class RolePackForm(Form):
    """collectors/roles/*.yaml"""

    description: str = ""
    collect: list[Annotated[CheckForm, BeforeValidator(_check_of_name), WithJsonSchema({"type": "object"})]]


def rule_of(form: RuleForm) -> Rule:
    """The model's rule."""
    return Rule(
        id=form.id,
        on=Selector(
            kinds=tuple(form.on.kinds),
            probes=tuple(form.on.probes),
            checks=tuple(form.on.checks),
            targets=tuple(form.on.targets),
            areas=tuple(form.on.areas),
            labels=form.on.labels,
            agents=form.on.agents,
            sites=tuple(form.on.sites),
            area_kinds=tuple(kind.value for kind in form.on.area_kinds),
            acuities=tuple(acuity.value for acuity in form.on.acuity),
            tiers=tuple(form.on.tiers),
            roles=tuple(form.on.roles),
        ),
        condition=condition_of(form.condition),
        effect=form.effect,
        no_data=form.no_data,
        summary=form.summary,
        hold_s=form.hold,
        confirm=form.confirm,
        clear=condition_of(form.clear) if form.clear else None,
        clear_confirm=form.clear_confirm,
        keep_s=form.keep,
        stale_s=form.stale,
        certainty=form.certainty,
        runbook=form.runbook,
        mode=form.mode,
        flap=Flap(form.flap.high, form.flap.low) if form.flap else None,
    )


def policy_of(form: PolicyForm) -> Policy:
    """The model's policy; steps in the order of their time."""
    steps = (
        Step(step.after, tuple(step.channels), tuple(step.to), step.media, tuple(step.only)) for step in form.steps
    )
    return Policy(
        id=form.id,
        steps=tuple(sorted(steps, key=lambda step: step.after_s)),
        severities=tuple(form.severities),
        teams=tuple(form.teams),
        quorum=form.quorum,
        repeat=form.repeat,
        repeat_every_s=form.repeat_every,
        unack_after_s=form.unack_after,
        one_medium=form.one_medium,
    )
