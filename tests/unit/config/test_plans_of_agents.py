"""What agents and pollers are told to do, and that it survives the file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from healthmon.config import default_site, job_for, plan_for, plan_to_json, poller_plan
from healthmon.config.loading import load_text
from healthmon.model.errors import ConfigError, NotFound
from healthmon.model.plan import Broker, Plan

BROKER = Broker("mqtt://127.0.0.1:1883", "server", "secret", None)
SITE = """
organisation: {id: st-elsewhere, name: X}
data_dir: /srv/healthmon
targets:
  - {id: mon, kind: server, address: 192.0.2.1}
  - {id: pc-1, kind: pc, address: 192.0.2.2}
  - id: ehr
    kind: endpoint
    address: https://ehr.example
    checks:
      - {id: everywhere, kind: http, path: /a, from: [poller, agents]}
      - {id: only-pc-1, kind: http, path: /b, from: pc-1}
      - {id: only-poller, kind: tcp, port: 443, every: 10s, timeout: 2s, recheck: 0}
agents:
  - {id: poller, target: mon}
  - {id: pc-1, roles: [ward-workstation], spool_max_bytes: 1048576}
  - {id: pc-2}
safety: {deny: [192.0.2.99]}
"""


def ids(plan: Plan) -> set[str]:
    return {job.check for job in plan.jobs}


def test_the_poller_gets_what_names_it() -> None:
    plan = poller_plan(load_text(SITE, env={}), broker=BROKER)

    assert ids(plan) == {"everywhere", "only-poller"}
    assert (plan.site, plan.agent, plan.target) == ("st-elsewhere", "poller", "mon")
    assert plan.spool_path == "/srv/healthmon/poller-spool.sqlite"
    assert plan.stop_file == "/srv/healthmon/stop-probing"
    assert plan.safety.deny == ("192.0.2.99/32",)
    job = next(job for job in plan.jobs if job.check == "only-poller")
    assert (job.kind, job.every_s, job.timeout_s, job.params, job.recheck) == ("tcp", 10.0, 2.0, {"port": 443}, 0)


def test_an_agent_gets_its_role_its_own_checks_and_those_of_all_agents() -> None:
    site = load_text(SITE, env={})
    first, second = plan_for(site, "pc-1", broker=BROKER), plan_for(site, "pc-2", broker=BROKER)

    assert ids(first) >= {"everywhere", "only-pc-1", "cpu", "memory"}
    assert "only-poller" not in ids(first)
    assert ids(second) == {"everywhere"}
    assert first.spool_max_bytes == 1048576
    assert first.target == "pc-1"
    assert first.fleet_size == 3


def test_an_undeclared_agent_is_not_found() -> None:
    with pytest.raises(NotFound, match="no agent 'pc-9' is declared"):
        plan_for(load_text(SITE, env={}), "pc-9", broker=BROKER)


def test_a_plan_reads_back_as_it_was() -> None:
    plan = plan_for(load_text(SITE, env={}), "pc-1", broker=BROKER)

    assert msgspec.json.decode(plan_to_json(plan), type=Plan) == plan


def test_parameters_decode_as_the_probe_decodes_them() -> None:
    from healthmon.probes.http import Params

    plan = poller_plan(load_text(SITE, env={}), broker=BROKER)
    job = next(job for job in plan.jobs if job.check == "everywhere")

    assert msgspec.convert(job.params, Params) == Params(path="/a")


def test_secrets_are_in_the_plan_and_not_in_its_text(tmp_path: Path) -> None:
    (tmp_path / "community").write_text("squeamish\n", encoding="utf-8")
    text = SITE.replace("- {id: mon, kind: server, address: 192.0.2.1}", MON)
    site = load_text(text, name=str(tmp_path / "healthmon.yaml"), env={})
    plan = poller_plan(site, broker=BROKER)

    assert next(job for job in plan.jobs if job.kind == "snmp").params["community"] == "squeamish"
    assert "squeamish" not in repr(site) + repr(plan)


MON = "- {id: mon, kind: server, address: 192.0.2.1, checks: [{kind: snmp, pack: system, community_file: community}]}"


def test_checks_that_are_alike_share_their_parameters() -> None:
    text = "organisation: {id: x, name: X}\ntargets:\n" + "".join(
        f"  - {{id: s{i}, kind: switch, address: 192.0.2.{i}, checks: [{{kind: snmp, pack: if-mib}}]}}\n"
        for i in (1, 2)
    )
    first, second = load_text(text, env={}).estate.targets.values()

    assert first.checks[0].params is second.checks[0].params


def test_one_probe_outside_any_schedule() -> None:
    job = job_for("http", target="ehr", address="https://ehr.example", params={"path": "/x", "statuses": "[200, 404]"})

    assert (job.kind, job.address, job.params) == (
        "http",
        "https://ehr.example",
        {"path": "/x", "statuses": [200, 404]},
    )
    assert (
        job_for("snmp", target="s", address="192.0.2.1", params={"pack": "if-mib"}).params["pack"]["slug"] == "if-mib"
    )


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("htp", {}, "unknown check kind 'htp', did you mean 'http'?"),
        ("tcp", {"prot": "22"}, "prot: unknown key, did you mean 'port'?"),
        ("tcp", {"port": "many"}, "port: 'many' must be a whole number"),
        ("snmp", {"pack": "if-mob"}, "unknown pack 'if-mob' of snmp, did you mean 'if-mib'?"),
        ("tcp", {"port": "[1"}, "not valid YAML"),
    ],
)
def test_a_wrong_probe_is_told_without_a_place_in_a_file(kind: str, params: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        job_for(kind, target="t", address="192.0.2.1", params=params)

    assert message in caught.value.problems[0]
    assert "--param" not in caught.value.problems[0]


def test_without_a_configuration_this_host_and_its_resolver_are_watched_and_nothing_else() -> None:
    site = default_site(hostname="host-1", resolver="192.0.2.53", env={})
    plan = poller_plan(site, broker=BROKER)

    assert [(job.target, job.kind, job.address, job.params) for job in plan.jobs] == [
        ("resolver", "tcp", "192.0.2.53", {"port": 53})
    ]
    assert {job.target for job in plan_for(site, "local", broker=BROKER).jobs} == {"this-host"}
    assert site.alerting.mode == "shadow"


def test_an_ipv6_resolver_is_an_address_too() -> None:
    site = default_site(resolver="2001:db8::53", env={})

    assert site.estate.targets["resolver"].address == "2001:db8::53"
