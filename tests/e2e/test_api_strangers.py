"""A real server: no request that the API describes ends in a 5xx, and a stranger's requests change nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemons.onesite import OneSite, one_site
from healthmon.web.openapi import document
from healthmon.web.permissions import TABLE, Role

pytestmark = [pytest.mark.wire, pytest.mark.slow]

#: Requests tried for each route; `HEALTHMON_API_EXAMPLES=500` looks for more.
EXAMPLES = int(os.environ.get("HEALTHMON_API_EXAMPLES", "3"))
#: `events` is a stream without an end; test_web_events.py reads it.
STREAMS = {"/events"}
SERVED = document()
SCHEMA = schemathesis.openapi.from_dict(SERVED)
OPERATIONS = sorted(
    (path, method) for path, methods in SERVED["paths"].items() for method in methods if path not in STREAMS
)
WRITES = sorted(row for row in TABLE if not row.startswith("GET "))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    with one_site(tmp_path_factory.mktemp("strangers"), role_name="server") as found:
        yield found


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    """A server of its own, where everything works and nobody with a token does anything."""
    with one_site(tmp_path_factory.mktemp("quiet"), role_name="server") as found:
        yield found


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda part: str(part))
def test_nothing_that_the_document_allows_ends_in_a_5xx(site: OneSite, path: str, method: str) -> None:
    operation = SCHEMA[path][method.upper()]
    bearer = {"Authorization": f"Bearer {site.token}"}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=EXAMPLES < 100,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    def ask(case: Any) -> None:
        answer = case.call(base_url=f"{site.base}/api/v1", headers=bearer, timeout=30)
        assert answer.status_code < 500, f"{case.as_curl_command()}\n{answer.text[:500]}"

    ask()


def test_garbage_is_no_5xx_either(site: OneSite) -> None:
    @settings(max_examples=EXAMPLES * 5, deadline=None, derandomize=EXAMPLES < 100, database=None)
    @given(row=st.sampled_from(WRITES), body=st.binary(max_size=200))
    def ask(row: str, body: bytes) -> None:
        for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            status = sent(site, row, body, {"Content-Type": kind, "Authorization": f"Bearer {site.token}"})
            assert status < 500, (row, kind, body)

    ask()


def sent(site: OneSite, row: str, body: bytes, headers: dict[str, str]) -> int:
    method, path = row.split(" ", 1)
    url = site.base + re.sub(r"\{\w+\}", "nothing", path)
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


#: What the engine itself moves while nobody does anything.
LIVING = {"reading", "memory", "presence", "epoch", "meta"}


def state_of(site: OneSite) -> dict[str, Any]:
    """What people can change: the journal without what readings move, and every other file that is kept."""
    with closing(sqlite3.connect(f"file:{site.data / 'journal.sqlite'}?mode=ro", uri=True)) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} - LIVING
        rows = {name: sorted(map(repr, db.execute(f"SELECT * FROM {name}"))) for name in sorted(tables)}
    names = ("users.json", "tokens.json", "sessions.json", "stop-probing", "token", "identities.json", "ack-secret")
    files = {name: digest(site.data / name) for name in names}
    configuration = digest(site.config)
    return {"rows": rows, "files": files, "configuration": configuration, "probing": site.health()["probing"]}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none"


BODIES = (
    b"",
    b"{}",
    json.dumps({"by": "A stranger", "text": "x", "reason": "x", "to": "x", "into": "x", "members": ["x"]}).encode(),
    json.dumps({"match": {"area": "*"}, "owner": "x", "reason": "x", "ends_at": "2099-01-01T00:00:00Z"}).encode(),
    json.dumps({"name": "mine", "role": "configure", "by": "x"}).encode(),
    b"by=A+stranger&user=root&password=root&token=x&name=x&form_token=x&next=/",
)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"X-Forwarded-For": "192.0.2.9"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic cm9vdDpyb290"},
        {"Cookie": "healthmon_session=wrong"},
        {"X-Remote-User": "root", "X-Remote-Groups": "admin", "X-Forwarded-User": "root"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
    ids=lambda claims: next(iter(claims), "nothing"),
)
def test_a_stranger_changes_nothing(quiet: OneSite, claims: dict[str, str]) -> None:
    """A ward's report is another matter; it is the one thing that needs no more than a ward's network."""
    before = state_of(quiet)
    tried = [row for row in WRITES if TABLE[row] is not Role.WARD]
    assert len(tried) > 30
    for row in tried:
        for body in BODIES if not claims else BODIES[-3:]:
            form = body.startswith(b"by=")
            kind = "application/x-www-form-urlencoded" if form else "application/json"
            status = sent(quiet, row, body, {"Content-Type": kind} | claims)
            assert 400 <= status < 500, f"{row} answers {status} to a stranger"
    assert state_of(quiet) == before
