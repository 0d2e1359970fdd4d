"""An InfluxDB 2 that HEALTHMON_TEST_INFLUXD2 names. Debian has none: by its documentation, run by nobody yet."""

from __future__ import annotations

import json
import os
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from daemons.process import Daemon, free_port, listens

BINARY = os.environ.get("HEALTHMON_TEST_INFLUXD2", "")
ORG = "healthmon"
TOKEN = "a-token-for-tests"


class Influx2(Daemon):
    """`url`, and `sql` for InfluxQL behind the back of the program under test."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        argv = [
            BINARY,
            f"--http-bind-address=127.0.0.1:{self.port}",
            f"--bolt-path={root}/influxd.bolt",
            f"--engine-path={root}/engine",
            "--reporting-disabled",
        ]
        super().__init__(argv, ready=listens(self.port), log=root / "influxd2.log")

    def set_up(self) -> None:
        """The first user, organisation and token."""
        body = {"username": "tester", "password": "a-password", "org": ORG, "bucket": "first", "token": TOKEN}
        request = urllib.request.Request(f"{self.url}/api/v2/setup", data=json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request, timeout=30).read()

    def sql(self, query: str, database: str) -> list[dict[str, Any]]:
        """The series of an InfluxQL query; times are epoch nanoseconds."""
        body = urllib.parse.urlencode({"q": query, "db": database, "epoch": "ns"}).encode()
        request = urllib.request.Request(f"{self.url}/query", data=body, headers={"Authorization": f"Token {TOKEN}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            results: list[dict[str, Any]] = json.load(answer)["results"]
        assert "error" not in results[0], results[0]
        series: list[dict[str, Any]] = results[0].get("series", [])
        return series
