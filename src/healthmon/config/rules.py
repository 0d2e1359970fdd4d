"""The rules and policies that hold at a site: packs read, overrides applied, references checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from healthmon.config.fileforms import RuleOverrideForm
from healthmon.config.oncall import guaranteed, words_known
from healthmon.config.packs import Packs
from healthmon.config.problems import Spot, allowed, did_you_mean
from healthmon.config.rulelint import lint_rule, references_known
from healthmon.config.rulepacks import PolicyPackForm, RuleForm, RulePackForm, policy_of, rule_of
from healthmon.config.runbooks import steps_of
from healthmon.config.validation import Placed, Validator
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.model.alert import EVERYWHERE_ELSE, Rule
from healthmon.model.condition import (
    Above,
    Below,
    Condition,
    Delta,
    Forecast,
    Limit,
    OfLast,
    Rate,
    Ratio,
    Slope,
    Window,
)
from healthmon.model.incident import Policy

_RULES = "alerting/rules"
_POLICIES = "alerting/policies"
STOCK = "stock"


def rules_of(written: Written, packs: Packs) -> tuple[Rule, ...]:
    """Every rule of the chosen packs with the site's overrides."""
    known: dict[str, tuple[Placed[RuleForm], Validator]] = {}
    for name in _chosen(written, packs):
        _read_rules(f"{_RULES}/{name}.yaml", packs, written, known)
    overrides = written.alerting.overrides.rules
    for rule_id in overrides:
        if rule_id not in known:
            path = ("alerting", "overrides", "rules", rule_id)
            written.validator.problem(path, f"unknown rule{did_you_mean(rule_id, known)}{allowed(known)}", key=True)
    places = _places(written, known)
    where: DataPath = ("alerting", "overrides", "rules")
    kept = (
        _at_home(_with_steps(rule_of(placed.form), packs), overrides.get(rule_id), (*where, rule_id), places, written)
        for rule_id, (placed, _) in known.items()
    )
    return tuple(rule for rule in kept if rule is not None)


def _with_steps(rule: Rule, packs: Packs) -> Rule:
    return replace(rule, first_steps=steps_of(packs, rule.runbook))


OverridePlace = tuple[DataPath, Mapping[str, RuleOverrideForm]]


def own_rules(packs: Packs) -> dict[str, Spot]:
    """The rules in files that are not the stock ones, and where they stand."""
    names = [f"{_RULES}/{name}.yaml" for name in packs.names(_RULES)]
    own = [packs.document(name) for name in names if packs.find(name) != packs.roots[0] / name]
    return {
        str(rule["id"]): document.spot(("rules", number, "id"))
        for document in own
        if document
        for number, rule in enumerate(_listed(document.data.get("rules")))
        if isinstance(rule, dict) and "id" in rule
    }


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _places(written: Written, known: Mapping[str, object]) -> dict[str, OverridePlace]:
    """Overrides of rules by `area:ID` and `site:ID`."""
    found: dict[str, OverridePlace] = {}
    overrides = written.alerting.overrides
    for word, key, forms in (("area", "areas", overrides.areas), ("site", "sites", overrides.sites)):
        for name, form in forms.items():
            path: DataPath = ("alerting", "overrides", key, name)
            found[f"{word}:{name}"] = (path, form.rules)
            for rule_id in form.rules:
                if rule_id not in known:
                    message = f"unknown rule{did_you_mean(rule_id, known)}{allowed(known)}"
                    written.validator.problem((*path, "rules", rule_id), message, key=True)
    return found


def _chosen(written: Written, packs: Packs) -> list[str]:
    names = packs.names(_RULES)
    chosen: dict[str, None] = {}
    for number, name in enumerate(written.alerting.packs):
        if name == STOCK:
            chosen.update(dict.fromkeys(names))
        elif name in names:
            chosen[name] = None
        else:
            message = f"unknown rule pack '{name}'{did_you_mean(name, names)}{allowed([STOCK, *names])}"
            written.validator.problem(("alerting", "packs", number), message)
    return list(chosen)


def _read_rules(
    relative: str, packs: Packs, written: Written, known: dict[str, tuple[Placed[RuleForm], Validator]]
) -> None:
    document = packs.document(relative)
    if document is None:
        return
    validator = Validator(document, written.validator.problems)
    validator.one(RulePackForm, (), {**document.data, "rules": document.data.get("rules") and []})
    for placed in validator.each(RuleForm, ("rules",)):
        rule_id = placed.form.id
        if rule_id in known:
            other, elsewhere = known[rule_id]
            spot = elsewhere.spot((*other.path, "id"))
            validator.problem((*placed.path, "id"), f"rule id '{rule_id}' is already used at {spot}")
            continue
        known[rule_id] = (placed, validator)
        references_known(placed, validator, written, packs)
        lint_rule(placed, validator)


