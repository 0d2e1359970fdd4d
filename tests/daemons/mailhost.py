"""A real SMTP server (aiosmtpd) that counts letters, with STARTTLS or TLS and one account."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from daemons.certs import Issued

smtp = pytest.importorskip("aiosmtpd.smtp", reason="aiosmtpd is not installed (test extra)")

USER, PASSWORD = "healthmon-probe", "probe-password"


class Counting:
    """Notes every command that would begin a letter."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.logins = 0

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        self.letters.append("MAIL")
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        self.letters.append("RCPT")
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.append("DATA")
        return "250 OK"


@asynccontextmanager
async def mailhost(
    *, certificate: Issued | None = None, implicit_tls: bool = False, only: str | None = None
) -> AsyncIterator[tuple[int, Counting]]:
    """Its port on 127.0.0.1 and ::1, and what it counted. `only` is the one way to log in that is offered."""
    handler = Counting()
    context: ssl.SSLContext | None = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.cert_file, certificate.key_file)

    def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        handler.logins += 1
        good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return smtp.AuthResult(success=good, handled=False)

    def factory() -> Any:
        starttls = None if implicit_tls else context
        excluded = [name for name in ("PLAIN", "LOGIN") if only not in (None, name)]
        return smtp.SMTP(
            handler, hostname="mail.example", tls_context=starttls, authenticator=login,
            auth_require_tls=starttls is not None, auth_exclude_mechanism=excluded,
        )  # fmt: skip

    loop = asyncio.get_running_loop()
    implicit = context if implicit_tls else None
    first = await loop.create_server(factory, "127.0.0.1", 0, ssl=implicit)
    port = int(first.sockets[0].getsockname()[1])
    second = await loop.create_server(factory, "::1", port, ssl=implicit)
    try:
        yield port, handler
    finally:
        first.close()
        second.close()
