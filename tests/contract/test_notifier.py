"""One suite over every channel: what each kind of answer means, against real receivers.

A receiver that takes the message: Sent. One that may take it later: Retry. One that never will: Dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller

from daemons.certs import Authority
from daemons.mosquitto import Mosquitto
from daemons.paging import Answer, Receiver, notice
from daemons.process import free_port
from daemons.stream_faults import answering_udp, half_closes, hangs, resets, says
from daemons.trapd import AUTH, COMMUNITY, ENGINE, PRIV, USER, Trapd
from daemons.wire_faults import Behaviour, serving
from healthmon.alerting.notify import CHANNELS, make_channel
from healthmon.alerting.notify.inbox import read_inbox
from healthmon.model.incident import Notice
from healthmon.model.ports import Dead, Notifier, Retry, Sent


@dataclass
class Bench:
    """One channel with its receiver; `keys` reads what arrived, from the receiver's side."""

    channel: Notifier
    keys: Callable[[], list[str]]


Setting = Callable[[Path], AbstractAsyncContextManager[Bench]]
SHORT_S = 0.4  # for receivers that never answer
LONG_S = 20.0  # for those that do, on a busy machine


# --- over HTTP --------------------------------------------------------------------------------------------------


#: kind -> what it needs beside the URL. Jira and ServiceNow are recorded by a receiver that we wrote: it answers
#: searches as their documents show them.
OVER_HTTP: dict[str, dict[str, Any]] = {
    "webhook": {},
    "gateway": {"body": {"to": "{to}", "text": "{text}"}},
    "pagerduty": {"routing_key": "r" * 32},
    "opsgenie": {"api_key": "k"},
    "servicenow": {"username": "u", "password": "p"},
    "jira": {"project": "OPS", "token": "t"},
}
NOTHING_FOUND = {"servicenow": b'{"result": []}', "jira": b'{"issues": []}'}


def over_http(kind: str, answer: Answer, timeout_s: float = LONG_S) -> Setting:
    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        receiver = Receiver(lambda number: answer)
        receiver.found = NOTHING_FOUND.get(kind, b"")
        channel = make_channel(kind, {"url": receiver.url, "timeout_s": timeout_s, **OVER_HTTP[kind]})
        try:
            yield Bench(channel, lambda: [post.headers["Idempotency-Key"] for post in receiver.posted])
        finally:
            await closed(channel)
            await asyncio.to_thread(receiver.stop)

    return setting


def http_to_nobody(kind: str) -> Setting:
    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        url = f"http://127.0.0.1:{free_port()}/"
        channel = make_channel(kind, {"url": url, "timeout_s": LONG_S, **OVER_HTTP[kind]})
        yield Bench(channel, list)
        await closed(channel)

    return setting


def http_to_deaf(kind: str) -> Setting:
    """It takes the connection and says nothing, as a stopped process does."""

    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            channel = make_channel(kind, {"url": url, "timeout_s": SHORT_S, **OVER_HTTP[kind]})
            yield Bench(channel, list)
            await closed(channel)

    return setting


async def closed(channel: Notifier) -> None:
    close = getattr(channel, "close", None)
    if close:
        await close()


# --- mail -----------------------------------------------------------------------------------------------------


class Postbox:
    """An SMTP receiver; every answer can be set."""

    def __init__(self, *, rcpt: str = "250 OK", data: str = "250 taken", slow_s: float = 0.0) -> None:
        self.rcpt, self.data, self.slow_s = rcpt, data, slow_s
        self.taken: list[bytes] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await asyncio.sleep(self.slow_s)
        if self.data.startswith("250"):
            self.taken.append(envelope.content)
        return self.data

    def keys(self) -> list[str]:
        lines = [line for mail in self.taken for line in mail.decode().splitlines()]
        return [line.partition(": ")[2] for line in lines if line.startswith("X-Healthmon-Key: ")]


def mail_params(port: int, **more: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "healthmon@hospital.example",
        "to": ["on-call@hospital.example"],
        "timeout_s": LONG_S,
        **more,
    }


def mail(box: Callable[[], Postbox], **more: Any) -> Setting:
    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        postbox = box()
        controller = Controller(postbox, hostname="127.0.0.1", port=free_port(), decode_data=False)
        controller.start()
        try:
            yield Bench(make_channel("mail", mail_params(controller.port, **more)), postbox.keys)
        finally:
            await asyncio.to_thread(controller.stop)

    return setting


@contextlib.asynccontextmanager
async def mail_to_nobody(folder: Path) -> AsyncIterator[Bench]:
    yield Bench(make_channel("mail", mail_params(free_port())), list)


@contextlib.asynccontextmanager
async def mail_to_deaf(folder: Path) -> AsyncIterator[Bench]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        params = mail_params(listener.getsockname()[1], timeout_s=SHORT_S)
        yield Bench(make_channel("mail", params), list)


