"""Random hospitals, mutes and faults: pages and ledger are all firings; no mute reaches below the clinical floor."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Phases
from hypothesis import strategies as st
from mutenights import add, change, silence
from smallsite import T0, Night, area, check, estate_of, target

from healthmon.alerting.engine_settings import EngineSettings
from healthmon.alerting.oncall.case import BAD_NEWS
from healthmon.model.errors import HealthmonError
from healthmon.model.incident import IncidentState, ServiceState
from healthmon.model.mute import Change, Match, MuteCommand, Silence
from healthmon.model.sample import Reason
from healthmon.model.topology import Acuity, Agent, AreaKind, AtLeast, Estate, Service

SLOW = settings(
    max_examples=15,
    deadline=None,
    phases=[Phases.explicit, Phases.reuse, Phases.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
#: From the loss being seen on the board to the page: settling, and one look of the telling.
PAGED_WITHIN_S = 12.0
#: Why an incident wakes nobody, mute or no mute.
PAGES_NOBODY = ("not_woken", "single_device", "no_policy")


@dataclass(frozen=True)
class Do:
    """At so many seconds something breaks, heals, is muted, or a mute is ended."""

    at: float
    what: str
    who: str = ""
    draft: Silence | Change | None = None


@st.composite
def hospitals(draw: st.DrawFn) -> Estate:
    """An ED, an ICU and a ward behind one to three switches each, a record on one to three databases."""
    tcp, snmp = check("tcp"), check("snmp")
    targets = [target("mon", "server", "core"), target("core", "switch", checks=(snmp,))]
    areas = []
    for place, kind in (("ed", AreaKind.ED), ("icu", AreaKind.ICU), ("ward", AreaKind.WARD)):
        switches = [f"sw-{place}-{n}" for n in range(draw(st.integers(1, 3)))]
        targets += [target(id_, "switch", "core", area=place, checks=(snmp,)) for id_ in switches]
        acuity = Acuity.INPATIENT if kind is AreaKind.WARD else Acuity.CRITICAL
        areas.append(area(place, AtLeast(1, tuple(switches)), kind=kind, acuity=acuity))
    databases = [f"db-{n}" for n in range(draw(st.integers(1, 3)))]
    targets += [target(id_, "database", "core", checks=(tcp,)) for id_ in databases]
    targets.append(target("web", "endpoint", "core", checks=(check("http"),)))
    needs = ("web", AtLeast(1, tuple(databases)))
    ehr = Service("ehr", "Patient record", draw(st.integers(0, 1)), ("ed", "icu", "ward"), True, needs)
    return estate_of(targets, areas, [ehr], [Agent("poller", "mon")])


def drafts(estate: Estate) -> st.SearchStrategy[Silence | Change]:
    ids = sorted(id_ for id_ in estate.targets if id_ != "mon")
    matches = st.one_of(
        st.builds(Match, target=st.sampled_from(["*", "*", "sw-*", *ids])),
        st.builds(Match, area=st.sampled_from(["ed", "icu", "ward", "*"])),
        st.builds(Match, rule=st.sampled_from(["*", "check-failed"])),
    )
    long = st.sampled_from([0.5, 1.5, 5.0, 5.0])
    silences = st.builds(lambda match, minutes: silence(match, minutes=minutes), matches, long)
    works = st.builds(
        lambda on, expected, minutes: change(*sorted(on), expected=expected, minutes=minutes),
        st.sets(st.sampled_from([*ids, "ehr"]), min_size=1, max_size=4),
        st.sampled_from([("down",), ("*",), (), ("degraded",)]),
        long,
    )
    return st.one_of(silences, works)


@st.composite
def nights(draw: st.DrawFn) -> tuple[Estate, list[Do]]:
    estate = draw(hospitals())
    ids = st.sampled_from(sorted(id_ for id_ in estate.targets if id_ != "mon"))
    doing = st.one_of(
        st.builds(Do, st.integers(15, 70).map(float), st.just("break"), ids),
        st.builds(Do, st.integers(40, 110).map(float), st.just("heal"), ids),
        st.builds(Do, st.integers(10, 90).map(float), st.just("mute"), draft=drafts(estate)),
        st.builds(Do, st.integers(30, 110).map(float), st.just("unmute")),
    )
    breaking = st.builds(Do, st.just(30.0), st.just("break"), st.sampled_from(["core", "web", "sw-ed-0", "db-0"]))
    muting = st.builds(Do, st.just(12.0), st.just("mute"), draft=drafts(estate))
    return estate, [draw(muting), draw(breaking), *draw(st.lists(doing, max_size=8))]


def happen(night: Night, do: Do) -> None:
    match do.what:
        case "break":
            night.down[do.who] = Reason.TIMEOUT
        case "heal":
            night.down.pop(do.who, None)
        case "mute" if do.draft is not None:
            when = do.draft.when
            length = when.ends_at - when.starts_at
            moved = type(when)(night.now, night.now + length, None, when.timezone)
            add(night, type(do.draft)(**{f: getattr(do.draft, f) for f in do.draft.__slots__} | {"when": moved}))
        case "unmute":
            for one in night.view().mutes[:1]:
                try:
                    night.mute(MuteCommand("end", "Duty engineer", one.mute.id))
                except HealthmonError:
                    pass  # it was over


def check_floor(night: Night, lost_since: dict[tuple[str, str], float]) -> None:
    """Whoever stands on the floor and has no way left for some seconds has been paged about."""
    open_now = night.incidents()
    told = {notice.incident for notice in night.notices if notice.why in BAD_NEWS}
    told |= {one.merged_into for one in night.incidents(open_only=False) if one.id in told and one.merged_into}
    for line, status in night.view().services.items():
        if line[0] == "ward" or status.state is not ServiceState.LOST:
            lost_since.pop(line, None)
            continue
        since = lost_since.setdefault(line, night.now)
        if night.now - since > PAGED_WITHIN_S:
            about = [one for one in open_now if any((i.area, i.service) == line for i in one.impact)]
            assert any(one.id in told for one in about), (line, since - T0, night.now - T0)


def run(night: Night, todo: list[Do], *, floor: bool = False) -> Night:
    todo = sorted(todo, key=lambda do: do.at)
    lost: dict[tuple[str, str], float] = {}
    while night.now < T0 + 150:
        night.now += 0.5
        while todo and T0 + todo[0].at <= night.now:
            happen(night, todo.pop(0))
        night.one_step()
        if floor:
            check_floor(night, lost)
    return night


def site(estate: Estate, **more: bool) -> Night:
    return Night(estate, settings=EngineSettings(mode="live"), **more)


@given(nights())
@SLOW
def test_no_mute_reaches_below_the_clinical_floor(made: tuple[Estate, list[Do]]) -> None:
    run(site(made[0]), made[1], floor=True)


@given(nights())
@SLOW
def test_pages_and_ledger_are_all_firings(made: tuple[Estate, list[Do]]) -> None:
    night = run(site(made[0]), made[1])
    told = {notice.incident for notice in night.notices} | {row.incident for row in night.ledger}
    rows = {row.key.split("#")[0] for row in night.ledger}
    for incident in night.incidents(open_only=False):
        assert incident.id in told
        absorbed = [one for one in night.incidents(open_only=False) if one.merged_into == incident.id]
        speaks = [member for member in incident.members if str(member.key) not in rows]
        assert len(speaks) <= 1 + len(absorbed)
        rows_of = [row for row in night.ledger if row.incident == incident.id]
        held = [row for row in rows_of if row.mute]
        # a mute owes a line for each page that it held back: none where the pages went before, or nobody is woken
        before = incident.id in _paged(night) or any(row.cause in PAGES_NOBODY for row in rows_of)
        assert not incident.silenced or held or before, incident.severity
        assert all(row.who and row.what and row.because and row.evidence and row.expires_at for row in held)


@given(nights())
@settings(SLOW, max_examples=8)
def test_a_restart_after_every_step_changes_nothing_about_mutes(made: tuple[Estate, list[Do]]) -> None:
    plain, restarted = run(site(made[0]), made[1]), run(site(made[0], restart_every_step=True), made[1])
    assert plain.ledger == restarted.ledger
    assert plain.notices == restarted.notices
    assert [step.changes.mutes for step in plain.steps] == [step.changes.mutes for step in restarted.steps]
    assert plain.incidents(open_only=False) == restarted.incidents(open_only=False)


@given(nights())
@settings(SLOW, max_examples=8)
def test_a_mute_changes_what_is_told_and_nothing_that_is_true(made: tuple[Estate, list[Do]]) -> None:
    """The same night with and without its mutes: the same alerts and services, and the same states of incidents."""
    loud = run(site(made[0]), [do for do in made[1] if do.what in ("break", "heal")])
    quiet = run(site(made[0]), made[1])
    states = [{(i.id, i.state, i.severity) for i in n.incidents(open_only=False)} for n in (quiet, loud)]
    if not any(
        do.what == "mute" and isinstance(do.draft, Change) for do in made[1]
    ):  # their ends ask for more readings
        assert states[0] == states[1]
    over = {notice.incident for notice in quiet.notices if notice.why not in BAD_NEWS}
    gone = {i.id for i in quiet.incidents(open_only=False) if i.state is IncidentState.MITIGATED}
    assert gone <= over | {i.id for i in quiet.incidents(open_only=False) if i.id not in _paged(quiet)}


def _paged(night: Night) -> set[str]:
    return {notice.incident for notice in night.notices if notice.why in BAD_NEWS}
