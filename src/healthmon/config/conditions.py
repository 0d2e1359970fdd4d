"""Conditions as packs write them, and what they become in the model: one key each, no expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from healthmon.config.forms import Form
from healthmon.config.scalars import Duration
from healthmon.config.yamlnodes import DataPath
from healthmon.model.condition import (
    Above,
    Absent,
    AllOf,
    AnyOf,
    Baseline,
    Below,
    Changed,
    Condition,
    Delta,
    Forecast,
    Group,
    Limit,
    Not,
    OfLast,
    OutcomeIs,
    Outside,
    Rate,
    Ratio,
    Season,
    Slope,
    Take,
    Unit,
    Window,
)
from healthmon.model.sample import Outcome, Reason

Metric = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]
Span = Annotated[Duration, Field(gt=0)]
SOME = Field(min_length=1)
_LABEL = "Label of targets that holds a number to take the place of this one"
_OVER = "The time looked back on"


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _words_of(values: type[Outcome] | type[Reason]) -> WithJsonSchema:
    """One of these words, or a list of them."""
    word = {"enum": [one.value for one in values]}
    return WithJsonSchema({"anyOf": [word, {"type": "array", "items": word, "minItems": 1}]})


class ThresholdForm(Form):
    """A metric `family.field` against a value."""

    metric: Metric
    value: float
    label: str = Field(default="", description=_LABEL)


class OutsideForm(Form):
    """A metric outside a range."""

    metric: Metric
    low: float
    high: float

    @model_validator(mode="after")
    def _low_first(self) -> OutsideForm:
        if self.low > self.high:
            raise ValueError("always holds: `low` must not be more than `high`")
        return self


class LimitedForm(Form):
    """A figure against exactly one of `above`, `below`, `outside`."""

    above: float | None = None
    below: float | None = None
    outside: tuple[float, float] | None = None
    label: str = Field(default="", description=_LABEL)

    @model_validator(mode="after")
    def _one_limit(self) -> LimitedForm:
        given = [name for name in ("above", "below", "outside") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("needs exactly one limit (allowed: above, below, outside)")
        if self.outside is not None and self.label:
            raise ValueError("`label` goes with `above` or `below`")
        if self.outside is not None and self.outside[0] >= self.outside[1]:
            raise ValueError("`outside` is [low, high], low first")
        return self

    def limit(self) -> Limit:
        """The model's limit."""
        if self.outside is not None:
            return Limit(*self.outside)
        return Limit(self.below, self.above, self.label)


class WindowForm(LimitedForm):
    """One figure of the readings of the last `over`."""

    metric: Metric
    over: Span = Field(description=_OVER)
    take: str = Field(pattern=r"^(avg|min|max|sum|last|p[1-9][0-9]?(\.[0-9]+)?)$", description="avg, max ... or p95")
    least: int = Field(default=2, ge=1, description="Readings below which nothing is judged")


class RateForm(LimitedForm):
    """How fast a counter rises; restarts and wraps are told apart."""

    metric: Metric
    over: Span = Field(description=_OVER)
    per: Span = Field(default=1.0, description="The rate is per so long")
    bits: Literal[0, 32, 64] = Field(default=0, description="Width of the counter where it wraps; 0: it restarts only")


class SlopeForm(LimitedForm):
    """How fast a gauge moves: the least-squares line through the last `over`."""

    metric: Metric
    over: Span = Field(description=_OVER)
    per: Span = Field(default=3600.0, description="The slope is per so long")


class DeltaForm(LimitedForm):
    """The newest value minus the oldest of the last `over`."""

    metric: Metric
    over: Span = Field(description=_OVER)


class RatioForm(LimitedForm):
    """One metric divided by another: of one reading, or (`over`) of the rise of two counters."""

    metric: Metric
    to: Metric = Field(alias="of")
    over: Duration = Field(default=0.0, description="0: the values of one reading; else the rise of both counters")
    least: float = Field(default=0.0, ge=0, description="Nothing is judged while the lower part is less")
    bits: Literal[0, 32, 64] = 0


class ChangedForm(Form):
    """A value that became another; words count too."""

    metric: Metric
    over: Duration = Field(default=0.0, description="It changed within so long; 0: since the reading before")