# --- syslog and MQTT ----------------------------------------------------------------------------------------


class Lines:
    """A syslog receiver on loopback over TCP with octet counting; ours, so that it can refuse and be read at once."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ValueError):
            length = int(await reader.readuntil(b" "))
            self.taken.append(await reader.readexactly(length))
        writer.close()

    def keys(self) -> list[str]:
        return [line.partition(b' key="')[2][:16].decode() for line in self.taken]


def syslog(**more: Any) -> Setting:
    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        lines, context = Lines(), None
        if more.get("transport") == "tls":
            issued = Authority(folder).issue("syslog")
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(issued.cert_file, issued.key_file)
        server = await asyncio.start_server(lines.stream, "127.0.0.1", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            yield Bench(make_channel("syslog", {"host": "127.0.0.1", "port": port, **more}), lines.keys)

    return setting


@contextlib.asynccontextmanager
async def syslog_to_nobody(folder: Path) -> AsyncIterator[Bench]:
    yield Bench(make_channel("syslog", {"host": "127.0.0.1", "port": free_port()}), list)


def mqtt(**more: Any) -> Setting:
    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        import aiomqtt

        daemon = Mosquitto(folder / "mosquitto", users={"healthmon": "right"})
        await asyncio.to_thread(daemon.start)
        params = {"url": f"mqtt://127.0.0.1:{daemon.port}", "username": "healthmon", "password": "right", **more}
        taken: list[str] = []

        async def listen(reader: aiomqtt.Client) -> None:
            async for message in reader.messages:
                taken.append(msgspec.json.decode(bytes(message.payload))["key"])

        try:
            async with aiomqtt.Client("127.0.0.1", daemon.port, username="healthmon", password="right") as reader:
                await reader.subscribe("healthmon/notices/#", qos=1)
                listener = asyncio.create_task(listen(reader))
                try:
                    yield Bench(make_channel("mqtt", params), lambda: taken)
                finally:
                    listener.cancel()
                    await asyncio.gather(listener, return_exceptions=True)
        finally:
            await asyncio.to_thread(daemon.stop)

    return setting


@contextlib.asynccontextmanager
async def mqtt_to_nobody(folder: Path) -> AsyncIterator[Bench]:
    yield Bench(make_channel("mqtt", {"url": f"mqtt://127.0.0.1:{free_port()}"}), list)


# --- chat and push through apprise -------------------------------------------------------------------------------


def chat_params(port: int, timeout_s: float = LONG_S) -> dict[str, Any]:
    """Its JSON service, which speaks plain HTTP to a URL; apprise's own code does the sending."""
    return {"url": f"json://127.0.0.1:{port}/hook", "timeout_s": timeout_s}


def chat(answer: Answer, timeout_s: float = LONG_S) -> Setting:
    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        receiver = Receiver(lambda number: answer)
        port = int(receiver.url.rpartition(":")[2].partition("/")[0])

        def keys() -> list[str]:
            return [re.findall(r"healthmon ([0-9a-f]{16})", post.json["message"])[-1] for post in receiver.posted]

        try:
            yield Bench(make_channel("apprise", chat_params(port, timeout_s)), keys)
        finally:
            await asyncio.to_thread(receiver.stop)

    return setting


@contextlib.asynccontextmanager
async def chat_to_nobody(folder: Path) -> AsyncIterator[Bench]:
    yield Bench(make_channel("apprise", chat_params(free_port())), list)


# --- SNMP ---------------------------------------------------------------------------------------------------------


def snmptrap(**more: Any) -> Setting:
    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        daemon = Trapd(folder / "trapd")
        await asyncio.to_thread(daemon.start)
        channel = make_channel("snmptrap", {"host": "127.0.0.1", "port": daemon.port, "timeout_s": LONG_S, **more})
        try:
            yield Bench(channel, daemon.keys)
        finally:
            await closed(channel)
            await asyncio.to_thread(daemon.stop)

    return setting


def snmptrap_to(answer: Callable[[bytes], list[bytes]]) -> Setting:
    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        async with answering_udp(answer) as port:
            params = {"host": "127.0.0.1", "port": port, "community": COMMUNITY, "timeout_s": SHORT_S}
            channel = make_channel("snmptrap", params)
            yield Bench(channel, list)
            await closed(channel)

    return setting


V3 = {"version": "3", "user": USER, "auth_protocol": "SHA", "auth_password": AUTH, "priv_protocol": "AES",
      "priv_password": PRIV}  # fmt: skip


# --- what goes wrong in any protocol ------------------------------------------------------------------------------


