"""A stall is a break that is long beside the usual ones."""

from __future__ import annotations

from healthmon.transport.stalls import Stalls


def test_a_long_break_in_a_steady_flow_is_told_once() -> None:
    stalls = Stalls()
    assert [stalls.arrived(n * 0.5) for n in range(100)] == [None] * 100
    assert stalls.arrived(99 * 0.5 + 18.5) == 18.5
    assert stalls.arrived(99 * 0.5 + 19.0) is None
    assert (stalls.count, stalls.total_s, stalls.longest_s) == (1, 18.5, 18.5)


def test_a_small_site_that_speaks_every_15_s_never_stalls() -> None:
    stalls = Stalls()
    assert all(stalls.arrived(n * 15.0) is None for n in range(100))
    assert stalls.count == 0


def test_nothing_is_a_stall_before_the_usual_is_known() -> None:
    stalls = Stalls()
    assert [stalls.arrived(at) for at in (0.0, 0.1, 60.0, 60.1, 200.0)] == [None] * 5
