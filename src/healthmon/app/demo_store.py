"""The store a demo asks for: the embedded one, or an InfluxDB that is already there or started for it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from healthmon.model.errors import ConfigError, StoreDown

INSTALL = "install it (Debian: apt-get install influxdb) or pass --store-url http://HOST:8086"
INFLUXD = """reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{dir}/meta"
[data]
  dir = "{dir}/data"
  wal-dir = "{dir}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[monitor]
  store-enabled = false
"""


@contextlib.asynccontextmanager
async def demo_store(kind: str, url: str | None) -> AsyncIterator[Any]:
    """The `store:` section for the demo's site file."""
    if kind == "embedded":
        yield "embedded"
        return
    if kind != "influxdb":
        raise ConfigError([f"--store {kind}: unknown (allowed: embedded, influxdb)"])
    if url is None:
        async with _started() as started:
            yield _section(started)
        return
    if not await asyncio.to_thread(_pings, url):
        raise StoreDown(f"no InfluxDB answers at {url}/ping; {INSTALL}")
    yield _section(url)


def _section(url: str) -> dict[str, Any]:
    return {"influxdb": {"url": url, "version": 1, "database": "healthmon"}}


@contextlib.asynccontextmanager
async def _started() -> AsyncIterator[str]:
    binary = shutil.which("influxd")
    if not binary:
        raise StoreDown(f"influxd is not on PATH; {INSTALL}")
    with tempfile.TemporaryDirectory(prefix="healthmon-influxdb-") as folder:
        http, rpc = _free_port(), _free_port()
        config = Path(folder) / "influxdb.conf"
        config.write_text(INFLUXD.format(dir=folder, http=http, rpc=rpc))
        process = await asyncio.create_subprocess_exec(
            binary, "-config", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        url = f"http://127.0.0.1:{http}"
        try:
            for _ in range(200):
                if await asyncio.to_thread(_pings, url):
                    break
                await asyncio.sleep(0.1)
            else:
                raise StoreDown("influxd was started and did not answer within 20 s")
            yield url
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _pings(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/ping", timeout=2) as answer:
            return int(answer.status) == 204
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