class OfLastForm(Form):
    """A condition that held for `n` of the last `of` readings."""

    n: int = Field(ge=1, le=64)
    of: int = Field(ge=1, le=64)
    condition: ConditionForm

    @model_validator(mode="after")
    def _possible(self) -> OfLastForm:
        if self.n > self.of:
            raise ValueError(f"{self.n} of {self.of} can never be")
        return self


class BaselineForm(Form):
    """Far from what is usual at this hour; all of `factor`, `mads` and `floor` that are given must agree."""

    metric: Metric
    side: Literal["above", "below", "both"] = "above"
    factor: float = Field(default=0.0, ge=0, description="So many times the usual value, or less than its part")
    mads: float = Field(default=0.0, ge=0, description="So many standard deviations, taken from the median deviation")
    floor: float = Field(gt=0, description="Least distance from the usual value; no default: what never matters")
    weeks: int = Field(default=2, ge=1, le=6, description="Earlier weeks (days) that must be known first")
    season: Season = Field(default=Season.HOUR_OF_WEEK, description="Which hours are alike, on the site's wall clock")

    @model_validator(mode="after")
    def _measured(self) -> BaselineForm:
        if not (self.factor or self.mads):
            raise ValueError("needs `factor` or `mads` beside `floor`")
        if self.factor and self.factor <= 1:
            raise ValueError("`factor` must be more than 1")
        return self


class ForecastForm(Form):
    """A metric that will pass a limit within a time, on its present course."""

    metric: Metric
    above: float | None = None
    below: float | None = None
    label: str = Field(default="", description=_LABEL)
    within: Span = Field(description="It will be there in less than this")
    over: Span = Field(description=_OVER)
    confidence: float = Field(default=0.9, gt=0, lt=1, description="Of the interval whose slow side must agree")
    least: int = Field(default=10, ge=3, le=60, description="Points below which nothing is foretold")

    @model_validator(mode="after")
    def _one_limit(self) -> ForecastForm:
        if (self.above is None) == (self.below is None):
            raise ValueError("needs exactly one limit (allowed: above, below)")
        return self


class GroupForm(Form):
    """Among the series that the rule is about: for what share, or how many, `where` holds."""

    where: ConditionForm
    count: Unit = Unit.SERIES
    share: float | None = Field(default=None, gt=0, le=1, description="Of those that are judged")
    at_least: int | None = Field(default=None, ge=1)
    out_of: int = Field(default=1, ge=1, description="So many must be judged, else nothing is said")
    by: str = Field(
        default="",
        pattern=r"^(target|area|site|kind|label:.+)?$",
        description="One group for each",
    )
    within: Duration = Field(default=0.0, description="With `absent` on agents: only what fell silent within so long")

    @model_validator(mode="after")
    def _measured(self) -> GroupForm:
        if self.share is None and self.at_least is None:
            raise ValueError("needs `share` or `at_least`")
        if self.within and self.where.absent is None:
            raise ValueError("`within` goes with `where: {absent: ...}`")
        return self


class ConditionForm(Form):
    """Exactly one kind of question; `reason` goes with `outcome`."""

    outcome: Annotated[list[Outcome], SOME, BeforeValidator(_one_or_more), _words_of(Outcome)] | None = None
    reason: Annotated[list[Reason], SOME, BeforeValidator(_one_or_more), _words_of(Reason)] | None = None
    above: ThresholdForm | None = None
    below: ThresholdForm | None = None
    outside: OutsideForm | None = None
    absent: Span | None = None
    window: WindowForm | None = None
    rate: RateForm | None = None
    slope: SlopeForm | None = None
    delta: DeltaForm | None = None
    ratio: RatioForm | None = None
    changed: ChangedForm | None = None
    of_last: OfLastForm | None = None
    baseline: BaselineForm | None = None
    forecast: ForecastForm | None = None
    group: GroupForm | None = None
    all_of: list[ConditionForm] | None = Field(default=None, alias="all", min_length=1)
    any_of: list[ConditionForm] | None = Field(default=None, alias="any", min_length=1)
    negated: ConditionForm | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _one_kind(self) -> ConditionForm:
        given = [name for name in KINDS if getattr(self, _ATTRIBUTES.get(name, name)) is not None]
        if len(given) != 1:
            raise ValueError(f"a condition has exactly one kind (allowed: {', '.join(KINDS)})")
        if self.reason is not None and self.outcome is None:
            raise ValueError("`reason` needs `outcome` beside it")
        return self

    def kind(self) -> str:
        """The one key that is given."""
        return next(name for name in KINDS if getattr(self, _ATTRIBUTES.get(name, name)) is not None)

    def parts(self) -> Iterator[tuple[DataPath, ConditionForm]]:
        """The conditions inside this one, with the way to them."""
        for key, many in (("all", self.all_of), ("any", self.any_of)):
            for number, part in enumerate(many or ()):
                yield (key, number), part
        if self.negated is not None:
            yield ("not",), self.negated
        if self.of_last is not None:
            yield ("of_last", "condition"), self.of_last.condition
        if self.group is not None:
            yield ("group", "where"), self.group.where


