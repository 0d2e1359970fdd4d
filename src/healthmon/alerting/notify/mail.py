"""A channel that sends plain-text e-mail by SMTP."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from typing import ClassVar, Literal

from healthmon.model.incident import Notice
from healthmon.model.ports import Dead, Retry, Sent

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, slots=True)
class Params:
    """Where and as whom to send. security: starttls (required, never quietly dropped), tls, none; port 0: its usual."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    host: str
    sender: str
    to: tuple[str, ...]
    port: int = 0
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if not self.to:
            raise ValueError("to must name at least one address")
        for address in (self.sender, *self.to):
            if address.count("@") != 1 or any(c.isspace() or c in "<>," for c in address):
                raise ValueError(f"{address!r} is not a plain address (name@host)")
        if not 0 <= self.port <= 65535:
            raise ValueError("port must be between 0 and 65535")
        if not 0.1 <= self.timeout_s <= 60.0:
            raise ValueError("timeout_s must be between 0.1 and 60")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")


class Mail:
    """smtplib in threads of its own, so that a tarpit blocks neither the loop nor anyone else's threads."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="mail")

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """One message to all addresses of the channel, or to `to` when the policy named an address."""
        readers = (notice.to,) if "@" in notice.to else self._params.to
        message = compose(notice, sender=self._params.sender, to=readers)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._deliver, message, readers)

    def _deliver(self, message: EmailMessage, readers: tuple[str, ...]) -> Sent | Retry | Dead:
        try:
            with self._connected() as server:
                refused = server.send_message(message, to_addrs=list(readers))
        except smtplib.SMTPRecipientsRefused as error:
            return _all_refused(error)
        except smtplib.SMTPAuthenticationError as error:
            # The directory behind a relay may be what is down: worth the hour of trying.
            return Retry(f"SMTP {error.smtp_code} authentication")
        except smtplib.SMTPNotSupportedError:
            return Dead("the server offers no STARTTLS or no authentication")
        except smtplib.SMTPResponseException as error:
            return _by_code(error.smtp_code)
        except (smtplib.SMTPException, OSError) as error:
            return Retry(type(error).__name__)
        return Sent(f"refused: {len(refused)} of {len(readers)}" if refused else "")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        params = self._params
        port = params.port or _PORTS[params.security]
        # A name of our own spares smtplib a DNS look-up of this host, which hangs when DNS is what is down.
        name = params.sender.partition("@")[2]
        context = ssl.create_default_context(cafile=params.ca_file)
        if params.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                params.host, port, local_hostname=name, timeout=params.timeout_s, context=context
            )
        else:
            server = smtplib.SMTP(params.host, port, local_hostname=name, timeout=params.timeout_s)
        try:
            if params.security == "starttls":
                server.starttls(context=context)
            if params.username is not None and params.password is not None:
                server.login(params.username, params.password)
            yield server
            with contextlib.suppress(smtplib.SMTPException, OSError):  # a failing goodbye does not unsend the message
                server.quit()
        finally:
            server.close()


def compose(notice: Notice, *, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Plain text; Message-ID from the key, one thread per incident."""
    domain = sender.partition("@")[2]
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = " ".join(notice.subject.split()) + (" (repeat)" if notice.repeat else "")
    message["Date"] = formatdate(notice.due, usegmt=True)
    message["Message-ID"] = f"<{notice.key}@{domain}>"
    message["References"] = f"<incident-{notice.incident}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Healthmon-Key"] = notice.key
    message.set_content(notice.text)
    return message


def _all_refused(error: smtplib.SMTPRecipientsRefused) -> Retry | Dead:
    """Dead only when every address was refused for good."""
    codes = [code for code, _ in error.recipients.values()]
    return _by_code(min(codes, default=550))


def _by_code(code: int) -> Retry | Dead:
    return Dead(f"SMTP {code}") if 500 <= code < 600 else Retry(f"SMTP {code}")
