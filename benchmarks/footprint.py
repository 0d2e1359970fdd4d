"""What an agent at rest costs, beside node_exporter that is scraped at the same interval.

RSS is the median of one sample a second, CPU the process's own seconds over the wall seconds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from benchmarks.measuring import child, free_port, healthmon, need, wait_for

SECONDS = 60
SETTLE_S = 10
SCRAPE_EVERY_S = 15


@dataclass
class Watched:
    """One process under measurement."""

    name: str
    process: psutil.Process
    rss_mib: list[float] = field(default_factory=list)
    cpu_before_s: float = 0.0

    def sample(self) -> None:
        self.rss_mib.append(self.process.memory_info().rss / 2**20)

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


def site(folder: Path, board: int) -> dict[str, object]:
    """Two agents: one with host collectors only, one that also checks the record every 30 s."""
    record = {"id": "up", "kind": "http", "path": "/api/v1/health", "every": "30s", "from": ["with-http"]}
    hosts = [{"id": name, "kind": "server", "address": "127.0.0.1"} for name in ("host-only", "with-http")]
    return {
        "organisation": {"id": "bench", "name": "Bench", "timezone": "UTC"},
        "sites": [{"id": "main", "name": "Main"}],
        "targets": [
            {"id": "ehr", "kind": "endpoint", "address": f"http://127.0.0.1:{board}", "checks": [record]},
            *hosts,
        ],
        "agents": [{"id": h["id"], "target": h["id"], "roles": ["ward-workstation"]} for h in hosts],
        "data_dir": str(folder / "data"),
        "web": {"listen": f"127.0.0.1:{board}"},
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder, board, peer = Path(temporary), free_port(), free_port()
        config = folder / "healthmon.yaml"
        config.write_text(yaml.safe_dump(site(folder, board)))
        url = f"http://127.0.0.1:{board}/api/v1/health"
        stack.enter_context(child(healthmon("server", "-c", str(config)), log=folder / "server.log", url=url))
        watched = [agent(stack, config, name, folder) for name in ("host-only", "with-http")]
        exporter = need("prometheus-node-exporter")
        if exporter:
            argv = [exporter, f"--web.listen-address=127.0.0.1:{peer}"]
            metrics = f"http://127.0.0.1:{peer}/metrics"
            watched.append(
                Watched("node_exporter", stack.enter_context(child(argv, log=folder / "peer.log", url=metrics)))
            )
        observe(watched, scrape=f"http://127.0.0.1:{peer}/metrics" if exporter else None)
        for one in watched:
            share = (one.cpu_s() - one.cpu_before_s) / SECONDS
            print(f"{one.name:14} RSS {statistics.median(one.rss_mib):6.1f} MiB   CPU {share * 100:5.2f} % of a core")


def agent(stack: ExitStack, config: Path, name: str, folder: Path) -> Watched:
    plan = folder / f"{name}.json"
    with child(healthmon("check", "-c", str(config), "--resolve", name, "-o", str(plan)), log=folder / "check.log"):
        wait_for(plan.exists, what="the resolved agent file")
    process = stack.enter_context(child(healthmon("agent", "-c", str(plan)), log=folder / f"{name}.log"))
    return Watched(name, process)


def observe(watched: list[Watched], *, scrape: str | None) -> None:
    time.sleep(SETTLE_S)
    for one in watched:
        one.cpu_before_s = one.cpu_s()
    for second in range(SECONDS):
        if scrape and second % SCRAPE_EVERY_S == 0:
            with urllib.request.urlopen(scrape, timeout=5) as answer:
                answer.read()
        for one in watched:
            one.sample()
        time.sleep(1.0)
