"""What is wrong with a rule before it runs: names nothing knows, limits nothing passes, parts that exclude others."""

from __future__ import annotations

import math
from collections.abc import Iterator

from healthmon.config.conditions import ConditionForm, ForecastForm, LimitedForm, each_condition, metrics_of
from healthmon.config.kinds import check_names
from healthmon.config.lineforms import families_of
from healthmon.config.packs import Packs
from healthmon.config.problems import allowed, did_you_mean
from healthmon.config.rulepacks import RuleForm
from healthmon.config.validation import Placed, Validator
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath

_OWN_FAMILIES = {"agent"}  # what an agent says of itself is declared by the role that says it, above this package
#: Ratios that may be more than one by their nature.
_BEYOND_ONE = ("load_ratio",)
_ONE_READING = ("above", "below", "outside")
_ONE_SIDED = ("above", "below")
_LIMITED = (LimitedForm, ForecastForm)

Found = tuple[DataPath, str]
Range = tuple[float, float]


def references_known(placed: Placed[RuleForm], validator: Validator, written: Written, packs: Packs) -> None:
    """Names of probes, targets, areas, sites; and metrics: one that nothing emits would never fire, unnoticed."""
    on, sites = placed.form.on, written.raw_ids("sites") | {written.organisation.id}
    places = (
        ("probes", on.probes, check_names(), True),
        ("targets", on.targets, written.raw_ids("targets"), False),
        ("areas", on.areas, written.raw_ids("areas"), False),
        ("sites", on.sites, sites, False),
    )
    for key, names, known, listed in places:
        for number, name in enumerate(names):
            if name not in known:
                hint = did_you_mean(name, known) + (allowed(known) if listed else "")
                validator.problem((*placed.path, "on", key, number), f"unknown name '{name}'{hint}")
    for path, metric in _metrics(placed):
        known = packs.metrics() | _line_metrics(written)
        if metric not in known and metric.partition(".")[0] not in _OWN_FAMILIES:
            near = {name for name in known if name.startswith(metric.partition(".")[0] + ".")}
            hint = allowed(near) if near else did_you_mean(metric, known)
            validator.problem(path, f"nothing emits '{metric}'{hint}")


def _line_metrics(written: Written) -> frozenset[str]:
    """Of measurements that other tools send as line protocol."""
    families = families_of(written.line_protocol.measurements) if written.line_protocol else {}
    return frozenset(f"{name}.{field}" for name, family in families.items() for field in family.fields)


def lint_rule(placed: Placed[RuleForm], validator: Validator) -> None:
    """Everything about one rule that can be seen without a site."""
    for path, message in (*_groups(placed), *_silence(placed), *_impossible(placed), *_stays(placed)):
        validator.problem(path, message)


def _metrics(placed: Placed[RuleForm]) -> Iterator[tuple[DataPath, str]]:
    for key, form in _written(placed):
        yield from metrics_of(form, (*placed.path, key))


def _written(placed: Placed[RuleForm]) -> Iterator[tuple[str, ConditionForm]]:
    yield "condition", placed.form.condition
    if placed.form.clear is not None:
        yield "clear", placed.form.clear


def _groups(placed: Placed[RuleForm]) -> Iterator[Found]:
    """A group is a whole condition: it is judged when a count moves, not once a reading."""
    rule = placed.form
    for key, form in _written(placed):
        for path, one in each_condition(form, (*placed.path, key)):
            if one.group is not None and (path != (*placed.path, "condition")):
                yield path, "a group stands alone as the `condition` of a rule"
    if rule.condition.group is None:
        if rule.on.agents and any(part.kind() != "absent" for _, part in each_condition(rule.condition, ())):
            yield (*placed.path, "condition"), "of agents only their silence can be asked (allowed: absent, group)"
        return
    if rule.on.agents and rule.condition.group.where.absent is None:
        yield (
            (*placed.path, "condition", "group", "where"),
            "of agents only their silence can be asked (allowed: absent)",
        )
    for key, count in (("confirm", rule.confirm), ("clear_confirm", rule.clear_confirm)):
        if count != 1:
            yield (*placed.path, key), "a group is judged when a count moves: use `hold` and `keep`"
    if rule.clear is not None:
        yield (*placed.path, "clear"), "a group is clear when it no longer holds: use `keep`"


