"""Target down -> webhook at 1 s probes, beside blackbox_exporter + Prometheus + Alertmanager, in one run.

Every trial closes one listening socket (a refusing target) at a random moment; both systems watch the same one.
healthmon runs twice: `plain` raises on the first failure (no recheck, hold 0), `confirmed` after quick rechecks.
"""

from __future__ import annotations

import json
import random
import socket
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measuring import child, free_port, healthmon, need, quantiles

TRIALS = 60  # one target each, since a target that fails again soon belongs to its old incident
LONGEST_S = 10.0
SETTLE_S = 10.0
#: Pages go at any hour and at once, as the peer's do.
WAKING = {
    "hold": {"seconds": 0, "severities": []},
    "gather_seconds": {},
    "rules": [{"severities": [1, 2, 3, 4, 5], "do": "page"}],
}


class Webhooks:
    """Receives every system's pages; `first` holds when each (system, target) was first told down.

    `own` holds the part of it that is healthmon's own: from the start of the look that failed first.
    """

    def __init__(self) -> None:
        self.first: dict[tuple[str, str], float] = {}
        self.own: dict[str, list[float]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.take(self.path.strip("/"), body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, system: str, body: dict[str, Any]) -> None:
        now = time.monotonic()
        if system == "alertmanager":
            down = [a["labels"]["target"] for a in body["alerts"] if a["status"] == "firing"]
        else:
            root = body["incident"]["root"]
            down = [root["target"]] if root and body["why"] == "opened" else []
            evidence = datetime.fromisoformat(body["incident"]["first_evidence_at"]).timestamp()
            self.own.setdefault(system, []).extend(time.time() - evidence for _ in down)
        for target in down:
            self.first.setdefault((system, target), now)


class Target:
    """A TCP service that can be made to refuse."""

    def __init__(self) -> None:
        self.port = free_port()
        self.open()

    def open(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64, reuse_port=False)
        self.running = threading.Thread(target=self._serve, args=(self.listener,), daemon=True)
        self.running.start()

    def refuse(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return


def site(folder: Path, name: str, board: int, hook: int, targets: list[Target]) -> dict[str, Any]:
    """Each target carries one service of one ward, so that each loss pages."""
    recheck = 0 if name == "plain" else 2
    check = {"kind": "tcp", "every": "1s", "timeout": "1s", "recheck": recheck}
    ids = [f"t{number}" for number in range(len(targets))]
    overrides = {"rules": {"check-failed": {"confirm": 1, "clear_confirm": 1}}} if name == "plain" else {}
    ward = {"kind": "ward", "acuity": "inpatient", "beds": 20}
    return {
        "organisation": {"id": f"bench-{name}", "name": "Bench", "timezone": "UTC"},
        "sites": [{"id": "main", "name": "Main"}],
        "areas": [{"id": f"ward-{i}", "name": f"Ward {i}", **ward} for i in ids],
        "services": [
            {"id": f"s-{i}", "name": f"Service {i}", "tier": 1, "used_in": [f"ward-{i}"], "needs": [i]} for i in ids
        ],
        "targets": [
            {"id": i, "kind": "server", "address": f"127.0.0.1:{t.port}", "checks": [check]}
            for i, t in zip(ids, targets, strict=True)
        ],
        "safety": {"rates": {"per_target": "100/s", "per_subnet": "1000/s"}},
        "data_dir": str(folder / name),
        "packs": [str(folder / "packs")],
        "alerting": {"mode": "live", "overrides": overrides},
        "notify": {"channels": {"hook": {"kind": "webhook", "url": f"http://127.0.0.1:{hook}/{name}"}}},
        "oncall": {
            "policies": [{"id": "all", "severities": [1, 2, 3], "steps": [{"after": "0s", "channels": ["hook"]}]}]
        },
        "web": {"listen": f"127.0.0.1:{board}"},
    }


def peer(stack: ExitStack, folder: Path, hook: int, targets: list[Target]) -> bool:
    """blackbox_exporter, Prometheus and Alertmanager at their quickest: 1 s scrape and evaluation, group_wait 1 s."""
    names = ("prometheus-blackbox-exporter", "prometheus", "prometheus-alertmanager")
    blackbox, prometheus, alertmanager = (need(name) for name in names)
    if not (blackbox and prometheus and alertmanager):
        return False
    ports = [free_port() for _ in range(3)]
    modules = {"modules": {"tcp": {"prober": "tcp", "timeout": "1s"}}}
    receivers = [{"name": "hook", "webhook_configs": [{"url": f"http://127.0.0.1:{hook}/alertmanager"}]}]
    route = {"receiver": "hook", "group_by": ["target"], "group_wait": "1s", "group_interval": "1s"}
    rule = {"alert": "Down", "expr": "probe_success == 0", "for": "0s"}
    relabel = [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"target_label": "__address__", "replacement": f"127.0.0.1:{ports[0]}"},
    ]
    static = [{"targets": [f"127.0.0.1:{t.port}"], "labels": {"target": f"t{n}"}} for n, t in enumerate(targets)]
    scrape = {
        "job_name": "tcp",
        "metrics_path": "/probe",
        "params": {"module": ["tcp"]},
        "static_configs": static,
        "relabel_configs": relabel,
    }
    files = {
        "blackbox.yml": modules,
        "alertmanager.yml": {"route": route, "receivers": receivers},
        "rules.yml": {"groups": [{"name": "down", "rules": [rule]}]},
        "prometheus.yml": {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{ports[2]}"]}]}]},
            "scrape_configs": [scrape],
        },
    }
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content))
    commands = (
        [blackbox, f"--config.file={folder}/blackbox.yml", f"--web.listen-address=127.0.0.1:{ports[0]}"],
        [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
         f"--web.listen-address=127.0.0.1:{ports[1]}"],
        [alertmanager, f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/am",
         f"--web.listen-address=127.0.0.1:{ports[2]}", "--cluster.listen-address="],
    )  # fmt: skip
    paths = ("/metrics", "/-/ready", "/-/ready")
    for argv, port, path in zip(commands, ports, paths, strict=True):
        stack.enter_context(child(argv, log=folder / "peer.log", url=f"http://127.0.0.1:{port}{path}"))
    return True


