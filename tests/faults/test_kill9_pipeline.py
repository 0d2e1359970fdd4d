"""kill -9 of agent, broker and server in turn, under load: what was spooled is in the store, once."""

from __future__ import annotations

import os
import signal
import socketserver
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemons.healthmon import answers, api, role, until
from daemons.process import Daemon, free_port
from healthmon.store.lineproto import micros_of

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(300)]

AGENT = "pc-1"
CHECKS = 4
EVERY_S = 0.2
ROUNDS = 2


class Greeter(socketserver.BaseRequestHandler):
    """What the agent's checks talk to."""

    def handle(self) -> None:
        self.request.sendall(b"HELLO\r\n")


@contextmanager
def greeting() -> Iterator[int]:
    """A TCP service that greets."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


def site(folder: Path, board: int, service: int) -> dict[str, Any]:
    check = {"kind": "tcp", "port": service, "expect": "HELLO", "every": f"{EVERY_S}s", "timeout": f"{EVERY_S}s"}
    checks = [{**check, "id": f"greet-{number}", "from": [AGENT]} for number in range(CHECKS)]
    return {
        "organisation": {"id": "kill", "name": "Kill", "timezone": "UTC"},
        "sites": [{"id": "main", "name": "Main"}],
        "areas": [{"id": "ward-1", "name": "Ward 1", "kind": "ward", "acuity": "inpatient", "beds": 20}],
        "services": [{"id": "greet", "name": "Greeting", "tier": 1, "used_in": ["ward-1"], "needs": ["greeter"]}],
        "targets": [
            {"id": "greeter", "kind": "server", "address": "127.0.0.1", "checks": checks},
            {"id": AGENT, "kind": "server", "address": "127.0.0.1", "area": "ward-1"},
        ],
        "agents": [{"id": AGENT, "target": AGENT, "roles": ["linux-server"]}],
        "safety": {"rates": {"per_target": "1000/s", "per_subnet": "1000/s"}},
        "data_dir": str(folder / "data"),
        "alerting": {"mode": "live"},
        "web": {"listen": f"127.0.0.1:{board}"},
    }


def log_set(path: Path) -> set[tuple[str, str, int]]:
    """(target, check, microseconds) of every reading that the spool confirmed."""
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return {(target, check, micros_of(float(started))) for target, check, started in rows}


def store_rows(path: Path) -> list[tuple[str, str, int]]:
    """The same from the store's probe rows."""
    import json

    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        series = db.execute("SELECT id, tags FROM series WHERE family='probe' AND field='duration_seconds'").fetchall()
        found = []
        for number, tags in series:
            names = dict(json.loads(tags))
            if names["vantage"] != AGENT:
                continue
            points = db.execute("SELECT at FROM points WHERE series=?", (number,)).fetchall()
            found += [(names["target"], names["check"], at) for (at,) in points]
    return found


def broker_pid(folder: Path) -> int:
    (pid_file,) = (folder / "data" / "broker").glob("*.pid")
    return int(pid_file.read_text().split()[0])


def spooled(path: Path) -> int:
    """Batches that wait in the spool."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM batches").fetchone()[0])


def test_nothing_spooled_is_lost_or_doubled(tmp_path: Path) -> None:
    with greeting() as service:
        board = free_port()
        base = f"http://127.0.0.1:{board}"
        config = tmp_path / "healthmon.yaml"
        config.write_text(yaml.safe_dump(site(tmp_path, board, service)))
        server = role("server", "-c", str(config), log=tmp_path / "server.log", ready=answers(base))
        plan, log = tmp_path / "agent.json", tmp_path / "spooled.tsv"
        agent = loaded(plan, log, tmp_path)
        kills = 0
        try:
            server.start()
            resolve(config, plan, tmp_path)
            agent.start()
            for _ in range(ROUNDS):
                for kill in (agent.kill9, lambda: os.kill(broker_pid(tmp_path), signal.SIGKILL), server.kill9):
                    time.sleep(3.0)
                    kill()
                    kills += 1
                    for daemon in (server, agent):
                        if daemon.process is None:
                            daemon.start()
            time.sleep(3.0)
            agent.stop()
            drain(plan, log, tmp_path)
            assert api(base, "health")["status"] in ("ok", "degraded")
        finally:
            agent.stop()
            server.stop()
        confirmed, stored = log_set(log), store_rows(tmp_path / "data" / "store.sqlite")
        print(f"{kills} kills; {len(confirmed)} readings confirmed by the spool, {len(stored)} in the store")
        assert len(stored) == len(set(stored)), "a reading stands twice"
        assert len(confirmed) > 200
        assert not confirmed - set(stored), "confirmed by the spool and not in the store"
        unconfirmed = set(stored) - confirmed
        assert len(unconfirmed) <= ROUNDS * 50, "more than what a killed agent can have had between spool and log"


def loaded(plan: Path, log: Path, folder: Path, *more: str) -> Daemon:
    script = Path(__file__).with_name("loaded_agent.py")
    return Daemon(
        [sys.executable, str(script), str(plan), str(log), *more], ready=lambda: True, log=folder / "agent.log"
    )


def resolve(config: Path, plan: Path, folder: Path) -> None:
    check = role(
        "check", "-c", str(config), "--resolve", AGENT, "-o", str(plan), log=folder / "check.log", ready=plan.exists
    )
    check.start()
    check.stop()


def drain(plan: Path, log: Path, folder: Path) -> None:
    """An agent without jobs sends what is left."""
    drainer = loaded(plan, log, folder, "drain")
    drainer.start()
    try:
        spool = plan.parent / f"{AGENT}-spool.sqlite"
        until(lambda: spooled(spool) == 0, timeout_s=60, what="the spool is empty")
    finally:
        drainer.stop()
