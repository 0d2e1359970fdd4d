"""What `check` warns of."""

from __future__ import annotations

from healthmon.config.loading import load_text

HEAD = "organisation: {id: x, name: X}\n"


def warnings_of(text: str) -> list[str]:
    return list(load_text(HEAD + text, name="f", env={}).warnings)


def test_a_service_of_tier_0_or_1_without_a_team() -> None:
    lines = warnings_of(
        """
services:
  - {id: zero, name: A, tier: 0, used_in: all, needs: [{at_least: 1, of: [a, b]}]}
  - {id: one, name: B, tier: 1, used_in: all, needs: [{at_least: 1, of: [a, b]}], team: it}
  - {id: two, name: C, tier: 2, used_in: all, needs: [{at_least: 1, of: [a, b]}]}
teams: {it: {}}
targets: [{id: a, kind: k, address: 192.0.2.1, checks: [icmp]}, {id: b, kind: k, address: 192.0.2.2, checks: [icmp]}]
notify: {channels: {in: {kind: inbox, path: p}}}
"""
    )

    assert lines == ["f:4:5: service 'zero' (tier 0) has no team"]


def test_a_staffed_area_without_a_contact() -> None:
    lines = warnings_of(
        """
areas:
  - {id: ward-7, name: W, kind: ward, contact: {phone: "1"}}
  - {id: ward-8, name: W, kind: ward}
  - {id: dc, name: D, kind: datacentre}
wards: {desk: {phone: "2-7000"}}
notify: {channels: {in: {kind: inbox, path: p}}}
"""
    )

    assert lines == ["f:5:5: staffed area 'ward-8' has no contact"]


def test_a_service_without_a_spare_names_its_single_points() -> None:
    lines = warnings_of(
        """
services:
  - {id: ehr, name: E, tier: 2, used_in: all, needs: [web, {at_least: 1, of: [db-a, db-b]}, dns]}
  - {id: dns, name: D, tier: 2, used_in: all, needs: [{at_least: 2, of: [db-a, db-b, san]}]}
targets:
  - {id: web, kind: k, address: 192.0.2.1, checks: [icmp]}
  - {id: db-a, kind: k, address: 192.0.2.2, needs: [san], checks: [icmp]}
  - {id: db-b, kind: k, address: 192.0.2.3, needs: [san], checks: [icmp]}
  - {id: san, kind: k, address: 192.0.2.4, checks: [icmp]}
notify: {channels: {in: {kind: inbox, path: p}}}
"""
    )

    assert lines == [
        "f:4:5: service 'ehr' (tier 2) has no spare by design: any one of san, web alone stops it",
        "f:5:5: service 'dns' (tier 2) has no spare by design: any one of san alone stops it",
    ]


def test_a_service_that_needs_nothing() -> None:
    lines = warnings_of(
        "services: [{id: s, name: S, tier: 3, used_in: all}]\nnotify: {channels: {in: {kind: inbox, path: p}}}"
    )

    assert lines == ["f:2:12: service 's' (tier 3) needs nothing: no fault can be traced to it"]


def test_targets_without_checks_and_no_channel() -> None:
    lines = warnings_of("targets: [{id: a, kind: k}, {id: b, kind: k}]")

    assert lines == [
        "f:1:1: no channel is declared: nobody can be told",
        "f:2:11: 2 targets have no checks, so nothing is known of them: a, b",
    ]


def test_wards_that_have_nobody_to_ring() -> None:
    areas = "areas: [{id: ward-7, name: W, kind: ward, contact: {phone: '1'}}]"
    channels = "notify: {channels: {in: {kind: inbox, path: p}}}"
    (said,) = warnings_of(f"\n{areas}\n{channels}\n")
    assert "no telephone number" in said
    for desk in ("wards: {desk: {phone: '2-7000'}}", "teams: {apps: {phone: '2-7300'}}"):
        assert warnings_of(f"\n{areas}\n{desk}\n{channels}\n") == []
