"""One loss of a place's devices has one author: who took the last, or made it half."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from healthmon.impact.bedside import toll
from healthmon.model.incident import ServiceState

LOST, DEGRADED = ServiceState.LOST, ServiceState.DEGRADED
FOUR = ("a", "b", "c", "d")


def test_at_once() -> None:
    assert toll("ab", "ab", {"a": 1.0, "b": 1.0}).state is LOST
    assert toll("a", "a", {"a": 1.0}).state is None, "a kind with one device says nothing of the others"
    assert toll("abc", FOUR, {"a": 1.0, "b": 1.0, "c": 1.0}).state is DEGRADED
    assert toll("ab", FOUR, {"a": 1.0, "b": 1.0}).state is None


def test_one_by_one() -> None:
    gone = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    assert [toll(one, FOUR, gone).state for one in FOUR] == [None, None, DEGRADED, LOST]
    assert toll("d", FOUR, gone).last
    assert toll("d", FOUR, {}).state is None


def test_what_is_not_noticed_yet_is_the_newest() -> None:
    assert toll("b", "ab", {"a": 5.0}).state is LOST
    assert toll("x", "ab", {"a": 5.0, "b": 6.0}).state is None, "no device of that place"


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3)), st.data())
def test_incidents_that_share_a_place_say_lost_once(gone: dict[str, int], data: st.DataObject) -> None:
    """However what is gone is shared out among incidents, one of them says that nothing is left, or none does."""
    owner = {id_: data.draw(st.integers(0, 2)) for id_ in gone}
    since = {id_: float(at) for id_, at in gone.items()}
    shares = [frozenset(id_ for id_ in gone if owner[id_] == number) for number in range(3)]
    said = [toll(share, "abcdefgh", since).state for share in shares if share]
    assert said.count(LOST) == (len(gone) == 8)
    assert (LOST in said or DEGRADED in said) == (len(gone) >= 4)
