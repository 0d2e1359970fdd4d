"""What wards would read of the seeded benchmark's incidents, in every language: plain, short, one SMS long.

The hospitals and faults are ours and no evidence from the field. HEALTHMON_TEXT_FAULTS=26 tries every kind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from daemons.plaintext import FIGURES, FORBIDDEN, flesch, lix, sentences, without, words
from healthmon.alerting.incidents.phrases import Phrases
from healthmon.alerting.incidents.text import Texts
from healthmon.alerting.notify.shorttext import gsm
from healthmon.config.packs import Packs, stock_root
from healthmon.config.problems import Problems
from healthmon.config.texts import catalogues_of
from healthmon.impact.hours import Calendar
from healthmon.model.incident import Entry, Incident, IncidentKind, IncidentState, Why
from healthmon.model.report import Said, WardReport
from healthmon.model.topology import Estate
from healthmon.model.wards import Desk

ROOT = Path(__file__).parents[2]
FAULTS = int(os.environ.get("HEALTHMON_TEXT_FAULTS", "5"))
#: The first of these are drawn: lost everywhere, in one ward, slow, of a supplier, and a monitor that cannot see.
KINDS = ("core-all", "access-switch", "database", "supplier", "blind")
FALLBACK = "Read-only copy on the downtime PC, then paper"
DESK = Desk("IT service desk", "2-7000")
STATES = [IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.MITIGATED]


def phrases(language: str, estate: Estate) -> Phrases:
    return Phrases(Texts(_catalogues()[language], estate, Calendar(estate)))


@cache
def _catalogues() -> dict[str, dict[str, str]]:
    problems = Problems()
    found = catalogues_of(Packs([stock_root()], problems), problems)
    return {language: dict(messages) for language, messages in found.items()}


def incidents(run_faults: int) -> Iterator[tuple[Estate, Incident]]:
    """Every incident that the first minute of each fault opens."""
    from benchmarks.faultbench import suite
    from benchmarks.faultbench.trial import LEAD_IN_S, Run

    from healthmon.simulation.faults import KINDS as EVERY
    from healthmon.simulation.faults import draw

    plant = suite.hospital("one", 150, 1)
    kinds = KINDS if run_faults <= len(KINDS) else tuple(EVERY)
    known = [kind for kind in kinds if kind in EVERY] or list(EVERY)
    for number, fault in enumerate(draw(plant, run_faults, seed=1, kinds=known)):
        run = Run.of(plant, start=fault.at - LEAD_IN_S, seed=number, with_peer=False)
        before = run.now
        while run.now < fault.at + min(fault.watch_s, 60.0):
            fault.apply(run.world, after=before, until=run.now)
            before = run.now
            run.step(1.0)
        yield from ((plant.estate, one) for one in run.incidents.values())


@pytest.fixture(scope="module")
def shapes() -> list[tuple[Estate, Incident, str]]:
    """Each incident in each state and for a few of its areas, and as wards may report it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        found = list(incidents(FAULTS))
    assert found
    return [(estate, shape, area) for estate, incident in found for shape, area in _shapes(estate, incident)]


def _shapes(estate: Estate, incident: Incident) -> Iterator[tuple[Incident, str]]:
    areas = sorted({line.area for line in incident.impact})[:3] or [next(iter(estate.areas))]
    at, service = incident.opened_at + 600, next(iter(estate.services))
    by_it = (*incident.timeline, Entry(at, "mitigated", "", "Duty engineer"))
    for area in areas:
        for state in STATES:
            yield replace(incident, state=state, owner="Duty engineer", mitigated_at=at), area
        yield replace(incident, state=IncidentState.MITIGATED, mitigated_at=at, timeline=by_it), area
        yield replace(incident, kind=IncidentKind.BLIND, owner=None), area
        said = WardReport(area, service, Said.NOBODY_CAN_WORK, at, at)
        yield replace(incident, impact=(), members=(), root=None, reports=(said,)), area
        proven = tuple(replace(o, fallback_text=FALLBACK, fallback_proven_at=at)
                       for o in incident.impact)  # fmt: skip
        yield replace(incident, impact=proven, owner="The senior duty engineer of the network team"), area


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_text_is_plain_and_every_sms_is_one_sms(
    language: str, shapes: list[tuple[Estate, Incident, str]]
) -> None:
    texts = []
    for estate, incident, area in shapes:
        say, now = phrases(language, estate), incident.opened_at + 700
        text, sms = say.for_ward(incident, area, DESK, now), say.sms(incident, area, DESK, now)
        assert len(sms) <= 160, sms
        assert sms == gsm(sms)
        assert "2-7000" in sms
        assert "2-7000" in text
        names = [*(one.name for one in estate.areas.values()), *(one.name for one in estate.services.values())]
        plain = without(
            text, [*names, incident.owner or "", DESK.name, "Read-only copy on the downtime PC, then paper"]
        )
        for found in (FORBIDDEN.search(plain), FIGURES.search(plain)):
            assert found is None, (found, text)
        targets = {member.key.target for member in incident.members} - set(words(" ".join(names)))
        assert not [target for target in targets if target in text]
        assert all(len(words(one)) <= 16 for one in sentences(plain)), plain
        texts.append(plain)
    whole = " ".join(texts)
    assert lix(whole) < 40.0
    assert flesch(whole, language) > 60.0


@pytest.mark.parametrize("language", ["en", "de"])
def test_it_reads_every_incident_in_its_language(language: str, shapes: list[tuple[Estate, Incident, str]]) -> None:
    for estate, incident, _ in shapes:
        say = phrases(language, estate)
        for why in (Why.OPENED, Why.WORSE, Why.ESCALATED, Why.MITIGATED, Why.RESOLVED):
            subject, text = say.subject(incident, why), say.text(incident, why)
            assert "{" not in subject + text
            assert str(incident.severity) in subject
            assert incident.id in text
            if language == "de":
                assert not {"not available", "First sign", "Owner"} & set(text.split("\n"))


def test_the_longest_names_still_leave_the_number(shapes: list[tuple[Estate, Incident, str]]) -> None:
    estate, incident, area = next(one for one in shapes if one[1].impact)
    long = "Sehr lange Station für Innere Medizin, Kardiologie und Überwachung mit vielen Worten im Namen, " * 2
    wordy = replace(estate, areas={**estate.areas, area: replace(estate.areas[area], name=long)})
    for language in ("en", "de"):
        sms = phrases(language, wordy).sms(incident, area, Desk("IT-Servicedesk", "2-7000"), incident.opened_at)
        assert len(sms) <= 160
        assert "2-7000" in sms
