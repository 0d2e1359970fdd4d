"""The rules and policies that hold at a site: packs read, overrides applied, references checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from healthmon.config.fileforms import RuleOverrideForm
from healthmon.config.kinds import check_names
from healthmon.config.packs import Packs
from healthmon.config.problems import allowed, did_you_mean
from healthmon.config.rulepacks import PolicyPackForm, RuleForm, RulePackForm, metrics_of, policy_of, rule_of
from healthmon.config.validation import Placed, Validator
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.model.alert import Above, Below, Rule
from healthmon.model.incident import Policy

_RULES = "alerting/rules"
_POLICIES = "alerting/policies"
STOCK = "stock"
_OWN_FAMILIES = {"agent"}  # what an agent says of itself is declared by the role that says it, above this package


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
    made = ((rule_of(placed.form), overrides.get(rule_id)) for rule_id, (placed, _) in known.items())
    kept = (_overridden(rule, override, written) for rule, override in made)
    return tuple(rule for rule in kept if rule is not None)


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
        _selector_known(placed, validator, written)
        _metrics_known(placed, validator, packs)


def _selector_known(placed: Placed[RuleForm], validator: Validator, written: Written) -> None:
    places = (
        ("probes", placed.form.on.probes, check_names(), True),
        ("targets", placed.form.on.targets, written.raw_ids("targets"), False),
        ("areas", placed.form.on.areas, written.raw_ids("areas"), False),
    )
    for key, names, known, listed in places:
        for number, name in enumerate(names):
            if name not in known:
                hint = did_you_mean(name, known) + (allowed(known) if listed else "")
                validator.problem((*placed.path, "on", key, number), f"unknown name '{name}'{hint}")


def _metrics_known(placed: Placed[RuleForm], validator: Validator, packs: Packs) -> None:
    """A threshold on a metric that nothing emits would never fire, and nobody would know."""
    for key, form in (("condition", placed.form.condition), ("clear", placed.form.clear)):
        for path, metric in metrics_of(form, (*placed.path, key)) if form else ():
            known = packs.metrics()
            if metric not in known and metric.partition(".")[0] not in _OWN_FAMILIES:
                near = {name for name in known if name.startswith(metric.partition(".")[0] + ".")}
                hint = allowed(near) if near else did_you_mean(metric, known)
                validator.problem(path, f"nothing emits '{metric}'{hint}")


def _overridden(rule: Rule, override: RuleOverrideForm | None, written: Written) -> Rule | None:
    """The rule as this site wants it; None when it is switched off."""
    if override is None:
        return rule
    if not override.enabled:
        return None
    path: DataPath = ("alerting", "overrides", "rules", rule.id)
    changes = {
        "mode": override.mode,
        "hold_s": override.hold,
        "keep_s": override.keep,
        "stale_s": override.stale,
        "confirm": override.confirm,
        "clear_confirm": override.clear_confirm,
    }
    if override.value is not None:
        if isinstance(rule.condition, (Above, Below)):
            changes["condition"] = replace(rule.condition, value=override.value)  # type: ignore[assignment]
        else:
            message = "only a rule with one `above` or `below` has a value to override"
            written.validator.problem((*path, "value"), message)
    return replace(rule, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]


def policies_of(written: Written, packs: Packs) -> tuple[Policy, ...]:
    """The site's own policies, or those of the packs with the channels that the site has."""
    channels, teams = set(written.channels), written.raw_ids("teams")
    own = written.oncall.policies
    if own:
        for number, form in enumerate(own):
            path: DataPath = ("oncall", "policies", number)
            for step_number, step in enumerate(form.steps):
                _known(written, step.channels, channels, "channel", (*path, "steps", step_number, "channels"))
            _known(written, form.teams, teams, "team", (*path, "teams"))
        return tuple(policy_of(form) for form in own)
    policies = [policy for name in packs.names(_POLICIES) for policy in _pack_policies(name, packs, written)]
    return tuple(_with_channels(policy, written.channels) for policy in policies)


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
