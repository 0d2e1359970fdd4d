"""No parser of network input crashes, hangs or grows without bound, whatever comes (`make fuzz` for a long run)."""

from __future__ import annotations

import tracemalloc

import pytest
from fuzz_listeners import MORE
from fuzz_mutations import FUZZ, damaged
from fuzz_parsers import PARSERS, Parser
from hypothesis import given
from hypothesis import strategies as st

#: Peak memory while parsing: a multiple of the input (decoded text, copies, lists) and a floor.
MOST_TIMES, FLOOR_BYTES = 80, 4 * 1024 * 1024


@pytest.mark.parametrize("parser", [*PARSERS, *MORE], ids=lambda parser: parser.name)
def test_the_good_messages_are_good(parser: Parser) -> None:
    """Otherwise the changes below would only scratch the surface: at least one seed must be understood."""
    failures = [error for seed in parser.seeds if (error := _error(parser, seed)) is not None]
    assert len(failures) < len(parser.seeds) or parser.name == "database answer", failures


@pytest.mark.parametrize("parser", [*PARSERS, *MORE], ids=lambda parser: parser.name)
def test_damaged_messages_raise_what_is_declared(parser: Parser) -> None:
    @FUZZ
    @given(data=damaged(parser.seeds))
    def run(data: bytes) -> None:
        _error(parser, data)

    run()


@pytest.mark.parametrize("parser", [*PARSERS, *MORE], ids=lambda parser: parser.name)
def test_memory_is_bounded_by_what_came(parser: Parser) -> None:
    seed = parser.seeds[0]
    big = [
        seed * (300_000 // len(seed)),
        seed[: len(seed) // 2] + b"\xff" * 300_000,
        seed[: len(seed) // 2] + b"\0" * 300_000,
        seed + seed[-3:] * 100_000,
        b"[" * 300_000,
        b'{"a":' * 60_000,
        bytes(range(256)) * 1200,
    ]
    for data in big:
        _error(parser, seed)
        tracemalloc.start()
        try:
            _error(parser, data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak <= FLOOR_BYTES + MOST_TIMES * len(data), f"{peak} bytes for {len(data)}"


@FUZZ
@given(data=st.binary(max_size=200))
def test_the_hunt_finds_what_is_planted(data: bytes) -> None:
    """A parser that indexes past the end is caught by this very harness."""
    broken = Parser("broken", lambda given: given[200], (b"x" * 300,))
    with pytest.raises(IndexError):
        _error(broken, data)


def _error(parser: Parser, data: bytes) -> Exception | None:
    try:
        parser.parse(data)
    except parser.may_raise as error:
        return error
    return None
