"""`healthmon check`: a summary of what the configuration describes, and its warnings."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import typer

from healthmon.config import lint_packs, plan_for, plan_to_json, poller_plan
from healthmon.config.problemrows import rows
from healthmon.config.ruletests import rule_test_problems
from healthmon.model.errors import ConfigError
from healthmon.model.plan import Broker

T = TypeVar("T")


def report(site: Any, *, as_json: bool) -> str:
    """What was found, then what to look at. Raises ConfigError for packs that are there and wrong, used or not."""
    lines = site.line_protocol.families if site.line_protocol else None
    problems = lint_packs(site.pack_roots[1:], lines=lines)
    if problems:
        raise ConfigError(problems)
    warnings = [*site.warnings, *rule_test_problems(site.pack_roots[1:])]
    estate = site.estate
    counts = {
        "areas": len(estate.areas),
        "services": len(estate.services),
        "targets": len(estate.targets),
        "checks": sum(len(target.checks) for target in estate.targets.values()),
        "agents": len(estate.agents),
        "rules": len(site.rules),
        "channels": len(site.channels),
    }
    if as_json:
        found = rows(warnings, "warning")
        data = {"ok": True, "counts": counts, "warnings": warnings, "mode": site.alerting.mode}
        return json.dumps(data | {"problems": found})
    summary = ", ".join(f"{number} {name}" for name, number in counts.items())
    lines = [f"ok: {estate.organisation.name}: {summary}; alerting is {site.alerting.mode}"]
    return "\n".join(lines + [f"warning: {warning}" for warning in warnings])


def or_refused(work: Callable[[], T], *, as_json: bool) -> T:
    """What the work gives; a configuration that is not in order is told as data where that is asked for."""
    try:
        return work()
    except ConfigError as error:
        if not as_json:
            raise
        typer.echo("\n".join(error.problems), err=True)
        typer.echo(json.dumps({"ok": False, "problems": rows(error.problems, "error")}))
        raise typer.Exit(2) from None


def resolved(site: Any, agent: str) -> str:
    """The resolved file of one agent; it holds its credentials on the broker."""
    from healthmon.app.identities import own_broker

    if site.broker is None:
        from healthmon.app.roles import known_broker

        broker: Broker = known_broker(site)
    else:
        broker = site.broker
    if agent == "poller":
        return plan_to_json(poller_plan(site, broker=own_broker(site, broker, agent)))
    if agent not in site.estate.agents:
        raise ConfigError([f"--resolve {agent}: no such agent (allowed: {', '.join(sorted(site.estate.agents))})"])
    return plan_to_json(plan_for(site, agent, broker=own_broker(site, broker, agent)))
