"""What each HTTP answer to a write means: rows are refused only for a fault that is surely theirs."""

from __future__ import annotations

import json

import pytest

from healthmon.model.errors import StoreDown
from healthmon.store.answers import Meaning, meaning, message_of, seconds_of
from healthmon.store.dialects import Dialect

CONFLICT = 'partial write: field type conflict: input field "v" on measurement "m" is type string dropped=1'
#: status, body, what it means (None: keep and retry). Bodies as the databases' documentation and sources give them.
ANSWERS = [
    (400, {"error": CONFLICT}, Meaning.SPLIT),
    (400, {"error": "unable to parse 'x': missing fields"}, Meaning.SPLIT),
    (400, {"error": "partial write: points beyond retention policy dropped=3"}, Meaning.SPLIT),
    (400, {"code": "invalid", "message": "unable to parse 'x': missing fields"}, Meaning.SPLIT),
    (422, {"code": "unprocessable entity", "message": "failure writing points: field type conflict"}, Meaning.SPLIT),
    (
        400,
        {"error": "partial write of line protocol occurred", "data": [{"error_message": "invalid", "line_number": 2}]},
        Meaning.SPLIT,
    ),
    (413, "too large", Meaning.SPLIT),
    (404, {"error": 'database not found: "healthmon"'}, Meaning.MISSING),
    (404, {"code": "not found", "message": 'bucket "healthmon" not found'}, Meaning.MISSING),
    (404, "404 page not found\n", None),
    (400, 'unsupported path requested: "/api/v2/write"', None),
    (400, "<html>Bad Request</html>", None),
    (200, "<html>please log in</html>", None),
    (302, "", None),
    (401, {"error": "authorization failed"}, None),
    (403, {"error": "forbidden"}, None),
    (429, {"message": "too many requests"}, None),
    (500, {"error": "timeout"}, None),
    (502, "", None),
    (503, "", None),
]


@pytest.mark.parametrize(("status", "body", "expected"), ANSWERS)
def test_every_answer(status: int, body: object, expected: Meaning | None) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    if expected:
        assert meaning(status, text, retry_after=None, at="http://db", stored=False) is expected
    else:
        with pytest.raises(StoreDown, match=str(status)):
            meaning(status, text, retry_after=None, at="http://db", stored=False)


def test_a_refused_login_says_what_to_do_and_waits_longer() -> None:
    with pytest.raises(StoreDown, match=r"token or the name and password; the rows are kept") as caught:
        meaning(401, '{"error": "authorization failed"}', retry_after=None, at="http://db", stored=False)
    assert caught.value.retry_after_s == 30.0


def test_the_database_says_how_long_to_wait() -> None:
    with pytest.raises(StoreDown) as caught:
        meaning(429, "", retry_after="17", at="http://db", stored=False)
    assert caught.value.retry_after_s == 17.0


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, 1.0), ("5", 5.0), ("0", 0.1), ("1e9", 300.0), ("Sun, 22 Nov 2026", 1.0)]
)
def test_waits_are_bounded(header: str | None, seconds: float) -> None:
    assert seconds_of(header) == seconds


def test_words_are_short_and_on_one_line() -> None:
    assert message_of("a\n b" + "c" * 1000) == "a b" + "c" * 297


@pytest.mark.parametrize(
    ("version", "url", "write_url"),
    [
        (1, "http://db:8086/", "http://db:8086/write"),
        (2, "http://db:8086", "http://db:8086/api/v2/write"),
        (3, "http://db:8181", "http://db:8181/api/v3/write_lp"),
        (None, "http://db:9000", "http://db:9000/write"),
        (None, "http://db:8428/influx/write?x=1", "http://db:8428/influx/write?x=1"),
    ],
)
def test_each_version_has_its_address(version: int | None, url: str, write_url: str) -> None:
    assert Dialect(version, url, "healthmon").write_url == write_url


def test_logins_by_version() -> None:
    headers = [Dialect(v, "http://db", "x", token="secret").headers["Authorization"] for v in (1, 2, 3, None)]
    assert headers == ["Token secret", "Token secret", "Bearer secret", "Bearer secret"]
    basic = Dialect(1, "http://db", "x", username="u", password="p")
    assert basic.headers == {"Authorization": "Basic dTpw"}
    assert "secret" not in repr(Dialect(2, "http://db", "x", token="secret"))
    assert "p" not in repr(basic).replace("http", "").split("username")[1].removeprefix("='u'")


def test_a_login_in_the_address_is_used_and_never_shown() -> None:
    dialect = Dialect.of(1, "https://u:s%40fe@db.example:8086", "x")
    assert dialect.at == "https://db.example:8086/write"
    assert (dialect.username, dialect.password) == ("u", "s@fe")
    assert "fe" not in repr(dialect)


@pytest.mark.parametrize(("version", "url"), [(4, "http://db"), (1, "db:8086"), (2, "mqtt://db")])
def test_nonsense_is_refused(version: int, url: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|must start"):
        Dialect(version, url, "x")
