"""The words of incidents: the file is what is built in, and only the agreed words are used."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
import yaml

from healthmon.alerting.incidents.text import DEFAULT_TEXT, Story, Texts
from healthmon.impact.hours import Calendar
from healthmon.model.incident import ImpactLine, IncidentKind, Paths, Root, ServiceState
from healthmon.model.topology import (
    Acuity,
    Area,
    AreaKind,
    Estate,
    Organisation,
    Service,
    Site,
    Target,
)

PACK = Path(__file__).parents[3] / "alerting" / "text" / "en.yaml"
#: 01:30 UTC in summer: 02:30 on the wall in London.
SUMMER = 1_783_128_600.0


def estate() -> Estate:
    areas = [
        Area("ward-7", "Ward 7", AreaKind.WARD, Acuity.INPATIENT, "main", beds=28),
        Area("ed", "Emergency Department", AreaKind.ED, Acuity.CRITICAL, "main", beds=40),
        Area("clinic", "Clinic", AreaKind.CLINIC, Acuity.OUTPATIENT, "main"),
    ]
    return Estate(
        Organisation("trust", "Trust", "Europe/London"),
        {"main": Site("main", "Main", "Europe/London")},
        {area.id: area for area in areas},
        {"ehr": Service("ehr", "Patient record", 1, ("ed", "ward-7"), False)},
        {"sw": Target("sw", "Ward 7 switch", "switch", "192.0.2.1", "main")},
        {},
        {},
    )


ESTATE = estate()
TEXTS = Texts({}, ESTATE, Calendar(ESTATE))


def line(area: str, state: ServiceState = ServiceState.LOST, proven: float | None = None) -> ImpactLine:
    return ImpactLine(area, "ehr", state, SUMMER, Paths(0, 1), "Read-only copy", proven)


def story(*lines: ImpactLine, kind: IncidentKind = IncidentKind.INCIDENT, **more: object) -> Story:
    values: dict[str, object] = {
        "kind": kind,
        "root": Root("sw", "snmp", "timeout", 0.97),
        "cause": "Ward 7 switch does not answer (timeout)",
        "lines": lines,
        "impact_known": "full",
        "since": SUMMER,
    }
    return Story(**{**values, **more})  # type: ignore[arg-type]


def test_the_pack_holds_the_built_in_words() -> None:
    stock = yaml.safe_load(PACK.read_text())["messages"]
    assert {name: stock[name] for name in DEFAULT_TEXT} == dict(DEFAULT_TEXT)


@pytest.mark.parametrize("key", sorted(DEFAULT_TEXT))
def test_no_message_promises_or_blames_or_gives_a_raw_figure(key: str) -> None:
    words = DEFAULT_TEXT[key].lower()
    for forbidden in (
        r"\bup\b",
        r"\bdown\b",
        "eta",
        "expected to",
        "should be",
        "no impact",
        "affected beds",
        "confidence",
    ):
        assert not re.search(rf"\b{forbidden}\b" if forbidden.isalpha() else forbidden, words), forbidden
    assert all(name is None or name.isidentifier() for _, name, _, _ in string.Formatter().parse(DEFAULT_TEXT[key]))


def test_a_loss_is_said_in_the_agreed_words_and_local_time() -> None:
    assert TEXTS.title(story(line("ward-7"))) == (
        "Patient record not available in Ward 7 (ward with 28 beds): Ward 7 switch does not answer (timeout)"
    )
    said = TEXTS.plain(story(line("ward-7")))
    assert "not available in Ward 7 (ward with 28 beds) since 02:30" in said
    assert "Very likely cause: Ward 7 switch does not answer (timeout)." in said
    assert "Read-only" not in said, "an unproven fallback is not named"


def test_a_proven_fallback_is_named_with_the_time_of_its_proof() -> None:
    assert "Read-only copy was checked and ready at 02:29" in TEXTS.plain(story(line("ward-7", proven=SUMMER - 60)))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (ServiceState.DEGRADED, "slow or partly working"),
        (ServiceState.AT_RISK, "working, no spare route left"),
    ],
)
def test_other_states(state: ServiceState, words: str) -> None:
    assert words in TEXTS.title(story(line("ward-7", state)))


def test_nothing_mapped_is_never_called_no_impact() -> None:
    said = TEXTS.plain(story(impact_known="none"))
    assert "Clinical impact not known: nothing is mapped behind Ward 7 switch." in said


def test_blindness_speaks_of_us() -> None:
    said = TEXTS.plain(story(kind=IncidentKind.BLIND))
    assert said.startswith("Monitoring fault: state not known. We cannot see beyond Ward 7 switch since 02:30.")
    assert "not available" not in said


@pytest.mark.parametrize(
    ("confidence", "others", "words"),
    [(0.97, (), "Very likely cause:"), (0.6, (), "Likely cause:"), (0.5, ("sw",), "The cause is one of these:")],
)
def test_sureness_in_words(confidence: float, others: tuple[str, ...], words: str) -> None:
    root = Root("sw", "snmp", "timeout", confidence, others)
    assert words in TEXTS.plain(story(line("ward-7"), root=root))


def test_critical_areas_come_first_and_all_of_them_are_called_all() -> None:
    assert TEXTS.areas(["ward-7", "ed"]) == "Emergency Department (40 beds), Ward 7 (ward with 28 beds)"
    assert TEXTS.areas(["ward-7", "ed", "clinic"]) == "all areas"


def test_a_hospital_changes_single_messages_and_a_broken_one_stays_readable() -> None:
    texts = Texts({"state_lost": "gone", "title_impact": "{services} {state} {typo}"}, ESTATE, Calendar(ESTATE))
    assert texts.title(story(line("ward-7"))) == "Patient record gone {typo}"
    assert texts.fill("{target:d} is odd", {"target": "x"}) == "{target:d} is odd"
