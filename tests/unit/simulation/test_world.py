"""The synthetic trust: its truth, worked out by hand on a few cases, and its readings."""

from __future__ import annotations

import pytest

from healthmon import collectors, probes
from healthmon.impact.graph import NeedGraph
from healthmon.impact.severity import SeverityTable
from healthmon.model.incident import ServiceState
from healthmon.model.sample import Outcome, Reason
from healthmon.simulation.faults import KINDS, Fault, draw
from healthmon.simulation.plant import Plant
from healthmon.simulation.stream import POLLER, Delivery, Stream
from healthmon.simulation.trust import Shape, trust
from healthmon.simulation.truth import judge
from healthmon.simulation.world import DOWN, UP, Mode, World

#: A Tuesday, 10:00 in London.
T0 = 1_795_514_400.0


@pytest.fixture(scope="module")
def plant() -> Plant:
    return trust(Shape(300))


def broken(plant: Plant, *targets: str, mode: Mode = Mode.OFF, figure: float = 0.0) -> World:
    world = World(plant)
    for target in targets:
        world.put(target, mode, at=T0, figure=figure)
    return world


@pytest.mark.parametrize("targets", [300, 3_000])
def test_a_trust_of_any_size_is_one_that_the_engine_takes(targets: int) -> None:
    plant = trust(Shape(targets))
    assert abs(len(plant.estate.targets) - targets) <= 0.02 * targets
    assert NeedGraph(plant.estate).lines()  # refuses cycles and unknown ids
    assert World(plant).lines() == {}
    assert World(plant).spares_gone() == set()
    assert {target.area for target in plant.estate.targets.values()} <= {None, *plant.estate.areas}


def test_the_same_shape_is_the_same_trust_and_the_inventory_lacks_a_little() -> None:
    assert trust(Shape(300, seed=5)) == trust(Shape(300, seed=5))
    missing = trust(Shape(300, undeclared_ratio=0.5)).undeclared
    for target, needed in missing:
        assert needed not in trust(Shape(300, undeclared_ratio=0.5)).estate.targets[target].needs


def test_one_core_of_two_leaves_everything_working_on_one_leg(plant: Plant) -> None:
    world = broken(plant, "sw-core-a")
    assert not set(world.lines().values()) & {ServiceState.LOST, ServiceState.DEGRADED}
    assert world.spares_gone()
    assert set(broken(plant, "sw-core-a", "sw-core-b").lines().values()) == {ServiceState.LOST}


def test_what_a_switch_feeds_goes_with_its_power(plant: Plant) -> None:
    (switch, *_) = (id_ for id_ in plant.of_kind("access-point"))
    feed = plant.feeds[switch][0]
    world = broken(plant, feed, mode=Mode.UNPOWERED_PORTS)
    assert world.level(switch) == DOWN
    assert world.level(feed) == UP


def test_a_slow_database_slows_what_rests_on_it_and_nothing_else(plant: Plant) -> None:
    world = broken(plant, "apps-db", mode=Mode.SLOW)
    hurt = {service for _, service in world.lines()}
    assert {"maternity", "theatres", "orders", "bed-board"} <= hurt
    assert not hurt & {"imaging", "telephony", "ed-tracking"}
    assert set(world.lines().values()) == {ServiceState.DEGRADED}


def test_a_firewall_keeps_some_areas_from_one_program(plant: Plant) -> None:
    world = World(plant)
    world.block([("ed-1", "ehr-web")], at=T0)
    assert world.lines()[("ed-1", "ehr")] is ServiceState.LOST
    assert world.lines()[("ed-1", "epma")] is ServiceState.LOST  # it needs the record
    assert all(area == "ed-1" for area, _ in world.lines())


def test_sight_follows_the_hops_between_two_ends(plant: Plant) -> None:
    pc = next(id_ for id_ in plant.of_kind("ward-workstation") if id_.startswith("pc-ward-1-"))
    switch = plant.ways[pc][0][0]
    assert broken(plant, "sw-core-a", "sw-core-b").sight(pc, switch).reaches
    assert not broken(plant, "sw-core-a", "sw-core-b").sight(pc, "ehr-web").reaches
    assert broken(plant, "sw-core-a", "sw-core-b").sight("mon-1", "ehr-web").reaches  # both in the data centre
    assert broken(plant, "fw-a", "fw-b").sight("mon-1", "sw-dc-a").reaches
    assert broken(plant, switch, mode=Mode.LOSSY, figure=0.3).sight(pc, "ehr-web").loss == pytest.approx(0.3)


