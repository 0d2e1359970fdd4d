"""A real VictoriaMetrics on loopback, with its data in a folder of the test."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from daemons.process import Daemon, free_port, listens, need


class Victoria(Daemon):
    """VictoriaMetrics single node; `export` reads raw points, which show some seconds after they were written."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        argv = [
            need("victoria-metrics"),
            f"-httpListenAddr=127.0.0.1:{port}",
            f"-storageDataPath={root}/data",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=64MB",
        ]
        super().__init__(argv, ready=listens(port), log=root / "victoria.log")

    def flush(self) -> None:
        """Make what was written readable now."""
        urllib.request.urlopen(f"{self.url}/internal/force_flush", timeout=10).read()

    def export(self, match: str) -> list[dict[str, Any]]:
        """Raw series: labels in `metric`, milliseconds in `timestamps`, numbers in `values`."""
        self.flush()
        query = urllib.parse.urlencode({"match[]": match})
        with urllib.request.urlopen(f"{self.url}/api/v1/export?{query}", timeout=10) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]
