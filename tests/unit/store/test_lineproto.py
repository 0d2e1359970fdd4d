"""The line-protocol encoder, beside the vendor's own as the oracle."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from influxdb_client import Point, WritePrecision

from healthmon.model.sample import Row, Value
from healthmon.store.lineproto import Encoder, Unwritable, encode, micros_of

Parsed = tuple[str, dict[str, str], dict[str, Value], int]


def parse(line: str) -> Parsed:
    """Read one line back, as the protocol's documentation describes it."""
    head, rest = split(line, " ", most=1)
    fields, stamp = rest.rsplit(" ", 1)
    name, *tags = split(head, ",")
    pairs = [split(tag, "=", most=1) for tag in tags]
    values = {plain(key): value_of(text) for key, text in (split(one, "=", most=1) for one in split(fields, ","))}
    return plain(name), {plain(key): plain(value) for key, value in pairs}, values, int(stamp)


def split(text: str, at: str, *, most: int = -1) -> list[str]:
    """Split at a character that is neither escaped nor inside double quotes."""
    parts, start, quoted, i = [], 0, False, 0
    while i < len(text):
        if text[i] == "\\" and i + 1 < len(text):
            i += 1
        elif text[i] == '"' and (quoted or (i and text[i - 1] == "=")):
            quoted = not quoted
        elif text[i] == at and not quoted and most != 0:
            parts.append(text[start:i])
            start, most = i + 1, most - 1
        i += 1
    return [*parts, text[start:]]


def plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def value_of(text: str) -> Value:
    if text.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    return {"true": True, "false": False}[text] if text in ("true", "false") else float(text)


def point(row: Row) -> Point:
    made = Point(row.family).time(micros_of(row.at) * 1000, WritePrecision.NS)
    for name, value in row.tags:
        made.tag(name, value)
    for name, value in row.fields:
        made.field(name, value)
    return made


def row(family: str = "icmp", *, at: float = 1_800_000_000.0, tags: dict[str, str] | None = None, **f: Value) -> Row:
    return Row(family, tuple(sorted((tags or {}).items())), tuple(sorted((f or {"rtt": 1.5}).items())), at)


#: No backslash: the vendor's encoder does not escape it, and the databases read it in different ways.
words = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\\"), min_size=1, max_size=12)
names = words.filter(lambda text: not text.startswith(("#", '"')) and '"' not in text)
values = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=12),
)


@given(
    names,
    st.dictionaries(names, names, max_size=4),
    st.dictionaries(names, values, min_size=1, max_size=4),
    st.floats(0, 4e9),
)
def test_the_vendors_encoder_says_the_same(
    family: str, tags: dict[str, str], fields: dict[str, Value], at: float
) -> None:
    assume("\n" not in "".join(text for text in fields.values() if isinstance(text, str)))
    one = Row(family, tuple(sorted(tags.items())), tuple(sorted(fields.items())), at)
    ours = parse(encode([one]).decode())
    assert ours == parse(point(one).to_line_protocol())
    assert ours == (family, tags, fields, micros_of(at) * 1000)


def test_a_plain_line() -> None:
    one = row(tags={"target": "sw-1", "area": "ward-7"}, rtt=0.25, up=True, why="a b")
    assert encode([one]) == b'icmp,area=ward-7,target=sw-1 rtt=0.25,up=true,why="a b" 1800000000000000000'


def test_numbers_are_always_float() -> None:
    line = encode([row(a=3, b=2**70, c=-0.0, d=1e-7, e=True)]).decode()
    assert line.split(" ")[1] == "a=3.0,b=1.1805916207174113e+21,c=-0.0,d=1e-07,e=true"
    assert "i" not in line.split(" ")[1]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_what_is_no_finite_number_is_unwritable(value: float) -> None:
    with pytest.raises(Unwritable, match="rtt"):
        encode([row(rtt=value)])


def test_a_row_must_have_a_name_and_a_field() -> None:
    for bad in (Row("icmp", (), (), 1.0), row(""), row("#icmp"), Row("icmp", (), (("", 1.0),), 1.0)):
        with pytest.raises(Unwritable):
            encode([bad])


def test_bad_rows_are_named_and_the_others_encoded() -> None:
    good, bad = row(), row(rtt=math.nan)
    rows, lines, rejected = Encoder().partition([bad, good])
    assert rows == [good]
    assert lines == [encode([good]).decode()]
    assert [one for one, _ in rejected] == [bad]


def test_empty_tags_and_ends_that_would_escape_are_left_out() -> None:
    line = encode([row(tags={"empty": "", "mount": "C:\\", "only": "\\", "x": "1"})]).decode()
    assert line.startswith("icmp,mount=C:,x=1 ")


def test_text_is_left_out_for_databases_of_numbers() -> None:
    rows, lines, rejected = Encoder(texts=False).partition([row(rtt=1.0, why="x"), row(why="x")])
    assert (len(rows), rejected) == (1, [])
    assert lines == ["icmp rtt=1.0 1800000000000000000"]


def test_the_memory_of_series_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthmon.store.lineproto._SERIES_LIMIT", 10)
    encoder = Encoder()
    rows = [row(tags={"target": f"t{i}"}, **{f"f{i}": 1.0}) for i in range(100)]
    assert encoder.encode(rows) == encoder.encode(rows)
    assert max(len(encoder._series), len(encoder._fields)) <= 10


@given(st.floats(0, 9e9))
def test_stamps_are_the_nearest_microsecond(at: float) -> None:
    exact = Fraction(at) * 1_000_000
    assert abs(exact - micros_of(at)) <= Fraction(1, 2)


def test_halves_go_to_even() -> None:
    assert [micros_of(n * 0.5e-6 + 0) for n in (1, 3, 5)] == [0, 2, 2]


@pytest.mark.parametrize("at", [math.nan, math.inf, -1.0, -1e-3, 1e10, 1e300])
def test_no_moment_outside_1970_to_2262(at: float) -> None:
    with pytest.raises(Unwritable, match="time"):
        micros_of(at)


def test_a_known_moment() -> None:
    at = datetime(2026, 11, 22, 0, 15, 8, 250_000, tzinfo=UTC).timestamp()
    assert encode([row(at=at)]).endswith(b" 1795306508250000000")
