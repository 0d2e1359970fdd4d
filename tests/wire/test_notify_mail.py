"""E-mail against a real SMTP server: STARTTLS, TLS, sign-in, refused readers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from daemons.paging import notice
from daemons.process import free_port
from healthmon.alerting.notify.mail import Mail, Params
from healthmon.model.ports import Dead, Retry, Sent

pytestmark = pytest.mark.wire


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smtp.hospital.example")])
    begin = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


class Postbox:
    """Takes mail; refuses readers whose name begins with `gone`."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str, bool]] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("gone"):
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append((list(envelope.rcpt_tos), envelope.content.decode(), session.ssl is not None))
        return "250 taken"


def sign_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"healthmon", b"P4SS")
    return AuthResult(success=right, handled=right)


class RudeSMTP(SMTP):
    """Takes the mail, then breaks off instead of saying goodbye."""

    async def smtp_QUIT(self, arg: str) -> None:
        await self.push("421 no goodbye")


@contextlib.contextmanager
def serving(
    kind: type[SMTP] = SMTP, *, tls: ssl.SSLContext | None = None, **options: Any
) -> Iterator[tuple[int, Postbox]]:
    box = Postbox()

    class Serving(Controller):
        def factory(self) -> SMTP:
            return kind(self.handler, **self.SMTP_kwargs)

    controller = Serving(box, hostname="127.0.0.1", port=free_port(), ssl_context=tls, decode_data=False, **options)
    if tls is None and "tls_context" not in options:
        controller.start()
    else:
        with contextlib.suppress(ssl.SSLError):
            controller.start()
    try:
        yield controller.port, box
    finally:
        controller.stop()


def params(port: int, **more: Any) -> Params:
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "healthmon@hospital.example",
        "to": ("on-call@hospital.example", "manager@hospital.example"),
        "timeout_s": 20.0,
    }
    return Params(**{**settings, **more})  # type: ignore[arg-type]


def server_context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


async def send(settings: Params, **changes: Any) -> Sent | Retry | Dead:
    return await Mail(settings).send(notice(**changes))


async def test_a_plain_mail_reaches_every_reader() -> None:
    with serving() as (port, box):
        assert isinstance(await send(params(port)), Sent)
    ((readers, content, _),) = box.mails
    assert readers == ["on-call@hospital.example", "manager@hospital.example"]
    assert "Subject: [sev 2] Ward 7: Patient record not available" in content
    assert "Message-ID: <0123456789abcdef@hospital.example>" in content


async def test_a_policy_may_name_the_reader() -> None:
    with serving() as (port, box):
        await send(params(port), to="net@hospital.example")
    assert box.mails[0][0] == ["net@hospital.example"]


async def test_starttls_and_sign_in(certificate: tuple[Path, Path]) -> None:
    options = {"tls_context": server_context(certificate), "require_starttls": True, "auth_required": True}
    with serving(authenticator=sign_in, **options) as (port, box):
        secure = {"security": "starttls", "ca_file": str(certificate[0])}
        assert isinstance(await send(params(port, username="healthmon", password="P4SS", **secure)), Sent)
        wrong = await send(params(port, username="healthmon", password="wrong", **secure))
        assert isinstance(wrong, Retry), "a directory that is down refuses sign-ins too: keep trying for the hour"
    assert [encrypted for _, _, encrypted in box.mails] == [True]


async def test_a_certificate_that_nobody_vouches_for_gets_no_mail(certificate: tuple[Path, Path]) -> None:
    with serving(tls_context=server_context(certificate)) as (port, box):
        answer = await send(params(port, security="starttls"))
    assert isinstance(answer, Retry)
    assert box.mails == []


async def test_starttls_is_never_quietly_left_out() -> None:
    with serving() as (port, box):
        assert isinstance(await send(params(port, security="starttls")), Dead)
    assert box.mails == []


async def test_tls_from_the_first_byte(certificate: tuple[Path, Path]) -> None:
    with serving(tls=server_context(certificate)) as (port, box):
        answer = await send(params(port, security="tls", ca_file=str(certificate[0])))
    assert isinstance(answer, Sent)
    assert len(box.mails) == 1


async def test_one_reader_of_two_is_gone() -> None:
    with serving() as (port, box):
        answer = await send(params(port, to=("gone@hospital.example", "manager@hospital.example")))
    assert answer == Sent("refused: 1 of 2")
    assert box.mails[0][0] == ["manager@hospital.example"]


async def test_a_failing_goodbye_does_not_unsend_the_mail() -> None:
    with serving(RudeSMTP) as (port, box):
        assert isinstance(await send(params(port)), Sent)
    assert len(box.mails) == 1


async def test_four_slow_mails_do_not_block_the_loop() -> None:
    class Slow(Postbox):
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            await asyncio.sleep(0.3)
            return await super().handle_DATA(server, session, envelope)

    box = Slow()
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), decode_data=False)
    controller.start()
    try:
        mail, beats = Mail(params(controller.port)), 0
        sending = asyncio.gather(*(mail.send(notice(f"{n:016x}")) for n in range(4)))
        while not sending.done():
            await asyncio.sleep(0.01)
            beats += 1
        assert [type(answer) for answer in await sending] == [Sent] * 4
        assert beats >= 10
    finally:
        await asyncio.to_thread(controller.stop)