def _silence(placed: Placed[RuleForm]) -> Iterator[Found]:
    """Silence is no reading: nothing is judged beside it, and it ends by itself when something is heard."""
    for key, form in _written(placed):
        for path, one in each_condition(form, (*placed.path, key)):
            if one.absent is not None and key == "clear":
                yield path, "silence is no reading: `clear` cannot ask for `absent`"
            if one.of_last is not None and _asks_silence(one.of_last.condition):
                yield path, "silence is no reading: `absent` cannot be counted in `of_last`"
            if one.negated is not None and _asks_silence(one.negated):
                yield path, "silence is no reading: `absent` cannot be negated"
            if any(_asks_silence(part) for part in one.all_of or ()):
                yield path, "silence would fire alone: `absent` cannot stand in `all` (allowed: any)"
            if one.group is not None and one.group.where.absent is None and _asks_silence(one.group.where):
                yield (*path, "group", "where"), "`absent` stands alone as the `where` of a group"


def _asks_silence(form: ConditionForm) -> bool:
    return any(part.absent is not None for _, part in each_condition(form, ()))


def _stays(placed: Placed[RuleForm]) -> Iterator[Found]:
    """A `clear` on the side of the condition: what raised the alert keeps it, and no good value ends it."""
    rule = placed.form
    for scale, side in _sides(rule.clear) if rule.clear is not None else ():
        if (scale, side) in _sides(rule.condition):
            other = "below" if side == "above" else "above"
            yield (*placed.path, "clear"), f"no good value would clear it: both are `{side}` (allowed: {other})"


def _sides(form: ConditionForm) -> list[tuple[tuple[str, str], str]]:
    """((scale, metric), side) of one plain limit."""
    kind = form.kind()
    asked = getattr(form, kind, None)
    if kind in _ONE_SIDED:
        return [(("", asked.metric), kind)]  # type: ignore[union-attr]
    sides = [side for side in _ONE_SIDED if isinstance(asked, _LIMITED) and getattr(asked, side) is not None]
    return [((kind, asked.metric), side) for side in sides]  # type: ignore[union-attr]


def _impossible(placed: Placed[RuleForm]) -> Iterator[Found]:
    for key, form in _written(placed):
        for path, one in each_condition(form, (*placed.path, key)):
            yield from _beyond_ratio(one, path)
            if one.all_of is not None:
                yield from _excluding(one, path)


def _beyond_ratio(form: ConditionForm, path: DataPath) -> Iterator[Found]:
    """A share is never more than 1 nor less than 0."""
    for key, metric, (low, high) in _limits(form):
        ratio = metric.endswith("_ratio") and not metric.endswith(_BEYOND_ONE)
        if ratio and (low >= 1 or high <= 0):
            yield (*path, key), f"can never hold: '{metric}' is between 0 and 1"


def _excluding(form: ConditionForm, path: DataPath) -> Iterator[Found]:
    """Two parts of an `all` that no single value satisfies."""
    ranges: dict[tuple[str, str], Range] = {}
    for number, part in enumerate(form.all_of or ()):
        for key, metric, (low, high) in _limits(part):
            scale = ("" if key in _ONE_READING else f"{key} {part.window.over if part.window else ''}", metric)
            before = ranges.get(scale, (-math.inf, math.inf))
            both = ranges[scale] = (max(low, before[0]), min(high, before[1]))
            if both[0] >= both[1]:
                yield (*path, "all", number), f"can never hold beside the other parts: no '{metric}' is both"


def _limits(form: ConditionForm) -> Iterator[tuple[str, str, Range]]:
    """(key, metric, open range in which it holds) of plain limits on the metric's own scale."""
    if form.above is not None:
        yield "above", form.above.metric, (form.above.value, math.inf)
    if form.below is not None:
        yield "below", form.below.metric, (-math.inf, form.below.value)
    if form.window is not None and form.window.take != "sum":
        yield from ((key, form.window.metric, span) for key, span in _one_sided("window", form.window))


def _one_sided(key: str, form: LimitedForm) -> Iterator[tuple[str, Range]]:
    if form.above is not None:
        yield key, (form.above, math.inf)
    if form.below is not None:
        yield key, (-math.inf, form.below)
