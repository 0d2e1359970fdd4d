"""A real Prometheus on loopback, filled by promtool from expositions with times."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from daemons.process import Daemon, free_port, listens, need


class Prometheus(Daemon):
    """`url` is its HTTP address. history: OpenMetrics text, a time (Unix s) behind each sample, `# EOF` at the end."""

    def __init__(self, root: Path, *, history: str = "", scrape: str = "") -> None:
        root.mkdir(parents=True, exist_ok=True)
        data, port = root / "data", free_port()
        if history:
            text = root / "history.txt"
            text.write_text(history)
            command = [need("promtool"), "tsdb", "create-blocks-from", "openmetrics", "-q", str(text), str(data)]
            subprocess.run(command, check=True, timeout=60)
        config = root / "prometheus.yml"
        config.write_text(scrape or "global: {scrape_interval: 15s}\n")
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        argv = [
            need("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--storage.tsdb.retention.time=100y",
        ]
        super().__init__(argv, ready=listens(port), log=root / "prometheus.log")

    def now(self, expr: str, at: float) -> list[dict[str, Any]]:
        """The vector of an instant query."""
        return self._get("query", query=expr, time=str(at))

    def over(self, expr: str, *, start: float, end: float, step_s: float) -> list[dict[str, Any]]:
        """The matrix of a range query."""
        return self._get("query_range", query=expr, start=str(start), end=str(end), step=str(step_s))

    def _get(self, path: str, **arguments: str) -> list[dict[str, Any]]:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found
