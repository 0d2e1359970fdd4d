"""One agent's share of a site: its jobs with parameters resolved and secrets read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace

from healthmon.config.inventory import POLLER
from healthmon.config.site import SiteConfig
from healthmon.model.errors import NotFound
from healthmon.model.plan import Broker, Job, Plan
from healthmon.model.topology import PUSHED_KINDS, Agent, Check, Target


def plan_for(site: SiteConfig, agent: str, *, broker: Broker) -> Plan:
    """The plan of a declared agent: the checks that name it, those from `agents`, and its roles. Raises NotFound."""
    declared = site.estate.agents.get(agent)
    if declared is None:
        raise NotFound(f"no agent '{agent}' is declared under `agents`")
    return _plan(site, declared, broker)


def poller_plan(site: SiteConfig, *, broker: Broker, agent: str = POLLER) -> Plan:
    """The plan of the server's poller, which publishes under `agent`; its files lie in the data directory."""
    declared = site.estate.agents.get(POLLER) or Agent(POLLER)
    plan = _plan(site, declared, broker)
    return replace(
        plan,
        agent=agent,
        spool_path=str(site.data_dir / f"{agent}-spool.sqlite"),
        stop_file=str(site.data_dir / "stop-probing"),
    )


def plan_to_json(plan: Plan) -> str:
    """What `healthmon agent -c FILE.json` reads. Holds secrets: write it with mode 0600."""
    return json.dumps(asdict(plan), indent=1, sort_keys=True) + "\n"


def _plan(site: SiteConfig, agent: Agent, broker: Broker) -> Plan:
    jobs = tuple(_job(target, check) for target, check in _mine(site, agent.id))
    return Plan(
        site=site.estate.organisation.id,
        agent=agent.id,
        broker=broker,
        jobs=jobs,
        safety=site.safety,
        spool_path=f"{agent.id}-spool.sqlite",
        spool_max_bytes=agent.spool_max_bytes,
        fleet_size=len(site.estate.agents),
        target=agent.target,
    )


def _mine(site: SiteConfig, agent: str) -> Iterator[tuple[Target, Check]]:
    names = {agent} if agent == POLLER else {agent, "agents"}
    for target in site.estate.targets.values():
        for check in target.checks:
            if check.kind not in PUSHED_KINDS and not names.isdisjoint(check.vantages):
                yield target, check


def _job(target: Target, check: Check) -> Job:
    return Job(
        target=target.id,
        check=check.id,
        kind=check.kind,
        address=target.address,
        every_s=check.every_s,
        timeout_s=check.timeout_s,
        params=dict(check.params),
        recheck=check.recheck,
    )
