"""A real InfluxDB 1.x on loopback, with its data in a folder of the test."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from daemons.process import Daemon, free_port, listens, need

_CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{root}/meta"
[data]
  dir = "{root}/data"
  wal-dir = "{root}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
  auth-enabled = {auth}
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
"""


class Influx(Daemon):
    """InfluxDB 1.x; `url` is its HTTP address, `sql` asks InfluxQL behind the back of the program under test."""

    def __init__(self, root: Path, *, auth: bool = False) -> None:
        root.mkdir(parents=True, exist_ok=True)
        port, rpc = free_port(), free_port()
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        config = root / "influxdb.conf"
        config.write_text(_CONFIG.format(rpc=rpc, http=port, root=root, auth=str(auth).lower()))
        super().__init__([need("influxd"), "-config", str(config)], ready=listens(port), log=root / "influxd.log")

    def sql(self, query: str, database: str = "healthmon", **more: str) -> list[dict[str, Any]]:
        """The series of an InfluxQL query; times are epoch nanoseconds."""
        body = urllib.parse.urlencode({"q": query, "db": database, "epoch": "ns", **more}).encode()
        with urllib.request.urlopen(f"{self.url}/query", data=body, timeout=10) as answer:
            results: list[dict[str, Any]] = json.load(answer)["results"]
        assert "error" not in results[0], results[0]
        series: list[dict[str, Any]] = results[0].get("series", [])
        return series
