"""What `check` warns of in what rules say: runbooks and placeholders of nothing, labels without a number."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from healthmon.alerting.detect.conditions import metrics_of
from healthmon.alerting.detect.figures import figures
from healthmon.alerting.detect.places import label_number
from healthmon.config.packs import Packs
from healthmon.config.problems import allowed
from healthmon.config.runbooks import runbook_file
from healthmon.config.texts import placeholders
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.model.alert import Rule
from healthmon.model.condition import questions
from healthmon.model.sample import Family
from healthmon.model.topology import Estate

#: Placeholders of every summary, beside the labels of what the rule looks at.
FILLED = frozenset({"target", "check", "vantage", "reason", "detail", *figures(None)})


def said_advice(
    rules: Iterable[Rule], packs: Packs, *, own: Collection[str], pushed: Mapping[str, Family]
) -> Iterator[str]:
    """Warnings about `own` rules. What is wrong here shows in a page at night, with holes in it."""
    labels: dict[str, set[str]] = {}
    for family in (*packs.families(), *pushed.values()):
        labels.setdefault(family.name, set()).update(family.labels)
    for rule in (one for one in rules if one.id in own):
        if not rule.runbook or "://" in rule.runbook:
            pass  # nothing is promised, or a page that is kept elsewhere
        elif runbook_file(packs, rule.runbook) is None:
            yield f"rule '{rule.id}' has the runbook '{rule.runbook}', and no pack has such a file in alerting/"
        elif not rule.first_steps:
            yield f"rule '{rule.id}' has the runbook '{rule.runbook}', which has no numbered steps"
        known = FILLED.union(*(labels.get(metric.partition(".")[0], set()) for metric in metrics_of(rule)))
        try:
            unknown = placeholders(rule.summary) - known
        except ValueError as error:
            yield f"rule '{rule.id}' has a summary that cannot be filled: {error}"
            continue
        for name in sorted(unknown):
            yield f"rule '{rule.id}' has an unknown placeholder {{{name}}} in its summary{allowed(known)}"


def label_advice(written: Written, rules: Iterable[Rule], estate: Estate) -> Iterator[tuple[DataPath, str]]:
    """Labels of targets from which a rule takes its limit and that hold no number: the rule's own limit stays."""
    takes: dict[str, list[str]] = {}
    for rule in rules:
        for label in _labels_of(rule):
            takes.setdefault(label, []).append(rule.id)
    for placed in written.targets if takes else ():
        target = estate.targets[placed.form.id]
        for label in sorted(takes.keys() & target.labels.keys()):
            if label_number(target, label) is None:
                text = f"label '{label}' of '{target.id}' is no number, and {', '.join(takes[label])} takes its limit"
                yield (*placed.path, "labels", label), f"{text} from it: its own limit stays"


def _labels_of(rule: Rule) -> set[str]:
    asked = list(questions(rule.condition)) + (list(questions(rule.clear)) if rule.clear else [])
    limits = (getattr(one, "limit", one) for one in asked)
    return {label for one in limits if (label := getattr(one, "label", ""))}
