"""Damaged messages: what a broken or hostile peer makes of a good one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

#: Examples for each parser. CI stays under half a minute; `make fuzz` sets HEALTHMON_FUZZ to go on for longer.
EXAMPLES = int(os.environ.get("HEALTHMON_FUZZ", "150"))

#: The same examples every time in CI; `make fuzz` looks for new ones and shrinks what it finds.
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=5000,  # one example; a parser that needs longer hangs
    derandomize="HEALTHMON_FUZZ" not in os.environ,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)

#: Values that length fields, counters and text are most often wrong about.
_NASTY = [
    b"\0", b"\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff", b"\0\0",
    b"\r\n\r\n", b"\n", b"\r", b"\x1c\r", b"\x0b", b"[" * 2000, b'{"a":' * 2000, b"%s%n", b"1e999", b"-1", b"NaN",
    b"9" * 400, "\u0663\u2028\U0001f600".encode(), b"\xc3\x28", b"\xed\xa0\x80",
    b"Content-Length: 99999999999999999999\r\n",
]  # fmt: skip

Edit = Callable[[bytes], bytes]


def _edit(kind: int, at: float, size: int, other: bytes) -> Edit:
    def apply(data: bytes) -> bytes:
        start = int(at * len(data))
        end = min(len(data), start + size)
        match kind:
            case 0:
                return data[:start] + other + data[start:]
            case 1:
                return data[:start] + other + data[start + len(other) :]
            case 2:
                return data[:start] + data[end:]
            case 3:
                return data[:end] + data[start:end] * 3 + data[end:]
            case 4:
                return data[:start]
        return data[:start] + bytes(byte ^ (1 << size % 8) for byte in data[start : start + 1]) + data[start + 1 :]

    return apply


def edits() -> st.SearchStrategy[Edit]:
    """One change: insert, overwrite, cut, repeat, truncate, flip a bit."""
    pieces = st.one_of(st.sampled_from(_NASTY), st.binary(min_size=1, max_size=12))
    return st.builds(_edit, st.integers(0, 5), st.floats(0, 1, exclude_max=True), st.integers(1, 40), pieces)


def damaged(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """A good message with one to five changes; now and then noise from the beginning."""

    def apply(seed: bytes, changes: list[Edit]) -> bytes:
        for change in changes:
            seed = change(seed)
        return seed[:200_000]

    good = st.builds(apply, st.sampled_from(list(seeds)), st.lists(edits(), min_size=0, max_size=5))
    return st.one_of(good, good, good, st.binary(max_size=400))
