"""What an agent at rest costs, beside node_exporter that is scraped at the same interval.

The agents run as on a ward PC: in an environment that holds the thin install's packages and no others (paho loads
dnspython where it finds it). RSS is the median of one sample a second, in MiB and in MB of 1,000,000 bytes; CPU is
the process's own seconds over the wall seconds.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
import urllib.request
import venv
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from benchmarks.measuring import child, free_port, healthmon, need, wait_for

SECONDS = 120
SETTLE_S = 10
SCRAPE_EVERY_S = 15
THIN = ("healthmon", "aiomqtt", "paho", "msgspec", "psutil")


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


def thin_python(folder: Path) -> Path:
    """The interpreter of a new environment with what `pip install healthmon` brings, linked from this one."""
    home = folder / "thin"
    venv.create(home, with_pip=False, symlinks=True)
    (packages,) = home.glob("lib/python*/site-packages")
    for name in THIN:
        found = importlib.util.find_spec(name)
        assert found
        assert found.submodule_search_locations
        (packages / name).symlink_to(found.submodule_search_locations[0])
    return home / "bin" / "python"


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder, board, peer = Path(temporary), free_port(), free_port()
        config = folder / "healthmon.yaml"
        config.write_text(yaml.safe_dump(site(folder, board)))
        url = f"http://127.0.0.1:{board}/api/v1/health"
        stack.enter_context(child(healthmon("server", "-c", str(config)), log=folder / "server.log", url=url))
        python = thin_python(folder)
        watched = [agent(stack, config, name, folder, python) for name in ("host-only", "with-http")]
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
            mib = statistics.median(one.rss_mib)
            print(f"{one.name:14} RSS {mib:5.1f} MiB ({mib * 1.048576:4.1f} MB)   CPU {share * 100:5.2f} % of a core")


def agent(stack: ExitStack, config: Path, name: str, folder: Path, python: Path) -> Watched:
    plan = folder / f"{name}.json"
    with child(healthmon("check", "-c", str(config), "--resolve", name, "-o", str(plan)), log=folder / "check.log"):
        wait_for(plan.exists, what="the resolved agent file")
    argv = [str(python), "-m", "healthmon", "agent", "-c", str(plan)]
    process = stack.enter_context(child(argv, log=folder / f"{name}.log"))
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