def over_tcp(kind: str, port: int) -> dict[str, Any]:
    """Parameters of a channel towards a port on loopback, with little patience."""
    patience = {"timeout_s": SHORT_S}
    if kind in OVER_HTTP:
        return {"url": f"http://127.0.0.1:{port}/", **OVER_HTTP[kind], **patience}
    return {
        "apprise": {**chat_params(port), **patience},
        "mail": mail_params(port, **patience),
        "mqtt": {"url": f"mqtt://127.0.0.1:{port}", **patience},
        "syslog": {"host": "127.0.0.1", "port": port, "transport": "tls", **patience},
    }[kind]


def misbehaving(kind: str, behaviour: Behaviour) -> Setting:
    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        async with serving(behaviour) as port:
            channel = make_channel(kind, over_tcp(kind, port))
            yield Bench(channel, list)
            await closed(channel)

    return setting


GOOD_LOOKING = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
FAULTS: dict[str, Behaviour] = {
    "hangs": hangs,
    "resets": resets,
    "half closes": half_closes,
    "talks garbage": says(b"\x00\xff\x17garbage" * 40, then="close"),
    "drips": says(GOOD_LOOKING + b"x" * 1000, every_s=0.05),
    "breaks off": says(GOOD_LOOKING[:9], then="close"),
}
#: Everything over TCP with an answer. Syslog has none (RFC 6587): over TLS at least the handshake must be.
ANSWERING = (*OVER_HTTP, "apprise", "mail", "mqtt", "syslog")


async def arrived(bench: Bench, count: int) -> list[str]:
    """What the receiver has, once it is all there: a broker or a socket may hand it on a moment later."""
    async with asyncio.timeout(LONG_S):
        while len(bench.keys()) < count:  # noqa: ASYNC110  the receiver is another process or thread
            await asyncio.sleep(0.01)
    return bench.keys()


# --- inbox ----------------------------------------------------------------------------------------------------


def inbox(place: Callable[[Path], Path]) -> Setting:
    @contextlib.asynccontextmanager
    async def setting(folder: Path) -> AsyncIterator[Bench]:
        path = place(folder)

        def keys() -> list[str]:
            return [message["key"] for message in read_inbox(path)] if path.is_file() else []

        yield Bench(make_channel("inbox", {"path": str(path)}), keys)

    return setting


def below_a_file(folder: Path) -> Path:
    (folder / "file").write_text("in the way")
    return folder / "file" / "inbox.jsonl"


def full_disk(folder: Path) -> Path:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    return Path("/dev/full")


def torn(folder: Path) -> Path:
    path = folder / "inbox.jsonl"
    path.write_bytes(b'{"v": 1, "key": "torn by a full di')
    return path


#: The one table of what an HTTP answer means, whatever the channel.
ANSWERS: list[tuple[str, Answer, float, type[Sent | Retry | Dead]]] = [
    *[(str(code), Answer(code), LONG_S, Sent) for code in (200, 201, 202, 204)],
    *[(str(code), Answer(code), LONG_S, Retry) for code in (408, 425, 429, 500, 502, 503, 504)],
    *[(str(code), Answer(code), LONG_S, Dead) for code in (400, 401, 403, 404, 410, 413, 422)],
    ("sent elsewhere", Answer(302, {"Location": "http://192.0.2.1/"}), LONG_S, Retry),
    ("slow", Answer(hang_s=3 * SHORT_S), SHORT_S, Retry),
    ("reset", Answer(drop=True), LONG_S, Retry),
]
SETTINGS: list[tuple[str, str, Setting, type[Sent | Retry | Dead]]] = [
    *[
        (f"{kind} {word}", kind, over_http(kind, answer, timeout_s), expected)
        for kind in OVER_HTTP
        for word, answer, timeout_s, expected in ANSWERS
    ],
    *[(f"{kind} refused", kind, http_to_nobody(kind), Retry) for kind in OVER_HTTP],
    *[(f"{kind} deaf", kind, http_to_deaf(kind), Retry) for kind in OVER_HTTP],
    ("mail taken", "mail", mail(Postbox), Sent),
    ("mail busy", "mail", mail(lambda: Postbox(data="451 try later")), Retry),
    ("mail greylisted", "mail", mail(lambda: Postbox(rcpt="450 greylisted")), Retry),
    ("mail refused content", "mail", mail(lambda: Postbox(data="554 no")), Dead),
    ("mail unknown reader", "mail", mail(lambda: Postbox(rcpt="550 unknown")), Dead),
    ("mail slow", "mail", mail(lambda: Postbox(slow_s=3 * SHORT_S), timeout_s=SHORT_S), Retry),
    ("mail no starttls", "mail", mail(Postbox, security="starttls"), Dead),
    ("mail refused", "mail", mail_to_nobody, Retry),
    ("mail deaf", "mail", mail_to_deaf, Retry),
    ("syslog over TCP", "syslog", syslog(), Sent),
    ("syslog refused", "syslog", syslog_to_nobody, Retry),
    ("syslog of an unknown authority", "syslog", syslog(transport="tls"), Dead),
    ("mqtt taken", "mqtt", mqtt(), Sent),
    ("mqtt refused", "mqtt", mqtt_to_nobody, Retry),
    ("mqtt wrong password", "mqtt", mqtt(password="wrong"), Dead),
    *[
        (f"{kind} {word}", kind, misbehaving(kind, fault), Retry)
        for kind in ANSWERING
        for word, fault in FAULTS.items()
    ],
    *[(f"apprise {word}", "apprise", chat(answer, t), expected) for word, answer, t, expected in ANSWERS],
    ("apprise refused", "apprise", chat_to_nobody, Retry),
    ("snmptrap informs", "snmptrap", snmptrap(community=COMMUNITY), Sent),
    ("snmptrap traps", "snmptrap", snmptrap(community=COMMUNITY, inform=False), Sent),
    ("snmptrap informs v3", "snmptrap", snmptrap(**V3), Sent),
    ("snmptrap traps v3", "snmptrap", snmptrap(**V3, inform=False, engine_id=ENGINE), Sent),
    ("snmptrap wrong community", "snmptrap", snmptrap(community="wrong", timeout_s=SHORT_S), Retry),
    ("snmptrap wrong key", "snmptrap", snmptrap(**V3 | {"auth_password": "wrong-password"}), Dead),
    ("snmptrap deaf", "snmptrap", snmptrap_to(lambda asked: []), Retry),
    ("snmptrap garbage", "snmptrap", snmptrap_to(lambda asked: [b"\x00garbage", asked[:9]]), Retry),
    ("inbox new file", "inbox", inbox(lambda folder: folder / "new" / "inbox.jsonl"), Sent),
    ("inbox after a torn line", "inbox", inbox(torn), Sent),
    ("inbox full disk", "inbox", inbox(full_disk), Retry),
    ("inbox is a folder", "inbox", inbox(lambda folder: folder), Dead),
    ("inbox below a file", "inbox", inbox(below_a_file), Dead),
]


