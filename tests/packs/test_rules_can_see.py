"""No stock rule in name only: each kind of look that a rule lists gives one of the figures that it asks for."""

from __future__ import annotations

from importlib import import_module

import pytest

from healthmon.alerting.detect.conditions import metrics_of
from healthmon.collectors import COLLECTORS
from healthmon.config import load, stock_root
from healthmon.model.alert import Rule
from healthmon.probes import PROBES

#: What they may tell is a matter of the hospital's packs and tools, not of the code.
OPEN = {"openmetrics", "push"}
RULES = {rule.id: rule for rule in load(stock_root() / "configs" / "minimal.yaml", env={}).rules}


def told_by(kind: str) -> set[str]:
    """Every `family.field` that this kind of look may give."""
    module = import_module((PROBES | COLLECTORS)[kind].partition(":")[0])
    return {f"{family.name}.{field}" for family in module.FAMILIES for field in family.fields}


@pytest.mark.parametrize("rule", [one for one in RULES.values() if metrics_of(one)], ids=lambda rule: rule.id)
def test_every_probe_of_a_rule_gives_a_figure_that_it_asks_for(rule: Rule) -> None:
    blind = [kind for kind in rule.on.probes if kind not in OPEN and not metrics_of(rule) & told_by(kind)]
    assert blind == []
