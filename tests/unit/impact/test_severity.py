"""The scoring rule: its published vectors one by one, and that it is total and monotone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from estates import area, estate_of, service
from hypothesis import given, settings
from hypothesis import strategies as st

from healthmon.impact.severity import FallbackState, Harm, Hospital, Score, SeverityTable, Situation, score
from healthmon.model.incident import IncidentKind, ServiceState
from healthmon.model.topology import Acuity, AreaKind, Estate, Site

TABLE = SeverityTable()
DAY = 86_400.0
WARDS = tuple(f"ward-{n}" for n in range(1, 13))
LOST, DEGRADED, AT_RISK = ServiceState.LOST, ServiceState.DEGRADED, ServiceState.AT_RISK
WARNING = IncidentKind.EARLY_WARNING


def trust() -> Estate:
    areas = [area(ward) for ward in WARDS]
    areas += [
        area("ed", acuity=Acuity.CRITICAL, kind=AreaKind.ED),
        area("icu", acuity=Acuity.CRITICAL, kind=AreaKind.ICU),
        area("clinic", acuity=Acuity.OUTPATIENT, kind=AreaKind.CLINIC),
        area("far-1", site="far", acuity=Acuity.OUTPATIENT),
        area("far-2", site="far", acuity=Acuity.OUTPATIENT),
    ]
    every = tuple(sorted(one.id for one in areas))
    services = [
        service("epr", used_in=every, tier=1, everywhere=True),
        service("lims", used_in=("ward-1", "ward-2"), tier=1),
        service("orders", used_in=every, tier=2, everywhere=True),
        service("letters", used_in=every, tier=3, everywhere=True),
        service("transfusion", used_in=("ward-1",), tier=1),
    ]
    sites = (Site("main", "Main", "Europe/London"), Site("far", "Far", "Europe/London"))
    return estate_of([], areas, services, sites)


TRUST = trust()
HOSPITAL = Hospital.of(TRUST)
EVERY = tuple(TRUST.areas)


def harms(
    *areas: str, service: str = "epr", tier: int = 1, state: ServiceState = LOST, **more: object
) -> tuple[Harm, ...]:
    return tuple(Harm(one, service, state, tier, **more) for one in areas)  # type: ignore[arg-type]


def scored(*of: Harm, **more: object) -> Score:
    return score(TABLE, HOSPITAL, Situation(harms=of, **more))  # type: ignore[arg-type]


PROVEN, PAPER = FallbackState.PROVEN, FallbackState.UNPROVEN
VECTORS = {
    "EPR down everywhere, no read-only copy": (scored(*harms(*EVERY)), (1, 1, 1)),
    "ED alone, paper only": (scored(*harms("ed", fallback=PAPER)), (1, 2, 1)),
    "ICU alone, read-only copy proven": (scored(*harms("icu", fallback=PROVEN)), (2, 2, 2)),
    "closed clinic at 03:00": (scored(*harms("clinic", staffed=False)), (3, 3, 3)),
    "unmapped core switch, 20 silent behind it": (scored(mapped=False, silent_behind=20), (2, 5, 1)),
    "one ward's label printer, neighbour works": (scored(single_device=True), (3, 4, 2)),
    "certificate on an EPR interface, 30 days": (
        scored(*harms("ed"), kind=WARNING, due_in_s=30 * DAY),
        (4, 2, 5),
    ),
    "certificate, 3 days": (scored(*harms("ed"), kind=WARNING, due_in_s=3 * DAY), (3, 2, 4)),
    "certificate, 1 day": (scored(*harms("ed"), kind=WARNING, due_in_s=DAY), (2, 2, 3)),
    "certificate expired": (scored(*harms("ed"), kind=WARNING, due_in_s=-1.0), (1, 2, 1)),
    "UPS on battery, 20 minutes left": (scored(*harms(*EVERY), kind=WARNING, due_in_s=1200.0), (1, 1, 2)),
    "LIMS array degraded, good backup": (
        scored(*harms("ward-1", "ward-2", service="lims"), kind=WARNING, due_in_s=4 * DAY),
        (3, 2, 4),
    ),
    "LIMS array degraded, no backup": (
        scored(*harms("ward-1", "ward-2", service="lims"), kind=WARNING, due_in_s=4 * DAY, spare_unhealthy=True),
        (2, 2, 3),
    ),
    "all WOWs of one ward off the air": (scored(*harms("ward-3", service="")), (2, 3, 1)),
    "ten areas of a tier 1 service": (scored(*harms(*WARDS[:10], service="lims")), (1, 1, 1)),
    "four of fourteen staffed inpatient areas are more than a quarter": (scored(*harms(*WARDS[:4])), (1, 1, 1)),
    "three areas are not": (scored(*harms(*WARDS[:3])), (1, 2, 1)),
    "one site of two": (scored(*harms("far-1", "far-2")), (1, 2, 1)),
    "tier 2 everywhere": (scored(*harms(*EVERY, service="orders", tier=2)), (2, 3, 1)),
    "tier 2 in one area, paper will do": (
        scored(*harms("ward-1", service="orders", tier=2, fallback=PAPER)),
        (3, 4, 2),
    ),
    "tier 3 everywhere": (scored(*harms(*EVERY, service="letters", tier=3)), (3, 4, 1)),
    "tier 3 in one area": (scored(*harms("ward-1", service="letters", tier=3)), (4, 5, 1)),
    "slow everywhere": (scored(*harms(*WARDS, "clinic", "far-1", "far-2", state=DEGRADED)), (1, 2, 1)),
    "slow in one ward": (scored(*harms("ward-1", state=DEGRADED)), (3, 4, 1)),
    "slow in the ED counts as lost there": (scored(*harms("ed", state=DEGRADED)), (1, 2, 1)),
    "slow transfusion counts as lost": (
        scored(*harms("ward-1", service="transfusion", state=DEGRADED)),
        (2, 3, 1),
    ),
    "no spare left for the whole trust": (scored(*harms(*EVERY, state=AT_RISK)), (2, 1, 4)),
    "no spare left in one ward": (scored(*harms("ward-1", state=AT_RISK)), (4, 3, 4)),
    "one threshold on one disk is capped": (
        scored(*harms(*EVERY), kind=WARNING, due_in_s=float("inf"), uncorroborated=True),
        (3, 1, 4),
    ),
    "letters lost in one ward make the ED's proven copy no worse": (
        scored(*harms("ed", fallback=PROVEN), *harms("ward-1", service="letters", tier=3)),
        (2, 2, 2),
    ),
    "nor ten closed clinics at night": (
        scored(*harms(*WARDS[:10], service="lims", staffed=False), *harms("ward-11", service="letters", tier=3)),
        (2, 1, 3),
    ),
    "one ward that lost it by day, and two places that are closed": (
        scored(*harms("ward-1"), *harms("clinic", "far-1", staffed=False)),
        (2, 2, 3),
    ),
    "what every ward lost, most of them with a proven copy": (
        scored(*harms(*WARDS[:11], fallback=PROVEN), *harms("ward-12")),
        (1, 1, 2),
    ),
    "something fails and nothing is lost": (scored(), (5, 5, 3)),
    "unmapped server": (scored(mapped=False), (3, 5, 1)),
    "cut off": (scored(kind=IncidentKind.BLIND), (2, 2, 2)),
    "cut off from the ED": (scored(kind=IncidentKind.BLIND, sees_critical=True), (1, 1, 1)),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str) -> None:
    found, (severity, impact, urgency) = VECTORS[name]
    assert (found.severity, found.impact, found.urgency) == (severity, impact, urgency)


def test_a_single_site_has_no_site_row_and_one_area_of_four_is_not_trust_wide() -> None:
    areas = [area("ward-1"), area("ward-2"), area("ward-3"), area("office", acuity=Acuity.NONE)]
    used = ("office", "ward-1", "ward-2", "ward-3")
    hospital = Hospital.of(estate_of([], areas, [service("epr", used_in=used, everywhere=True)]))
    one = score(TABLE, hospital, Situation(harms=harms("ward-1")))
    assert (one.impact, one.severity) == (3, 2)
    assert score(TABLE, hospital, Situation(harms=harms(*used))).impact == 1


def test_unstaffed_wards_do_not_count_in_the_share() -> None:
    """Four of twelve is a third; of four staffed ones it is all, of none of them it is nothing."""
    hit = Situation(harms=harms(*WARDS[:4], service="lims"))
    assert score(TABLE, HOSPITAL.at(WARDS[:4]), hit).impact == 1
    assert score(TABLE, HOSPITAL.at(WARDS[4:]), hit).impact == 2


HARM = st.builds(
    Harm,
    area=st.sampled_from(EVERY),
    service=st.sampled_from(["epr", "lims", "orders", "letters", "transfusion", ""]),
    state=st.sampled_from([LOST, DEGRADED, AT_RISK]),
    tier=st.integers(0, 3),
    staffed=st.booleans(),
    fallback=st.sampled_from(FallbackState),
)
SITUATION = st.builds(
    Situation,
    harms=st.lists(HARM, max_size=14).map(tuple),
    kind=st.sampled_from(IncidentKind),
    due_in_s=st.sampled_from([None, -5.0, 60.0, 7200.0, 3 * DAY, 40 * DAY, float("inf")]),
    mapped=st.booleans(),
    silent_behind=st.integers(0, 9),
    single_device=st.booleans(),
    staffed=st.booleans(),
    sees_critical=st.booleans(),
    uncorroborated=st.booleans(),
    info=st.booleans(),
    spare_unhealthy=st.booleans(),
)


@given(SITUATION)
@settings(max_examples=400, deadline=None)
def test_total(situation: Situation) -> None:
    found = score(TABLE, HOSPITAL, situation)
    assert all(1 <= level <= 5 for level in (found.severity, found.impact, found.urgency))


WORSE_STATE = {AT_RISK: LOST, DEGRADED: LOST, LOST: LOST}
SOONER = {float("inf"): 3 * DAY, 40 * DAY: 3 * DAY, 3 * DAY: 7200.0, 7200.0: 60.0, 60.0: None, -5.0: None, None: None}


@given(SITUATION, HARM, st.data())
@settings(max_examples=1000, deadline=None)
def test_monotone(situation: Situation, more: Harm, data: st.DataObject) -> None:
    """Nothing that makes it worse for anybody makes the number milder."""
    before = score(TABLE, HOSPITAL, situation).severity
    worse = [replace(situation, harms=(*situation.harms, more)), replace(situation, spare_unhealthy=True)]
    worse.append(replace(situation, silent_behind=situation.silent_behind + 5))
    worse.append(replace(situation, sees_critical=True))
    worse.append(replace(situation, uncorroborated=False, info=False))
    worse.append(replace(situation, due_in_s=SOONER[situation.due_in_s]))
    if situation.harms:
        index = data.draw(st.integers(0, len(situation.harms) - 1))
        harm = situation.harms[index]
        for change in (
            replace(harm, state=WORSE_STATE[harm.state]),
            replace(harm, staffed=True),
            replace(harm, tier=max(0, harm.tier - 1)),
            replace(harm, fallback=PAPER if harm.fallback is PROVEN else FallbackState.NONE),
        ):
            worse.append(replace(situation, harms=(*situation.harms[:index], change, *situation.harms[index + 1 :])))
    for one in worse:
        assert score(TABLE, HOSPITAL, one).severity <= before, one


def test_the_pack_holds_the_built_in_figures() -> None:
    path = Path(__file__).parents[3] / "alerting" / "severity" / "default.yaml"
    assert SeverityTable.from_mapping(yaml.safe_load(path.read_text())) == TABLE


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"many_arears": 3}, "allowed: .*many_areas"),
        ({"matrix": [[1, 2], [3, 4]]}, "5 rows of 5"),
        ({"matrix": [[5, 4, 3, 2, 1]] * 5}, "fall"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(raw: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SeverityTable.from_mapping(raw)
