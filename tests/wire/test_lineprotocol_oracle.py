"""A real InfluxDB and our reader of line protocol judge the same lines."""

from __future__ import annotations

import os
import random
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from daemons.influx import Influx
from daemons.lines import BAD, GOOD, STRICTER
from healthmon.ingest.lineprotocol import BadLine, lines_of, parse_line

pytestmark = pytest.mark.wire

#: `HEALTHMON_FUZZ=N` asks about more.
EXAMPLES = int(os.environ.get("HEALTHMON_FUZZ", "400"))


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    daemon = Influx(tmp_path_factory.mktemp("oracle"))
    daemon.start()
    try:
        daemon.sql("CREATE DATABASE healthmon", database="")
        yield daemon
    finally:
        daemon.stop()


def refuses(influx: Influx, payload: bytes) -> bool | None:
    """Whether the parser of InfluxDB says no; None when it only tells of a clash with what it has."""
    request = urllib.request.Request(f"{influx.url}/write?db=healthmon", data=payload)
    try:
        with urllib.request.urlopen(request, timeout=10):
            return False
    except urllib.error.HTTPError as error:
        said = error.read()
        return True if b"unable to parse" in said else None


def ours_refuses(payload: bytes) -> bool:
    try:
        for line in lines_of(payload):
            parse_line(line)
    except BadLine:
        return True
    return False


def test_influxdb_judges_the_cases_as_we_do(influx: Influx) -> None:
    assert [line for line in GOOD if refuses(influx, line)] == []
    assert [line for line in BAD if refuses(influx, line) is not True] == []
    assert [line for line in STRICTER if refuses(influx, line)] == []


def test_influxdb_judges_mutated_lines_as_we_do(influx: Influx) -> None:
    chance = random.Random(20261122)
    pieces = [b"\\", b",", b"=", b" ", b'"', b"\n", b"1", b"i", b"e", b"-", b".", b"t", b"#", b"\t", b"x"]
    for _ in range(EXAMPLES):
        line = bytearray(chance.choice(GOOD))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(line) + 1)
            line[at : at + chance.randint(0, 2)] = chance.choice(pieces)
        mutated = bytes(line)
        theirs = refuses(influx, mutated)
        if theirs and not ours_refuses(mutated):
            pytest.fail(f"InfluxDB refuses {mutated!r}, we take it")
        if theirs is False and ours_refuses(mutated) and not known_stricter(mutated):
            pytest.fail(f"we refuse {mutated!r}, InfluxDB takes it")


def known_stricter(payload: bytes) -> bool:
    """Where its scanner is laxer than its reference: what stands right after a quoted value, `==`, quotes in keys."""
    odd = (b'"', b"==", b"\\", b"=,", b"\t=")
    return any(one in payload for one in odd)
