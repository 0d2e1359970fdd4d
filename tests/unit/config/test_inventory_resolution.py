"""References, groups, roles and vantages of the inventory."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.config.loading import load_text
from healthmon.config.needs import circles
from healthmon.config.site import SiteConfig
from healthmon.model.errors import ConfigError
from healthmon.model.topology import AtLeast, Need, need_ids

HEAD = "organisation: {id: x, name: X}\n"


def site_of(text: str) -> SiteConfig:
    return load_text(HEAD + text, env={})


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        site_of(text)
    return caught.value.problems


def test_a_group_adds_checks_to_what_matches_and_a_targets_own_wins() -> None:
    site = site_of(
        """
targets:
  - {id: a, kind: switch, address: 192.0.2.1, labels: {layer: core}, checks: [{kind: icmp, every: 5s}]}
  - {id: b, kind: switch, address: 192.0.2.2, labels: {layer: access}}
  - {id: c, kind: printer, address: 192.0.2.3}
groups:
  - {match: {kind: [switch, router]}, checks: [icmp]}
  - {match: {kind: switch, label: {layer: core}}, checks: [{kind: tcp, port: 22}]}
"""
    )
    checks = {
        target.id: {check.id: check.every_s for check in target.checks} for target in site.estate.targets.values()
    }

    assert checks == {"a": {"icmp": 5.0, "tcp": 30.0}, "b": {"icmp": 30.0}, "c": {}}


def test_a_group_by_area_and_site() -> None:
    site = site_of(
        """
sites: [{id: main, name: Main}, {id: west, name: West}]
areas: [{id: ward-7, name: W, kind: ward, site: west}]
targets:
  - {id: a, kind: switch, address: 192.0.2.1, area: ward-7}
  - {id: b, kind: switch, address: 192.0.2.2, site: main}
groups:
  - {match: {area: ward-7}, checks: [{id: by-area, kind: icmp}]}
  - {match: {site: main}, checks: [{id: by-site, kind: icmp}]}
"""
    )

    assert site.estate.targets["a"].site == "west"
    assert [check.id for check in site.estate.targets["a"].checks] == ["by-area"]
    assert [check.id for check in site.estate.targets["b"].checks] == ["by-site"]


def test_an_idle_group_is_a_warning() -> None:
    site = site_of("groups: [{match: {kind: toaster}, checks: [icmp]}]")

    assert any("matches no target" in line for line in site.warnings)


def test_roles_put_collectors_on_the_host_with_the_agent_as_vantage() -> None:
    site = site_of(
        """
targets: [{id: pc-1, kind: pc, address: 192.0.2.1}]
agents: [{id: pc-1, roles: [ward-workstation]}]
"""
    )
    checks = {check.id: check for check in site.estate.targets["pc-1"].checks}

    assert checks["cpu"].kind == "host_cpu"
    assert checks["cpu"].vantages == ("pc-1",)
    assert site.estate.vantage_target("pc-1") is site.estate.targets["pc-1"]


def test_two_agents_on_one_host_share_the_checks_of_their_role() -> None:
    site = site_of(
        """
targets: [{id: srv, kind: server, address: 192.0.2.1}]
agents: [{id: one, target: srv, roles: [linux-server]}, {id: two, target: srv, roles: [linux-server]}]
"""
    )

    assert {check.vantages for check in site.estate.targets["srv"].checks} == {("one", "two")}


def test_a_collector_written_on_a_target_runs_at_its_agent() -> None:
    site = site_of(
        """