def write_waking(folder: Path) -> None:
    path = folder / "packs" / "alerting" / "waking" / "default.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(WAKING))


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        write_waking(folder)
        hooks, targets = Webhooks(), [Target() for _ in range(TRIALS)]
        systems = ["plain", "confirmed"]
        for name in systems:
            board = free_port()
            config = folder / f"{name}.yaml"
            config.write_text(yaml.safe_dump(site(folder, name, board, hooks.port, targets)))
            url = f"http://127.0.0.1:{board}/api/v1/health"
            stack.enter_context(child(healthmon("up", "-c", str(config)), log=folder / f"{name}.log", url=url))
        if peer(stack, folder, hooks.port, targets):
            systems.append("alertmanager")
        time.sleep(SETTLE_S)
        waits: dict[str, list[float]] = {system: [] for system in systems}
        for number, target in enumerate(targets):
            one_trial(hooks, target, f"t{number}", waits)
        for system in systems:
            report(system, waits[system], hooks.own.get(system))


def report(system: str, waits: list[float], own: list[float] | None) -> None:
    names = {"alertmanager": "Prometheus + Alertmanager (for: 0s, group_wait 1s)"}
    found = quantiles(waits) if waits else "nothing was told"
    label = names.get(system, f"healthmon {system}")
    print(f"{label:52} {found} s   n {len(waits)}, missed {TRIALS - len(waits)}")
    if own:
        print(f"{'':8}{'of it from the first failed look':44} {quantiles(own)} s")


def one_trial(hooks: Webhooks, target: Target, name: str, waits: dict[str, list[float]]) -> None:
    """Refuse until every system has told (or for some seconds), then heal."""
    time.sleep(random.uniform(0.0, 1.0))
    began = time.monotonic()
    target.refuse()
    while time.monotonic() < began + LONGEST_S and any((s, name) not in hooks.first for s in waits):
        time.sleep(0.02)
    for system, found in waits.items():
        told = hooks.first.get((system, name))
        if told is not None:
            found.append(told - began)
    target.open()
