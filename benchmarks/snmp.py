"""SNMP beside snmp_exporter: GET of 10 OIDs and bulk walk of 1,000 varbinds, v2c and v3 (SHA, AES), of real agents.

One snmpd answers at many addresses of 127/8, each of them a device for both contenders: the same OIDs, 5 s timeout, one
retry, 25 repetitions, 50 devices at a time, and equal values (compared once for every value, then counted). Both keep
what they keep from poll to poll: healthmon its sessions, snmp_exporter (0.21) none. The agent's own CPU is printed, as
it shares the machine with both.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.asking import ask, ask_all
from benchmarks.lanes import lanes
from benchmarks.measuring import child, free_port, need
from benchmarks.pairs import Contender, Round, compare, timed
from benchmarks.snmp_agent import AUTH, COLUMNS, COMMUNITY, PRIV, ROWS, TABLE, USER, snmpd, value
from healthmon.model.plan import Job

DEVICES = {"get": 1_000, "walk": 100}
LANES = 50
TIMEOUT_S = 5.0
REPETITIONS = 25
WHO = {"2c": {"community": COMMUNITY}, "3": {"user": USER, "auth_protocol": "SHA", "auth_password": AUTH,
                                              "priv_protocol": "AES", "priv_password": PRIV}}  # fmt: skip
_BENCH_LINE = re.compile(r"^bench_\d+(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


def main() -> None:
    peer = need("prometheus-snmp-exporter")
    if need("snmpd"):
        asyncio.run(_all(peer))


async def _all(peer: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, listen = Path(name), free_port()
        config = folder / "snmp.yml"
        config.write_text(yaml.safe_dump({f"{what}_v{version}": _module(what, version) for what, version in _cases()}))
        with snmpd(folder) as (agent, port):
            if not peer:
                for what, version in _cases():
                    await _contest(what, version, agent, port, None)
                return
            argv = [peer, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{listen}", "--log.level=error"]
            with child(argv, log=folder / "exporter.log", url=f"http://127.0.0.1:{listen}/metrics") as process:
                for what, version in _cases():
                    await _contest(what, version, agent, port, (process, listen))


def _cases() -> list[tuple[str, str]]:
    return [(what, version) for what in DEVICES for version in WHO]


async def _contest(
    what: str, version: str, agent: psutil.Process, port: int, peer: tuple[psutil.Process, int] | None
) -> None:
    count = DEVICES[what]
    devices = [f"{IPv4Address('127.2.0.1') + number}:{port}" for number in range(count)]
    title = f"snmp {what} v{version}"
    params = {"pack": pack(what), "version": version, "max_repetitions": REPETITIONS, **WHO[version]}
    jobs = [Job(device, "c", "snmp", device, 30.0, TIMEOUT_S, params) for device in devices]
    expected = sorted(value(column, row) for column, row in _cells(what))
    readings = lanes(jobs, LANES, lambda found: len(found.samples) == len(expected) + 1)
    first = lanes(jobs[:1], 1, lambda found: _values(found.samples) == expected)
    assert await first() == 1, "the values are not the agent's"
    contenders = [Contender(f"healthmon {title}", lambda: timed(readings), count)]
    if peer:
        process, listen = peer
        paths = [f"/snmp?module={what}_v{version}&target={device}" for device in devices]
        found = (await ask(listen, paths[0])).decode()
        assert sorted(int(float(text)) for text in _BENCH_LINE.findall(found)) == expected, "not the agent's values"
        whole = len(expected)

        async def once() -> Round:
            return await ask_all(
                process, listen, paths, lanes=LANES, right=lambda body: body.count(b"\nbench_") == whole
            )

        contenders.append(Contender(f"snmp_exporter {title}", once, count))
    before, began = agent.cpu_times(), time.perf_counter()
    await compare(title, contenders, rival=f"snmp_exporter {title}")
    after = agent.cpu_times()
    busy = (after.user + after.system - before.user - before.system) / (time.perf_counter() - began)
    print(f"{'(the agent)':38} busy for {busy:.0%} of the time", flush=True)


def _cells(what: str) -> list[tuple[int, int]]:
    rows = range(1, 2) if what == "get" else range(1, ROWS + 1)
    return [(column, row) for row in rows for column in range(1, COLUMNS + 1)]


def _values(samples: Any) -> list[int]:
    return sorted(int(sample.value) for sample in samples if sample.family == "snmp_bench")


def pack(what: str) -> dict[str, Any]:
    """A GET of 10 OIDs, or a table of 100 rows and 10 columns."""
    index = ".1" if what == "get" else ""
    fields = {f"value_{column}": {"unit": "count", "read": f"{TABLE}.{column}{index}"} for column in _columns()}
    head = {"slug": "bench", "title": "Bench", "verified": "none", "source": "the benchmark's own agent"}
    if what == "get":
        return {**head, "scalars": [{"family": "snmp_bench", "fields": fields}]}
    table = {"family": "snmp_bench", "rows": f"{TABLE}.1", "label": {"name": "row"}, "fields": fields}
    return {**head, "tables": [table]}


def _columns() -> range:
    return range(1, COLUMNS + 1)


def _module(what: str, version: str) -> dict[str, Any]:
    """The same for snmp_exporter; sysUpTime too, which healthmon always asks for."""
    secrets = {"community": COMMUNITY} if version == "2c" else {
        "username": USER, "security_level": "authPriv", "auth_protocol": "SHA", "password": AUTH,
        "priv_protocol": "AES", "priv_password": PRIV}  # fmt: skip
    metrics: list[dict[str, Any]] = [{"name": "sysUpTime", "oid": "1.3.6.1.2.1.1.3", "type": "gauge", "help": "-"}]
    index = ".1" if what == "get" else ""
    indexes = {} if what == "get" else {"indexes": [{"labelname": "row", "type": "gauge"}]}
    for column in _columns():
        metrics.append({"name": f"bench_{column}", "oid": f"{TABLE}.{column}{index}", "type": "gauge", "help": "-",
                        **indexes})  # fmt: skip
    module = {
        "get": ["1.3.6.1.2.1.1.3.0", *(f"{TABLE}.{column}.1" for column in _columns() if what == "get")],
        "metrics": metrics,
        "version": int(version[0]),
        "auth": secrets,
        "timeout": f"{TIMEOUT_S:.0f}s",
        "retries": 1,
        "max_repetitions": REPETITIONS,
    }
    return module if what == "get" else {**module, "walk": [TABLE]}