targets: [{id: srv, kind: server, checks: [{kind: host_cpu, every: 5s}]}]
agents: [{id: srv-agent, target: srv}]
"""
    )

    assert site.estate.targets["srv"].checks[0].vantages == ("srv-agent",)


def test_a_collector_without_an_agent_is_an_error() -> None:
    lines = problems_of("targets: [{id: srv, kind: server, checks: [host_cpu]}]")

    assert lines == [
        "healthmon.yaml:2:11: targets[srv]: check 'host_cpu' (host_cpu) looks at the host it runs on, "
        "and no agent runs on this one"
    ]


def test_the_poller_is_an_agent_too() -> None:
    site = site_of("targets: [{id: mon, kind: server, address: 192.0.2.1}]\nagents: [{id: poller, target: mon}]")

    assert site.estate.agents["poller"].target == "mon"
    assert site_of("").estate.agents["poller"].target is None


def test_an_agent_must_not_be_called_agents() -> None:
    assert "'agents' means every agent" in problems_of("agents: [{id: agents}]")[0]


def test_unknown_kinds_name_the_known_ones() -> None:
    (line,) = problems_of("targets: [{id: a, kind: switch, address: 192.0.2.1, checks: [{kind: snmpp}]}]")

    assert line.startswith(
        "healthmon.yaml:2:69: targets[a].checks[snmpp].kind: unknown check kind 'snmpp', did you mean 'snmp'? (allowed:"
    )
    assert "icmp" in line


def test_unknown_parameters_name_the_known_ones() -> None:
    (line,) = problems_of("targets: [{id: a, kind: switch, address: 192.0.2.1, checks: [{kind: tcp, prot: 22}]}]")

    assert line.startswith("healthmon.yaml:2:74: targets[a].checks[tcp].prot: unknown key, did you mean 'port'?")


def test_unknown_roles_and_channel_kinds_name_the_known_ones() -> None:
    role, channel = problems_of(
        """
agents: [{id: pc-1, roles: [ward-workstatoin]}]
targets: [{id: pc-1, kind: pc}]
notify: {channels: {pager: {kind: webhok}}}
"""
    )

    assert "unknown role 'ward-workstatoin', did you mean 'ward-workstation'?" in role
    assert "unknown channel kind 'webhok', did you mean 'webhook'? (allowed:" in channel


def test_used_in_takes_kinds_and_an_area_id_wins_over_a_kind() -> None:
    site = site_of(
        """
areas:
  - {id: ed, name: ED, kind: ed}
  - {id: ed-minors, name: Minors, kind: ed}
  - {id: ward-7, name: W7, kind: ward}
  - {id: ward-8, name: W8, kind: ward}
services:
  - {id: one, name: One, tier: 2, used_in: [ed, ward]}
  - {id: two, name: Two, tier: 2, used_in: ward-8}
"""
    )

    assert site.estate.services["one"].used_in == ("ed", "ward-7", "ward-8")
    assert site.estate.services["two"].used_in == ("ward-8",)
    assert not site.estate.services["one"].everywhere


def test_one_mistake_in_an_item_causes_no_second_complaint_elsewhere() -> None:
    lines = problems_of(
        """
targets:
  - {id: a, kind: switch, adress: 192.0.2.1}
  - {id: b, kind: switch, address: 192.0.2.2, needs: [a]}
"""
    )

    assert len(lines) == 1


def test_a_long_chain_is_no_circle_and_no_recursion() -> None:
    chain: dict[str, tuple[Need, ...]] = {f"n{i}": (f"n{i + 1}",) for i in range(20_000)}

    assert list(circles(chain)) == []


names = st.sampled_from([f"n{i}" for i in range(8)])
needs = st.lists(st.one_of(names, st.builds(lambda of: AtLeast(1, tuple(of)), st.lists(names, min_size=1))), max_size=3)


@given(st.dictionaries(names, needs.map(tuple)))
def test_circles_are_found_exactly_when_there_are_some(graph: Mapping[str, tuple[Need, ...]]) -> None:
    found = list(circles(graph))

    for circle in found:
        for here, following in zip(circle, [*circle[1:], circle[0]], strict=True):
            assert following in need_ids(graph[here])
    assert bool(found) == has_circle(graph)


def has_circle(graph: Mapping[str, tuple[Need, ...]]) -> bool:
    """Take away, again and again, whatever needs nothing that is left."""
    left = {node: set(need_ids(wanted)) & set(graph) for node, wanted in graph.items()}
    while True:
        free = {node for node, wanted in left.items() if not wanted}
        if not free:
            return bool(left)
        left = {node: wanted - free for node, wanted in left.items() if node not in free}
