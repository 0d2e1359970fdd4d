"""blackbox_exporter and Prometheus as daemons, and what they say."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemons.process import Daemon, free_port, listens, need, running


@contextmanager
def blackbox(folder: Path, modules: str) -> Iterator[str]:
    """blackbox_exporter with these modules (YAML); gives its address."""
    port = free_port()
    config = folder / "blackbox.yml"
    config.write_text(modules)
    argv = [
        need("prometheus-blackbox-exporter"),
        f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(Daemon(argv, ready=listens(port), log=folder / "blackbox.log")):
        yield f"127.0.0.1:{port}"


@contextmanager
def prometheus(folder: Path, jobs: str) -> Iterator[str]:
    """Prometheus with this scrape configuration (YAML); gives its URL."""
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(jobs)
    argv = [
        need("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(Daemon(argv, ready=ready(port), log=folder / "prometheus.log")):
        yield f"http://127.0.0.1:{port}"


def ready(port: int) -> Callable[[], bool]:
    """Prometheus listens before its storage can be asked."""

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return answers


def query(base: str, expression: str) -> list[dict[str, Any]]:
    """An instant query."""
    with urllib.request.urlopen(f"{base}/api/v1/query?query={urllib.parse.quote(expression)}", timeout=10) as answer:
        result: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
    return result


def ask(address: str, module: str, target: str, **more: str) -> str:
    """One GET of /probe."""
    text = urllib.parse.urlencode({"module": module, "target": target, **more})
    with urllib.request.urlopen(f"http://{address}/probe?{text}", timeout=30) as answer:
        page: str = answer.read().decode()
    return page


def series(page: str) -> dict[str, float]:
    """Every sample of an exposition by its name and sorted labels."""
    found: dict[str, float] = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            bare, _, labels = name.partition("{")
            parts = sorted(re.findall(r'\w+="[^"]*"', labels))
            found[f"{bare}{{{','.join(parts)}}}"] = float(value)
    return found
