"""Rows that go into a table several at a time are the rows that were given."""

from __future__ import annotations

import sqlite3

import pytest

from healthmon.runtime.sqlite import put_many


@pytest.mark.parametrize("count", [0, 1, 3, 4, 15, 63, 64, 65, 213])
def test_any_number_of_rows_goes_in_whole_and_in_order(count: int) -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, body BLOB)")
    rows = [(number, f"n{number}", bytes([number % 251])) for number in range(count)]
    put_many(db, "INSERT INTO t", rows)
    assert db.execute("SELECT * FROM t ORDER BY rowid").fetchall() == rows


def test_of_two_rows_with_one_key_the_later_stands_also_within_one_statement() -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID")
    put_many(db, "INSERT OR REPLACE INTO t (name, value)", [(f"n{number % 10}", number) for number in range(100)])
    assert dict(db.execute("SELECT name, value FROM t")) == {f"n{number % 10}": number for number in range(90, 100)}


def test_a_row_that_the_table_refuses_is_an_error() -> None:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    with pytest.raises(sqlite3.IntegrityError):
        put_many(db, "INSERT INTO t", [(1,), (2,), (1,), (3,)])
