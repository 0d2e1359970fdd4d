"""The engine's keeper, with an engine that crashes on command: nothing is lost but the batch that is to blame.

The engine is a stand-in, on purpose: the real one has no way to be made to crash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from healthmon.alerting.engine import EngineStep
from healthmon.app.engineroom import EngineRoom, Intake
from healthmon.model.errors import NotFound
from healthmon.model.incident import Command
from healthmon.model.journal import Changes, Epoch, Restored
from healthmon.model.sample import Outcome, Reading


class Boom(RuntimeError):
    """What a bug raises."""


@dataclass
class Brittle:
    """Remembers what it was told; crashes while observing or ticking over poison, on the number of ticks given."""

    world: World
    told: list[str] = field(default_factory=list)

    def heard(self, agent: str, state: str, now: float) -> None:
        self.told.append(f"{agent} {state}")

    def observe(self, readings: tuple[Reading, ...], *, now: float, live: bool, found: None = None) -> None:
        for reading in readings:
            if reading.target == "poison at once":
                raise Boom
            self.told.append(reading.target)

    def tick(self, now: float) -> EngineStep:
        if self.world.bad_ticks > 0 or "poison later" in self.told:
            self.world.bad_ticks -= 1
            raise Boom
        self.world.ticked.append(list(self.told))
        return EngineStep(Changes(at=now))

    def act(self, command: Command, now: float) -> Any:
        if command.action == "bug":
            raise Boom
        raise NotFound("no such incident")


@dataclass
class World:
    """What happened over all the engines of one room."""

    built: int = 0
    bad_ticks: int = 0
    ticked: list[list[str]] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)

    def build(self, restored: Restored) -> Any:
        self.built += 1
        return Brittle(self)

    def room(self) -> EngineRoom:
        return EngineRoom(
            self.build, Restored(), restore=Restored, set_aside=lambda i: self.aside.append(i.readings[0].target)
        )


def intake(target: str, seq: int = 1) -> Intake:
    reading = Reading(target, "cpu", "pc-1", 1.0, 0.1, Outcome.OK)
    epoch = Epoch("pc-1", "e", 0.0, 1.0, 1.0, received=((1, seq),))
    return Intake("pc-1", "up", 1.0, ("pc-1", "e", seq), epoch, (reading,))


def until_decided(room: EngineRoom, most: int = 9) -> int:
    """Decide as the supervised loop does; how many crashes it took."""
    for crashes in range(most):
        try:
            room.decide(2.0)
        except Boom:
            continue
        return crashes
    raise AssertionError(f"no step in {most} tries")


def test_a_step_waits_for_the_disk_and_is_not_decided_twice() -> None:
    world = World()
    room = world.room()
    room.take(intake("a"))
    first = room.decide(2.0)
    room.take(intake("b", 2))
    assert room.decide(3.0) is first, "the disk refused it: the same step is offered again"
    room.committed()
    second = room.decide(4.0)
    assert (first.keys, second.keys) == ((("pc-1", "e", 1),), (("pc-1", "e", 2),))
    assert [epoch.received for epoch in second.changes.epochs] == [((1, 2),)]


@pytest.mark.parametrize("poison", ["poison at once", "poison later"])
def test_a_batch_in_flight_at_two_crashes_is_set_aside_and_the_rest_is_told(poison: str) -> None:
    world = World()
    room = world.room()
    room.take(intake("before", 1))
    room.committed()
    until_decided(room)
    room.committed()
    room.take(intake(poison, 2))
    assert until_decided(room) <= 2
    keys = cast(Any, room.decide(3.0)).keys
    room.committed()
    assert world.aside == [poison]
    assert ("pc-1", "e", 2) in keys, "it is acknowledged: the store has its points, a resend would change nothing"
    room.take(intake("after", 3))
    until_decided(room)
    assert "after" in world.ticked[-1]


def test_only_the_batch_that_cannot_be_observed_is_to_blame() -> None:
    world = World()
    room = world.room()
    room.take(intake("good", 1))
    room.take(intake("poison at once", 2))
    room.take(intake("late", 3))
    until_decided(room)
    assert world.aside == ["poison at once"]
    assert world.ticked[-1] == ["pc-1 up", "good", "pc-1 up", "late"]


def test_a_goodbye_survives_a_crash() -> None:
    world = World(bad_ticks=1)
    room = world.room()
    room.take(Intake("pc-1", "stopped", 1.0))
    assert until_decided(room) == 1
    assert world.ticked == [["pc-1 stopped"]]
    assert world.built == 2


def test_a_crash_under_a_persons_hand_builds_the_engine_again_and_a_refusal_does_not() -> None:
    world = World()
    room = world.room()
    with pytest.raises(NotFound):
        room.act(Command("ack", "i", "me"), 1.0)
    room.decide(2.0)
    room.committed()
    assert world.built == 1
    with pytest.raises(Boom):
        room.act(Command("bug", "i", "me"), 2.0)
    until_decided(room)
    assert world.built == 2
