"""Line protocol: a hundred lines by hand, which tests/wire asks a real InfluxDB about too, and noise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.lines import BAD, GOOD, STRICTER
from healthmon.ingest.lineprotocol import MAX_FIELDS, MAX_TAGS, BadLine, Point, lines_of, parse_line


@pytest.mark.parametrize("line", GOOD)
def test_good_lines_are_read(line: bytes) -> None:
    assert parse_line(line).fields


@pytest.mark.parametrize("line", [*BAD, *STRICTER])
def test_bad_lines_are_refused(line: bytes) -> None:
    with pytest.raises(BadLine):
        parse_line(line)


def test_values_are_what_they_say() -> None:
    line = rb'a\ b,t\,\ \=a=v\ \=\, f=1,g=-2i,h="x \"y\" \\z",i=true,j=F,k=.5e1 1700000000123456789'
    assert parse_line(line) == Point(
        "a b",
        {"t, =a": "v =,"},
        {"f": 1.0, "g": -2.0, "h": 'x "y" \\z', "i": True, "j": False, "k": 5.0},
        1700000000.1234567,
    )
    assert parse_line(b"a f=1").at is None


def test_lines_are_told_apart() -> None:
    text = b'# a comment\n\n  a f="x\ny",g=2\n\t \nb,t="quote f=1\nc f=1'
    assert list(lines_of(text)) == [b'a f="x\ny",g=2', b'b,t="quote f=1', b"c f=1"]


def test_limits_are_refusals() -> None:
    many_tags = b"".join(b",t%d=x" % number for number in range(MAX_TAGS + 1))
    with pytest.raises(BadLine, match="too many tags"):
        parse_line(b"m" + many_tags + b" f=1")
    many_fields = b",".join(b"f%d=1" % number for number in range(MAX_FIELDS + 1))
    with pytest.raises(BadLine, match="too many fields"):
        parse_line(b"m " + many_fields)
    with pytest.raises(BadLine):
        parse_line(b"m f=" + b"9" * 100_000 + b"i")


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*b'm,=\\ "t1.-eiN\n#\tx', *b"\r\x00\xff"]), max_size=40).map(bytes))
def test_nothing_but_a_refusal_comes_of_noise(noise: bytes) -> None:
    for line in lines_of(noise):
        try:
            point = parse_line(line)
        except BadLine:
            continue
        assert point.measurement
        assert point.fields


def test_a_long_hostile_line_takes_no_long_time() -> None:
    for hostile in (b"\\" * 200_000, b"m," + b"a\\=" * 60_000, b"m " + b"\\," * 90_000, b'm f="' + b"\\" * 199_999):
        for line in lines_of(hostile):
            with pytest.raises(BadLine):
                parse_line(line)