_ATTRIBUTES = {"all": "all_of", "any": "any_of", "not": "negated"}
KINDS = tuple(
    next((key for key, name in _ATTRIBUTES.items() if name == field), field)
    for field in ConditionForm.model_fields
    if field != "reason"
)
for _form in (OfLastForm, GroupForm, ConditionForm):
    _form.model_rebuild()


def each_condition(form: ConditionForm, path: DataPath) -> Iterator[tuple[DataPath, ConditionForm]]:
    """The condition and everything inside it, with places."""
    yield path, form
    for way, part in form.parts():
        yield from each_condition(part, (*path, *way))


def metrics_of(form: ConditionForm, path: DataPath) -> Iterator[tuple[DataPath, str]]:
    """Every metric that a condition names, with its place."""
    for place, one in each_condition(form, path):
        asked = getattr(one, one.kind(), None)
        metric = getattr(asked, "metric", None)
        if isinstance(metric, str):
            yield (*place, one.kind(), "metric"), metric
        if isinstance(asked, RatioForm):
            yield (*place, "ratio", "of"), asked.to


def condition_of(form: ConditionForm) -> Condition:
    """The model's condition."""
    kind = form.kind()
    if kind in ("all", "any"):
        parts = tuple(condition_of(part) for part in form.all_of or form.any_of or ())
        return AllOf(parts) if kind == "all" else AnyOf(parts)
    if form.negated is not None:
        return Not(condition_of(form.negated))
    if form.outcome is not None:
        return OutcomeIs(tuple(form.outcome), tuple(form.reason or ()))
    if form.absent is not None:
        return Absent(form.absent)
    return _MADE[kind](getattr(form, kind))


def _take(written: str) -> tuple[Take, float]:
    return (Take.PERCENTILE, float(written[1:]) / 100) if written[0] == "p" else (Take(written), 0.0)


def _window(form: WindowForm) -> Window:
    take, quantile = _take(form.take)
    return Window(form.metric, form.over, take, form.limit(), quantile, form.least)


def _baseline(form: BaselineForm) -> Baseline:
    return Baseline(
        form.metric,
        form.factor,
        form.mads,
        form.floor,
        above=form.side != "below",
        below=form.side != "above",
        weeks=form.weeks,
        season=form.season,
    )


def _forecast(form: ForecastForm) -> Forecast:
    limit = Limit(form.below, form.above, form.label)
    return Forecast(form.metric, limit, form.within, form.over, form.confidence, form.least)


def _group(form: GroupForm) -> Group:
    return Group(
        condition_of(form.where), form.count, form.share, form.at_least, form.out_of, form.by, within_s=form.within
    )


_MADE: dict[str, Callable[[Any], Condition]] = {
    "above": lambda form: Above(form.metric, form.value, form.label),
    "below": lambda form: Below(form.metric, form.value, form.label),
    "outside": lambda form: Outside(form.metric, form.low, form.high),
    "window": _window,
    "rate": lambda form: Rate(form.metric, form.over, form.limit(), form.per, form.bits),
    "slope": lambda form: Slope(form.metric, form.over, form.limit(), form.per),
    "delta": lambda form: Delta(form.metric, form.over, form.limit()),
    "ratio": lambda form: Ratio(form.metric, form.to, form.limit(), form.over, form.least, form.bits),
    "changed": lambda form: Changed(form.metric, form.over),
    "of_last": lambda form: OfLast(form.n, form.of, condition_of(form.condition)),
    "baseline": _baseline,
    "forecast": _forecast,
    "group": _group,
}