@pytest.mark.parametrize(("setting", "expected"), [s[2:] for s in SETTINGS], ids=[s[0] for s in SETTINGS])
async def test_what_an_answer_means(setting: Setting, expected: type[Sent | Retry | Dead], tmp_path: Path) -> None:
    async with setting(tmp_path) as bench:
        answer = await bench.channel.send(notice())
        assert isinstance(answer, expected), answer
        if expected is Sent:
            assert await arrived(bench, 1) == [notice().key]
        else:
            assert answer.detail, "a failure says why"


def works(kind: str) -> list[Setting]:
    return [setting for _, of, setting, expected in SETTINGS if of == kind and expected is Sent][:1]


WORKING = [(kind, setting) for kind in CHANNELS for setting in works(kind)]


@pytest.mark.parametrize("kind", OVER_HTTP)
async def test_every_http_channel_obeys_retry_after(kind: str, tmp_path: Path) -> None:
    async with over_http(kind, Answer(429, {"Retry-After": "37"}))(tmp_path) as bench:
        answer = await bench.channel.send(notice())
    assert isinstance(answer, Retry)
    assert answer.after_s == 37.0


def test_every_channel_is_in_this_suite() -> None:
    assert [kind for kind, _ in WORKING] == list(CHANNELS)
    assert {*ANSWERING, "snmptrap", "inbox"} == set(CHANNELS)
    for kind in CHANNELS:
        assert {s[3] for s in SETTINGS if s[1] == kind} == {Sent, Retry, Dead}


@pytest.mark.parametrize("setting", [s for _, s in WORKING], ids=[kind for kind, _ in WORKING])
async def test_the_key_goes_with_every_sending(setting: Setting, tmp_path: Path) -> None:
    first, again = notice(attempts=1), notice(attempts=2, repeat=True)
    async with setting(tmp_path) as bench:
        assert isinstance(await bench.channel.send(first), Sent)
        assert isinstance(await bench.channel.send(again), Sent)
        assert await arrived(bench, 2) == [first.key] * 2


@pytest.mark.parametrize("setting", [s for _, s in WORKING], ids=[kind for kind, _ in WORKING])
async def test_many_at_once_all_arrive_whole(setting: Setting, tmp_path: Path) -> None:
    notices: list[Notice] = [notice(f"{n:016x}", text="ü" * 500) for n in range(12)]
    async with setting(tmp_path) as bench:
        answers = await asyncio.gather(*(bench.channel.send(n) for n in notices))
        assert {type(answer) for answer in answers} == {Sent}
        assert sorted(await arrived(bench, len(notices))) == [n.key for n in notices]
