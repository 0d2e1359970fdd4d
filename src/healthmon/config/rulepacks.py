"""Rules, policies and roles as packs write them, and what they become in the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from healthmon.config.fileforms import PolicyForm
from healthmon.config.forms import CheckForm, Form, Names
from healthmon.config.scalars import Duration, Id
from healthmon.config.yamlnodes import DataPath
from healthmon.model.alert import (
    Above,
    Absent,
    AllOf,
    AnyOf,
    Below,
    Condition,
    Effect,
    NoData,
    Not,
    OutcomeIs,
    Outside,
    Rule,
    Selector,
)
from healthmon.model.incident import Policy, Step
from healthmon.model.sample import Outcome, Reason

_KINDS = ("outcome", "above", "below", "outside", "absent", "all", "any", "not")

Metric = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ThresholdForm(Form):
    """A metric `family.field` against a value."""

    metric: Metric
    value: float


class OutsideForm(Form):
    """A metric outside a range."""

    metric: Metric
    low: float
    high: float


class ConditionForm(Form):
    """Exactly one kind of question; `reason` goes with `outcome`."""

    outcome: Annotated[list[Outcome], BeforeValidator(_one_or_more)] | None = None
    reason: Annotated[list[Reason], BeforeValidator(_one_or_more)] | None = None
    above: ThresholdForm | None = None
    below: ThresholdForm | None = None
    outside: OutsideForm | None = None
    absent: Duration | None = None
    all_of: list[ConditionForm] | None = Field(default=None, alias="all")
    any_of: list[ConditionForm] | None = Field(default=None, alias="any")
    negated: ConditionForm | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _one_kind(self) -> ConditionForm:
        given = [name for name in _KINDS if getattr(self, _ATTRIBUTES.get(name, name)) is not None]
        if len(given) != 1:
            raise ValueError(f"a condition has exactly one kind (allowed: {', '.join(_KINDS)})")
        if self.reason is not None and self.outcome is None:
            raise ValueError("`reason` needs `outcome` beside it")
        return self


_ATTRIBUTES = {"all": "all_of", "any": "any_of", "not": "negated"}
ConditionForm.model_rebuild()


class OnForm(Form):
    """Which series a rule is about; a key left out means any."""

    kinds: Names = Field(default=[])
    probes: Names = Field(default=[])
    checks: Names = Field(default=[])
    targets: Names = Field(default=[])
    areas: Names = Field(default=[])
    labels: dict[str, str] = Field(default={})
    agents: bool = False


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
    runbook: str = ""
    mode: Literal["live", "shadow"] | None = None


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


def metrics_of(form: ConditionForm, path: DataPath) -> Iterator[tuple[DataPath, str]]:
    """Every metric that a condition names, with its place."""
    for key, threshold in (("above", form.above), ("below", form.below), ("outside", form.outside)):
        if threshold is not None:
            yield (*path, key, "metric"), threshold.metric
    for key, parts in (("all", form.all_of), ("any", form.any_of)):
        for number, part in enumerate(parts or ()):
            yield from metrics_of(part, (*path, key, number))
    if form.negated is not None:
        yield from metrics_of(form.negated, (*path, "not"))


def condition_of(form: ConditionForm) -> Condition:
    """The model's condition."""
    if form.outcome is not None:
        return OutcomeIs(tuple(form.outcome), tuple(form.reason or ()))
    if form.above is not None:
        return Above(form.above.metric, form.above.value)
    if form.below is not None:
        return Below(form.below.metric, form.below.value)
    if form.outside is not None:
        return Outside(form.outside.metric, form.outside.low, form.outside.high)
    if form.absent is not None:
        return Absent(form.absent)
    if form.all_of is not None:
        return AllOf(tuple(condition_of(part) for part in form.all_of))
    if form.any_of is not None:
        return AnyOf(tuple(condition_of(part) for part in form.any_of))
    assert form.negated is not None
    return Not(condition_of(form.negated))


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
    )


def policy_of(form: PolicyForm) -> Policy:
    """The model's policy; steps in the order of their time."""
    steps = sorted((Step(step.after, tuple(step.channels)) for step in form.steps), key=lambda step: step.after_s)
    return Policy(form.id, tuple(steps), tuple(form.severities), tuple(form.teams))