def _at_home(
    rule: Rule, own: RuleOverrideForm | None, path: DataPath, places: Mapping[str, OverridePlace], written: Written
) -> Rule | None:
    """The rule as this site wants it, with how it differs in single places; None when it is off everywhere."""
    made = overridden(rule, own, path, written)
    variants: dict[str, Rule | None] = {}
    for place, (where, forms) in places.items():
        form = forms.get(rule.id)
        if form is not None:
            variants[place] = overridden(made or rule, form, (*where, "rules", rule.id), written)
    if made is None and any(variants.values()):
        made, variants = rule, {**variants, EVERYWHERE_ELSE: None}
    return replace(made, places=variants) if made and variants else made


def overridden(rule: Rule, override: RuleOverrideForm | None, path: DataPath, written: Written) -> Rule | None:
    """The rule with what the override changes; None when it is switched off."""
    if override is None:
        return rule
    if not override.enabled:
        return None
    changes = {
        "mode": override.mode,
        "hold_s": override.hold,
        "keep_s": override.keep,
        "stale_s": override.stale,
        "confirm": override.confirm,
        "clear_confirm": override.clear_confirm,
    }
    if override.value is not None:
        condition = with_value(rule.condition, override.value)
        if condition is None:
            message = "only a rule with one `above` or `below` has a value to override"
            written.validator.problem((*path, "value"), message)
        else:
            changes["condition"] = condition  # type: ignore[assignment]
    return replace(rule, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]


def with_value(condition: Condition, value: float) -> Condition | None:
    """The condition with its one limit moved; None when it has none, or several."""
    match condition:
        case Above() | Below():
            return replace(condition, value=value)
        case (
            Window(limit=limit)
            | Rate(limit=limit)
            | Slope(limit=limit)
            | Delta(limit=limit)
            | Ratio(limit=limit)
            | Forecast(limit=limit)
        ):
            high = limit.high is not None
            if high and limit.low is not None:
                return None
            return replace(condition, limit=Limit(None if high else value, value if high else None, limit.label))
        case OfLast(condition=part):
            inner = with_value(part, value)
            return None if inner is None else replace(condition, condition=inner)
        case _:
            return None


def policies_of(written: Written, packs: Packs) -> tuple[Policy, ...]:
    """The site's own policies, or those of the packs with the channels that the site has."""
    channels, teams = set(written.channels), written.raw_ids("teams")
    own = written.oncall.policies
    if own:
        for number, form in enumerate(own):
            path: DataPath = ("oncall", "policies", number)
            for step_number, step in enumerate(form.steps):
                where: DataPath = (*path, "steps", step_number)
                named = [name.partition(":")[0] for name in step.channels]
                _known(written, named, channels, "channel", (*where, "channels"))
                words_known(written, step.to, (*where, "to"))
                if not step.channels and not step.to:
                    written.validator.problem(where, "tells nobody: give `channels` or `to`")
            _known(written, form.teams, teams, "team", (*path, "teams"))
        return tuple(guaranteed(policy_of(form), written.oncall) for form in own)
    policies = [policy for name in packs.names(_POLICIES) for policy in _pack_policies(name, packs, written)]
    return tuple(guaranteed(_with_channels(policy, written.channels), written.oncall) for policy in policies)


def _pack_policies(name: str, packs: Packs, written: Written) -> list[Policy]:
    document = packs.document(f"{_POLICIES}/{name}.yaml")
    if document is None:
        return []
    validator = Validator(document, written.validator.problems)
    form: PolicyPackForm | None = validator.one(PolicyPackForm, (), document.data)
    return [policy_of(policy) for policy in form.policies] if form else []


def _with_channels(policy: Policy, channels: Mapping[str, object]) -> Policy:
    """A stock step names channels that a site may not have: those are left out, and if none is left, all are told."""
    steps = (
        replace(step, channels=tuple(name for name in step.channels if name in channels) or tuple(channels))
        for step in policy.steps
    )
    return replace(policy, steps=tuple(steps))


def _known(written: Written, names: list[str], known: set[str], what: str, path: DataPath) -> None:
    for number, name in enumerate(names):
        if name not in known:
            written.validator.problem(
                (*path, number), f"unknown {what} '{name}'{did_you_mean(name, known)}{allowed(known)}"
            )
