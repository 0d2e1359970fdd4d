"""Good configurations: the example of the public interface, short forms, values that YAML 1.1 bends, folders."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from healthmon.config import load
from healthmon.config.loading import load_text
from healthmon.model.plan import MedicalAllow, MedicalNetwork, Rates
from healthmon.model.topology import AtLeast, Hours

GOOD = Path(__file__).parents[2] / "config" / "good"


@pytest.mark.parametrize("path", sorted(GOOD.glob("*.yaml")), ids=lambda path: path.stem)
def test_good_config_loads(path: Path) -> None:
    load(path, env={})


def test_the_public_example_says_what_it_says() -> None:
    site = load(GOOD / "contract.yaml", env={}, today=date(2026, 11, 22))
    estate = site.estate
    ehr = estate.services["ehr"]

    assert ehr.everywhere
    assert ehr.used_in == ("ward-7", "ed", "clinic-a")
    assert ehr.needs == ("ehr-web", AtLeast(1, ("ehr-db-a", "ehr-db-b")), "ad")
    assert ehr.fallback is not None
    assert ehr.fallback.text == "Read-only copy on the downtime PC, then paper"
    assert estate.areas["clinic-a"].staffed == Hours(tuple((day, 480, 1080) for day in range(5)), True)
    assert estate.areas["ward-7"].staffed is None
    assert [check.id for check in estate.targets["ehr-web"].checks] == ["up", "read"]
    assert estate.targets["sw-ward7"].checks[1].params["pack"]["slug"] == "if-mib"
    assert estate.targets["ehr-web"].checks[1].vantages == ("poller", "agents")
    assert {check.kind for check in estate.targets["pc-w7-01"].checks} >= {"host_cpu", "host_disk"}
    assert {check.vantages for check in estate.targets["pc-w7-01"].checks} == {("pc-w7-01",)}
    assert site.broker is None
    assert site.store.kind == "embedded"
    assert site.safety.rates == Rates(2.0, 50.0, 2000.0)
    allow = (MedicalAllow("icmp", "Clinical engineering", "2026-11-01"),)
    assert site.safety.medical == (MedicalNetwork("198.51.100.0/24", allow, 60.0),)
    assert site.watch is not None
    assert site.watch.every_s == 5.0
    assert site.web.tls_cert_file == GOOD / "cert.pem"
    assert site.web.token_file == GOOD / "token"
    assert estate.teams["network"].channels == (), "whoever is on call is told, not everybody on the rota"
    assert [team.id for team in estate.teams.values() if team.supplier] == ["supplier-x"]
    assert site.oncall.users["net-1"].readers == (("pager", "net-1"),)
    assert date(2026, 12, 28) in site.holidays  # Boxing Day is a Saturday in 2026, so Monday is off
    assert {day.year for day in site.holidays} == {2025, 2026, 2027}


@pytest.mark.parametrize(
    ("team", "theirs"),
    [
        ("supplier-y: {desk: Service desk}", True),
        ("supplier-y: {phone: '2200'}", False),
        ("supplier-y: {desk: Our desk, supplier: false}", False),
        ("apps: {desk: '2222'}", False),
        ("acme: {supplier: true}", True),
    ],
)
def test_a_team_is_a_suppliers_by_its_word_else_by_its_name_and_desk(team: str, theirs: bool) -> None:
    site = f"organisation: {{id: o, name: O, timezone: Europe/London}}\nteams: {{{team}}}\n"
    assert [one.supplier for one in load_text(site, env={}).estate.teams.values()] == [theirs]


def test_secrets_are_read_and_not_shown() -> None:
    site = load(GOOD / "contract.yaml", env={})

    assert site.channels["pager"].params["url"] == "https://pager.example/secret-path"
    assert "secret-path" not in repr(site)


def test_without_a_day_no_holiday_is_known() -> None:
    assert load(GOOD / "contract.yaml", env={}).holidays == frozenset()


def test_site_alone_is_an_organisation_of_one() -> None:
    site = load(GOOD / "short.yaml", env={})

    assert site.estate.organisation.id == "main"
    assert list(site.estate.sites) == ["main"]
    assert site.estate.organisation.timezone == "Europe/London"


def test_an_organisation_alone_is_one_site() -> None:
    site = load_text("organisation: {id: x, name: X, timezone: Europe/London}", env={})

    assert list(site.estate.sites) == ["x"]
    assert site.estate.sites["x"].timezone == "Europe/London"


def test_text_stays_as_written() -> None:
    site = load(GOOD / "values.yaml", env={})
    area, target = site.estate.areas["ward-7"], site.estate.targets["7"]

    assert area.name == "on"
    assert area.contact is not None
    assert area.contact.phone == "0417"
    assert area.contact.bleep == "417"
    assert target.labels == {"floor": "3", "room": "012", "open": "12:30", "wing": "no"}
    assert target.checks[0].params == {"port": 22}
    assert target.checks[0].every_s == 90.0
    assert target.checks[0].timeout_s == 0.5
    assert site.estate.teams["empty"].name == "empty"


def test_environment_fills_in_where_it_is_set() -> None:
    site = load(GOOD / "values.yaml", env={"PORT": "8022"})

    assert site.estate.targets["7"].checks[0].params == {"port": 8022}


def test_a_folder_is_all_its_files_each_once() -> None:
    site = load(GOOD / "folder", env={})

    assert [path.name for path in site.files] == ["a.yaml", "b.yaml", "c.yaml"]
    assert set(site.estate.targets) == {"sw-1", "sw-2"}
    assert site.channels["two"].params["path"] == str(GOOD / "folder" / "two.jsonl")


def test_environment_escapes_and_defaults() -> None:
    text = """
organisation: {id: x, name: "${NAME} and $${NAME} and ${OTHER:-the rest}"}
"""
    assert load_text(text, env={"NAME": "This"}).estate.organisation.name == "This and ${NAME} and the rest"


def test_a_value_from_the_environment_is_never_shown() -> None:
    text = "organisation: {id: x, name: X}\nareas: [{id: a, name: A, kind: '${SECRET}'}]"

    with pytest.raises(Exception, match=r"'\$\{SECRET\}' is not known") as caught:
        load_text(text, env={"SECRET": "hunter2"})

    assert "hunter2" not in str(caught.value)