def test_severity_of_the_truth_follows_the_table(plant: Plant) -> None:
    fault = Fault("x", T0, frozenset())
    table = SeverityTable()
    everything = broken(plant, "sw-core-a", "sw-core-b")
    assert judge(everything, fault, set(), at=T0, table=table).severity == 1
    one_pc = broken(plant, "pc-ward-1-1")
    assert judge(one_pc, fault, {"pc-ward-1-1"}, at=T0, table=table).severity == 3
    blind = Fault("x", T0, frozenset(), blind=True)
    assert judge(World(plant), blind, set(), at=T0, table=table).lines == {}


def deliveries(plant: Plant, fault: Fault | None, seconds: int, *, seed: int = 3) -> list[Delivery]:
    world = World(plant)
    start = fault.at - 20.0 if fault else T0
    stream = Stream(world, seed=seed, start=start)
    found = stream.prime()
    before = start
    for second in range(1, seconds + 1):
        if fault:
            fault.apply(world, after=before, until=start + second)
        before = start + second
        found += stream.advance(start + second)
    return found


def test_readings_are_the_same_for_the_same_seed_and_others_for_another(plant: Plant) -> None:
    assert deliveries(plant, None, 60) == deliveries(plant, None, 60)
    assert deliveries(plant, None, 60) != deliveries(plant, None, 60, seed=4)


def test_a_quiet_minute_is_quiet_and_complete(plant: Plant) -> None:
    found = deliveries(plant, None, 60)
    readings = [reading for one in found for reading in one.readings]
    failed = [reading for reading in readings if reading.outcome is not Outcome.OK]
    assert len(failed) < 0.002 * len(readings)
    looked_at = {reading.target for reading in readings}
    assert looked_at == {id_ for id_, target in plant.estate.targets.items() if target.checks}
    assert {one.vantage for one in found} == set(plant.estate.agents)


def test_every_sample_is_one_that_real_probes_emit(plant: Plant) -> None:
    known = probes.families() | collectors.families()
    for one in deliveries(plant, None, 60):
        for reading in one.readings:
            for sample in reading.samples:
                assert sample.field in known[sample.family].fields, sample
                assert set(sample.labels) <= known[sample.family].labels, sample


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fault_shows(plant: Plant, kind: str) -> None:
    """Each leaves traces in the readings, or silences somebody; the root is a thing of the plant or a label of some."""
    (fault,) = draw(plant, 1, seed=2, kinds=[kind])
    assert fault.kind == kind
    marks = {value for target in plant.estate.targets.values() for value in target.labels.values()}
    assert fault.roots <= {*plant.estate.targets, "poller"}
    assert fault.marks <= {*marks, *plant.estate.targets}
    world = World(plant)
    fault.apply(world, after=fault.at - 1.0, until=fault.at + fault.watch_s)
    stream = Stream(world, seed=1, start=fault.at + fault.watch_s)
    assert stream.symptomatic()


def test_a_cut_monitor_sees_nothing_and_is_not_heard_by_its_agents(plant: Plant) -> None:
    fault = Fault("x", T0, frozenset(), blind=True)
    world = broken(plant, "mon-1", mode=Mode.CUT, figure=1.0)
    stream = Stream(world, seed=1, start=fault.at)
    stream.prime()
    found = [one for second in range(1, 91) for one in stream.advance(T0 + second)]
    remote = [r for one in found for r in one.readings if r.vantage == POLLER and r.target != "mon-1"]
    assert {reading.reason for reading in remote} == {Reason.NO_ROUTE}
    assert {one.vantage for one in found} == {POLLER}
    world.put("mon-1", None, at=T0 + 90.5)
    late = [one for second in range(91, 120) for one in stream.advance(T0 + second) if not one.live]
    assert late, "what was measured meanwhile comes late, and is marked so"
