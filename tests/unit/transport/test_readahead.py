"""A socket read in large pieces gives the same bytes, and its end, as the socket itself."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.transport.readahead import ReadAhead


@given(sent=st.binary(min_size=1, max_size=5000), sizes=st.lists(st.integers(1, 700), min_size=1, max_size=8))
def test_the_bytes_come_in_order_in_any_pieces_and_then_the_end(sent: bytes, sizes: list[int]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.close()
        ahead, got, turn = ReadAhead(ours), bytearray(), 0
        while piece := ahead.recv(sizes[turn % len(sizes)]):
            assert len(piece) <= sizes[turn % len(sizes)]
            got += piece
            turn += 1
            assert ahead.pending() == min(len(sent), 64 << 10) - len(got)
        assert bytes(got) == sent


def test_nothing_to_read_is_said_as_the_socket_says_it() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ahead = ReadAhead(ours)
        with pytest.raises(BlockingIOError):
            ahead.recv(1)
        theirs.sendall(b"ab")
        assert (ahead.recv(1), ahead.pending(), ahead.recv(9), ahead.pending()) == (b"a", 1, b"b", 0)
        with pytest.raises(BlockingIOError):
            ahead.recv(1)
        assert ahead.fileno() == ours.fileno()
