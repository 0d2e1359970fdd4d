"""Whose turn it is to send what is stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from healthmon.transport.bundle import MOST
from healthmon.transport.turns import AT_ONCE, BUNDLES_MOST, KEPT_S, UNASKED, Turn, Turns


def test_who_has_nothing_stored_gets_no_turn() -> None:
    turns = Turns()
    assert turns.give("pc-1", waiting=0, now=0.0) == 0
    turns.says("pc-1", 1)  # the batch that says so
    assert turns.give("pc-1", waiting=0, now=0.0) == 0


def test_one_agent_alone_gets_several_bundles_and_again_when_they_came() -> None:
    turns = Turns()
    turns.says("pc-1", 1_000)
    assert turns.give("pc-1", waiting=0, now=0.0) == BUNDLES_MOST * MOST
    assert turns.give("pc-1", waiting=0, now=1.0) == 0, "its turn stands"
    turns.came("pc-1")
    assert turns.give("pc-1", waiting=7, now=2.0) == BUNDLES_MOST * MOST


def test_of_a_short_backlog_no_more_is_asked_than_there_is() -> None:
    turns = Turns()
    turns.says("pc-1", MOST + 1)
    assert turns.give("pc-1", waiting=0, now=0.0) == 2 * MOST
    turns.came("pc-1")
    assert turns.give("pc-1", waiting=0, now=1.0) == 0, "it had its turn for all it had"
    turns.says("pc-1", 3)
    assert turns.give("pc-1", waiting=0, now=2.0) == MOST


def test_of_many_each_gets_one_bundle_until_the_room_is_given_out() -> None:
    turns = Turns()
    names = [f"pc-{number}" for number in range(2 * AT_ONCE)]
    for name in names:
        turns.says(name, 20)
    got = [turns.give(name, waiting=28, now=0.0) for name in names]
    assert got == [MOST] * (AT_ONCE - 28) + [0] * (AT_ONCE + 28)


def test_a_turn_that_nobody_takes_goes_to_somebody_else() -> None:
    turns = Turns()
    turns.says("gone", 10_000)
    turns.says("pc-1", 20)
    for number in range(AT_ONCE):
        turns.says(f"gone-{number}", 20)
        turns.give(f"gone-{number}", waiting=0, now=0.0)
    assert turns.give("pc-1", waiting=0, now=KEPT_S - 0.1) == 0
    assert turns.give("pc-1", waiting=0, now=KEPT_S) == MOST


def test_where_nothing_is_answered_turns_are_given_unasked_as_many_as_there_is_room_for() -> None:
    turns = Turns()
    for number in range(2 * AT_ONCE):
        turns.says(f"pc-{number}", 20)
    turns.give("pc-3", waiting=0, now=0.0)
    waiting = AT_ONCE - 5
    assert turns.unasked(waiting=waiting, now=0.0) == ["pc-0", "pc-1", "pc-2", "pc-4"]
    assert turns.unasked(waiting=AT_ONCE, now=0.0) == []


def test_who_did_not_take_its_turn_is_not_asked_again_until_it_speaks() -> None:
    turns = Turns()
    turns.says("gone", 10_000)
    turns.give("gone", waiting=0, now=0.0)
    assert turns.unasked(waiting=0, now=KEPT_S) == []
    turns.says("gone", 10_000)
    assert turns.unasked(waiting=0, now=KEPT_S) == ["gone"]


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["says", "came", "give"]), st.integers(0, 10_000))),
    st.integers(0, 2 * AT_ONCE),
)
def test_never_more_than_there_is_room_for(steps: list[tuple[str, str, int]], waiting: int) -> None:
    turns, out = Turns(), dict[str, int]()
    for agent, what, number in steps:
        if what == "says":
            turns.says(agent, number)
        elif what == "came":
            turns.came(agent)
            out.pop(agent, None)
        elif given := turns.give(agent, waiting=waiting, now=0.0):
            assert agent not in out
            out[agent] = given
            assert waiting + sum(out.values()) // MOST <= AT_ONCE


def test_an_agent_sends_what_it_was_told_and_no_more() -> None:
    turn = Turn(30.0)
    turn.server_came(0.0, spread_s=60.0)
    assert turn.room(59.0) == 0
    turn.given(64, 59.0)
    turn.took(32)
    assert turn.room(60.0) == 32
    turn.took(40)
    assert turn.room(60.0) == 0


def test_an_agent_that_gets_no_turn_asks_with_one_batch_now_and_then() -> None:
    turn = Turn(30.0)
    turn.server_came(0.0, spread_s=60.0)
    assert turn.room(120.0) == 1, "within twice the spread of the reconnects"
    turn.took(1)
    turn.given(0, 130.0)
    assert turn.room(120.0 + UNASKED * 30.0 - 1.0) == 0
    assert turn.room(120.0 + UNASKED * 30.0) == 1


def test_a_server_that_came_anew_knows_of_no_turn_before() -> None:
    turn = Turn(30.0)
    turn.given(64, 0.0)
    turn.server_came(1.0, spread_s=0.01)
    assert turn.room(1.0) == 0
    assert turn.room(1.1) == 1
