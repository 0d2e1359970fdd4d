"""The Store port: one suite over the embedded file, InfluxDB 1.x by its own and by a plain address, VictoriaMetrics."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from daemons.influx import Influx
from daemons.influx2 import BINARY, ORG, TOKEN, Influx2
from daemons.process import running
from daemons.victoria import Victoria
from healthmon.model.ports import Store
from healthmon.model.sample import Query, Row, Value
from healthmon.store.embedded import EmbeddedStore
from healthmon.store.influx import InfluxStore
from healthmon.store.lineproto import micros_of
from healthmon.store.looking import StoreFile

pytestmark = pytest.mark.wire

#: Whole seconds some minutes ago: no database takes it for the future or for long past.
BASE = float(int(time.time()) // 600 * 600 - 1200)

Point = tuple[tuple[tuple[str, str], ...], str, int, Value]  # tags, field, Unix microseconds, value


class Subject(Protocol):
    """A store under test and an independent way to see what is in it."""

    store: Store
    texts: bool  # keeps strings and booleans
    tick_us: int  # the finest time step it keeps

    def points(self, family: str) -> set[Point]: ...

    async def reopen(self) -> None: ...


@dataclass
class EmbeddedSubject:
    path: Path
    texts: bool = True
    queries: bool = True
    tick_us: int = 1
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = EmbeddedStore(self.path)

    def points(self, family: str) -> set[Point]:
        with StoreFile(self.path) as file:
            return {
                (row.tags, name, micros_of(row.at), value)
                for row in file.rows()
                if row.family == family
                for name, value in row.fields
            }

    async def reopen(self) -> None:
        await self.store.close()
        self.store = EmbeddedStore(self.path)


@dataclass
class InfluxSubject:
    daemon: Influx
    database: str
    texts: bool = True
    queries: bool = True
    tick_us: int = 1
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = InfluxStore(self.daemon.url, version=1, database=self.database)

    def points(self, family: str) -> set[Point]:
        found: set[Point] = set()
        for series in self.daemon.sql(f'SELECT * FROM "{family}" GROUP BY *', self.database):
            tags = tuple(sorted((name, value) for name, value in series["tags"].items() if value))
            for at, *values in series["values"]:
                assert at % 1000 == 0
                for name, value in zip(series["columns"][1:], values, strict=True):
                    if value is not None:
                        number = float(value) if type(value) is int else value
                        found.add((tags, name, at // 1000, number))
        return found

    async def reopen(self) -> None:
        await self.store.close()
        self.daemon.kill9()
        self.daemon.start()
        self.store = InfluxStore(self.daemon.url, version=1, database=self.database)


@dataclass
class Influx2Subject(InfluxSubject):
    """Joins where HEALTHMON_TEST_INFLUXD2 names a binary."""

    daemon: Any

    def __post_init__(self) -> None:
        self.store = InfluxStore(self.daemon.url, version=2, bucket=self.database, org=ORG, token=TOKEN)

    async def reopen(self) -> None:
        await self.store.close()
        self.daemon.kill9()
        self.daemon.start()
        self.__post_init__()


@dataclass
class PlainSubject(InfluxSubject):
    """The same daemon as `lineprotocol: {url: ...}` would write to it: nothing is made, nothing can be asked."""

    queries: bool = False

    def __post_init__(self) -> None:
        self.daemon.sql(f'CREATE DATABASE "{self.database}"', "")
        self.open()

    def open(self) -> None:
        self.store = InfluxStore(f"{self.daemon.url}/write?db={self.database}", version=None)

    async def reopen(self) -> None:
        await super().reopen()
        await self.store.close()
        self.open()


@dataclass
class VictoriaSubject:
    daemon: Victoria
    texts: bool = False
    queries: bool = False
    tick_us: int = 1000
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = InfluxStore(self.daemon.url, version=2, org="o", bucket="healthmon")

    def points(self, family: str) -> set[Point]:
        found: set[Point] = set()
        for series in self.daemon.export(f'{{__name__=~"{family}_.*"}}'):
            tags = dict(series["metric"])
            name = tags.pop("__name__").removeprefix(f"{family}_")
            for at, value in zip(series["timestamps"], series["values"], strict=True):
                found.add((tuple(sorted(tags.items())), name, at * 1000, float(value)))
        return found

    async def reopen(self) -> None:
        await self.store.close()
        self.daemon.stop()
        self.daemon.start()
        self.store = InfluxStore(self.daemon.url, version=2, org="o", bucket="healthmon")


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with running(Influx(tmp_path_factory.mktemp("influx"))) as daemon:
        yield daemon  # type: ignore[misc]


@pytest.fixture(scope="module")
def influx2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx2]:
    with running(Influx2(tmp_path_factory.mktemp("influx2"))) as daemon:
        assert isinstance(daemon, Influx2)
        daemon.set_up()
        yield daemon


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[Victoria]:
    with running(Victoria(tmp_path / "victoria")) as daemon:
        yield daemon  # type: ignore[misc]


JOINS = ("influx2",) if BINARY else ()
#: A plain address and VictoriaMetrics only take line protocol from us; the latter keeps two values of one moment.
queryable = pytest.mark.parametrize("subject", ["embedded", "influx1", *JOINS], indirect=True)
replacing = pytest.mark.parametrize("subject", ["embedded", "influx1", "plain", *JOINS], indirect=True)


@pytest.fixture(params=["embedded", "influx1", "plain", "victoria", *JOINS])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    name = f"db{random.randrange(1 << 40):x}"
    made: Subject
    if request.param == "embedded":
        made = EmbeddedSubject(tmp_path / "store.sqlite")
    elif request.param == "influx1":
        made = InfluxSubject(request.getfixturevalue("influx"), name)
    elif request.param == "influx2":
        made = Influx2Subject(request.getfixturevalue("influx2"), name)
    elif request.param == "plain":
        made = PlainSubject(request.getfixturevalue("influx"), name)
    else:
        made = VictoriaSubject(request.getfixturevalue("victoria"))
    yield made
    await made.store.close()


def row(family: str, at: float, *, tags: dict[str, str] | None = None, **fields: Value) -> Row:
    return Row(family, tuple(sorted((tags or {"target": "t1"}).items())), tuple(sorted(fields.items())), at)


def expected(rows: list[Row], subject: Subject) -> set[Point]:
    """What a store with these abilities must hold."""
    return {  # a database of numbers keeps True as 1, which Python calls equal
        (one.tags, name, micros_of(one.at) // subject.tick_us * subject.tick_us, value)
        for one in rows
        for name, value in one.fields
        if subject.texts or not isinstance(value, str)
    }


async def test_what_is_written_is_there(subject: Subject) -> None:
    rows = [row("icmp", BASE + i, tags={"target": f"t{i % 3}", "area": "ward-7"}, rtt=i / 8) for i in range(20)]
    written = await subject.store.write(rows)
    assert (written.accepted, written.rejected) == (20, ())
    assert subject.points("icmp") == expected(rows, subject)


async def test_the_same_rows_again_are_the_same_points(subject: Subject) -> None:
    rows = [row("icmp", BASE + i + 0.123456, rtt=1.5 * i) for i in range(10)]
    for _ in range(3):
        await subject.store.write(rows)
    assert len(expected(rows, subject)) == 10
    assert subject.points("icmp") == expected(rows, subject)


@replacing
async def test_a_later_value_at_the_same_moment_replaces_the_earlier(subject: Subject) -> None:
    await subject.store.write([row("icmp", BASE, rtt=1.0)])
    await subject.store.write([row("icmp", BASE, rtt=2.0)])
    assert subject.points("icmp") == expected([row("icmp", BASE, rtt=2.0)], subject)


HARD_TAGS = [
    "plain",
    "with space",
    "comma,comma",
    "equals=sign",
    "all, of=them at, once",
    'quote"double',
    "quote'single",
    "Gi1/0/24",
    "/mnt/data",
    "Überwachung",
    "日本",
    "😀",
    "#hash",
    "100%",
    "{curly}[square](round)",
    "tab-less; semi|pipe",
]


@pytest.mark.parametrize("text", HARD_TAGS)
async def test_tags_come_back_as_they_went(subject: Subject, text: str) -> None:
    rows = [row("snmp_if", BASE, tags={"interface": text, "target": "t1"}, octets=1.0)]
    assert (await subject.store.write(rows)).rejected == ()
    assert subject.points("snmp_if") == expected(rows, subject)
    if subject.queries:
        (series,) = await subject.store.query(Query("snmp_if", "octets", {"interface": text}, BASE, BASE + 1))
        assert series.tags == {"interface": text, "target": "t1"}


HARD_TEXTS = ["", "plain", 'say "hi"', "back\\slash", "ends\\", "a,b=c d", "'single'", "日本 😀", "x" * 200]


@pytest.mark.parametrize("text", HARD_TEXTS)
async def test_text_and_truth_come_back_as_they_went(subject: Subject, text: str) -> None:
    rows = [row("probe", BASE, reason=text, ok=True, bad=False, took=0.5)]
    assert (await subject.store.write(rows)).rejected == ()
    assert subject.points("probe") == expected(rows, subject)
    if subject.queries:
        (series,) = await subject.store.query(Query("probe", "reason", {}, BASE, BASE + 1))
        assert list(series.points) == [(BASE, text)]
        (series,) = await subject.store.query(Query("probe", "ok", {}, BASE, BASE + 1))
        assert list(series.points) == [(BASE, True)]


EDGES = [0.0, 1.0, -1.0, 1e-9, 0.1 + 0.2, 2.0**53, 2.0**63, -(2.0**63), 2.0**64, 1.7976931348623157e308, 1e16, 1e22]


async def test_numbers_come_back_bit_for_bit(subject: Subject) -> None:
    rows = [row("host_net", BASE, tags={"target": f"t{i}"}, value=value) for i, value in enumerate(EDGES)]
    assert (await subject.store.write(rows)).rejected == ()
    found = subject.points("host_net")
    if isinstance(subject, VictoriaSubject):  # keeps about 12 decimal digits
        near = {tags: value for tags, _, _, value in found}
        for one in rows:
            assert near[one.tags] == pytest.approx(one.fields[0][1], rel=1e-11)
    else:
        assert found == expected(rows, subject)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
async def test_what_is_no_number_is_refused_and_the_rest_is_kept(subject: Subject, value: float) -> None:
    good, bad = row("icmp", BASE, rtt=1.0), row("icmp", BASE + 1, rtt=value)
    written = await subject.store.write([bad, good])
    assert written.accepted == 1
    assert [(one.at, "not a number" in why) for one, why in written.rejected] == [(BASE + 1, True)]
    assert subject.points("icmp") == expected([good], subject)


@pytest.mark.parametrize("at", [-1.0, float("nan"), float("inf"), 1e11])
async def test_impossible_times_are_refused_and_the_rest_is_kept(subject: Subject, at: float) -> None:
    good = row("icmp", BASE, rtt=1.0)
    written = await subject.store.write([good, row("icmp", at, rtt=2.0)])
    assert (written.accepted, len(written.rejected)) == (1, 1)
    assert subject.points("icmp") == expected([good], subject)


async def test_a_restart_keeps_what_was_written(subject: Subject) -> None:
    rows = [row("icmp", BASE + i, rtt=float(i)) for i in range(50)]
    await subject.store.write(rows)
    await subject.reopen()
    assert subject.points("icmp") == expected(rows, subject)
    await subject.store.write(rows)
    assert subject.points("icmp") == expected(rows, subject)


async def test_many_rows_at_once(subject: Subject) -> None:
    rows = [row("bulk", BASE + i * 0.01, tags={"target": f"t{i % 50}"}, v=float(i)) for i in range(12_000)]
    assert (await subject.store.write(rows)).accepted == 12_000
    assert len(subject.points("bulk")) == 12_000


async def test_nothing_is_written_for_no_rows(subject: Subject) -> None:
    written = await subject.store.write([])
    assert (written.accepted, written.rejected) == (0, ())


async def test_a_query_before_the_first_write_finds_nothing(subject: Subject) -> None:
    if not subject.queries:
        with pytest.raises(ValueError, match="read it with its own tools"):
            await subject.store.query(Query("icmp", "rtt", {}, BASE, BASE + 60))
        return
    assert await subject.store.query(Query("icmp", "rtt", {}, BASE, BASE + 60)) == []


STEPS = [
    ("mean", [(0.0, 2.0), (60.0, 10.0)]),
    ("min", [(0.0, 1.0), (60.0, 10.0)]),
    ("max", [(0.0, 3.0), (60.0, 10.0)]),
    ("last", [(0.0, 2.0), (60.0, 10.0)]),
    ("count", [(0.0, 3.0), (60.0, 1.0)]),
]


@queryable
@pytest.mark.parametrize(("aggregate", "points"), STEPS)
async def test_steps_are_aggregated(subject: Subject, aggregate: str, points: list[tuple[float, float]]) -> None:
    values = [(5.0, 1.0), (10.0, 3.0), (59.9, 2.0), (60.0, 10.0), (120.0, 99.0)]
    await subject.store.write([row("icmp", BASE + at, rtt=value) for at, value in values])
    query = Query("icmp", "rtt", {"target": "t1"}, BASE, BASE + 120, 60.0, aggregate)
    (series,) = await subject.store.query(query)
    assert [(at - BASE, value) for at, value in series.points] == points


@queryable
async def test_text_has_a_last_value_and_a_count_but_no_mean(subject: Subject) -> None:
    await subject.store.write([row("probe", BASE + i, outcome=word) for i, word in enumerate(["ok", "failed"])])
    (last,) = await subject.store.query(Query("probe", "outcome", {}, BASE, BASE + 60, 60.0, "last"))
    assert list(last.points) == [(BASE, "failed")]
    (count,) = await subject.store.query(Query("probe", "outcome", {}, BASE, BASE + 60, 60.0, "count"))
    assert list(count.points) == [(BASE, 2.0)]
    assert await subject.store.query(Query("probe", "outcome", {}, BASE, BASE + 60, 60.0, "mean")) == []


@queryable
async def test_queries_are_half_open_and_matched_by_every_tag(subject: Subject) -> None:
    await subject.store.write(
        [row("icmp", BASE + i, tags={"target": t, "area": "a"}, rtt=float(i)) for i in range(4) for t in ("x", "y")]
    )
    (series,) = await subject.store.query(Query("icmp", "rtt", {"target": "x", "area": "a"}, BASE + 1, BASE + 3))
    assert [value for _, value in series.points] == [1.0, 2.0]
    assert series.tags == {"target": "x", "area": "a"}
    both = await subject.store.query(Query("icmp", "rtt", {"area": "a"}, BASE, BASE + 10))
    assert sorted(one.tags["target"] for one in both) == ["x", "y"]
    assert await subject.store.query(Query("icmp", "rtt", {"target": "z"}, BASE, BASE + 10)) == []


@queryable
async def test_the_newest_point_of_every_series(subject: Subject) -> None:
    await subject.store.write([row("icmp", BASE + i, tags={"target": t}, rtt=float(i)) for i in range(5) for t in "xy"])
    await subject.store.write([row("icmp", BASE + 9, tags={"target": "y"}, rtt=9.0)])
    found = await subject.store.query(Query("icmp", "rtt", {}, BASE, BASE + 60, newest=True))
    assert {one.tags["target"]: list(one.points) for one in found} == {"x": [(BASE + 4, 4.0)], "y": [(BASE + 9, 9.0)]}
    (one,) = await subject.store.query(Query("icmp", "rtt", {"target": "y"}, BASE, BASE + 3, newest=True))
    assert list(one.points) == [(BASE + 2, 2.0)]
    assert await subject.store.query(Query("icmp", "rtt", {}, BASE + 10, BASE + 60, newest=True)) == []


@queryable
async def test_an_unknown_aggregate_names_the_allowed_ones(subject: Subject) -> None:
    with pytest.raises(ValueError, match=r"median.*allowed.*mean"):
        await subject.store.query(Query("icmp", "rtt", {}, BASE, BASE + 1, 60.0, "median"))
