"""One agent's flood is put off; the others notice nothing."""

from __future__ import annotations

from healthmon.ingest.allowance import BYTES_AT_ONCE, MESSAGES_AT_ONCE, MESSAGES_HZ, Allowances


def test_a_flood_is_held_to_its_rate_and_the_others_are_not() -> None:
    allowances = Allowances()
    taken = sum(allowances.allow("pc-1", 100, 0.0) for _ in range(20_000))
    assert taken == MESSAGES_AT_ONCE
    assert allowances.allow("pc-2", 100, 0.0)
    assert sum(allowances.allow("pc-1", 100, 2.0) for _ in range(20_000)) == 2 * MESSAGES_HZ


def test_bytes_count_as_well() -> None:
    allowances = Allowances()
    size = 1 << 20
    assert sum(allowances.allow("pc-1", size, 0.0) for _ in range(1000)) == BYTES_AT_ONCE // size
    assert not allowances.allow("pc-1", size, 0.0)
    assert allowances.allow("pc-1", 100, 0.01)


def test_strangers_share_one_purse_however_many_names_they_use() -> None:
    allowances = Allowances()
    assert sum(allowances.allow(None, 1, 0.0) for _ in range(20_000)) == MESSAGES_AT_ONCE
    assert len(allowances._purses) == 1


def test_a_clock_that_does_not_move_gives_nothing() -> None:
    allowances = Allowances()
    for _ in range(int(MESSAGES_AT_ONCE)):
        assert allowances.allow("pc-1", 1, 5.0)
    assert not allowances.allow("pc-1", 1, 4.0)
