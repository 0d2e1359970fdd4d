"""From clear to TLS in the words of each protocol; the certificate behind STARTTLS ends as any other does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from healthmon.model.sample import Reason
from healthmon.probes import ldap_wire
from healthmon.probes.dialogue import Dialogue
from healthmon.probes.reasons import Finding

_MOST_LINES = 100


@dataclass(frozen=True, slots=True)
class Spoken:
    """A protocol of lines: its greeting, and each thing that we say with how a good last line begins."""

    greeting: bytes
    steps: tuple[tuple[bytes, bytes], ...]
    more: bytes = b"-"  # what follows the code in every line but the last

    async def upgrade(self, call: Dialogue) -> None:
        """Up to the moment at which the handshake may begin."""
        await self._answer(call, self.greeting)
        for said, good in self.steps:
            await call.send(said)
            await self._answer(call, good)

    async def _answer(self, call: Dialogue, good: bytes) -> None:
        for _ in range(_MOST_LINES):
            line = await call.line()
            if line.startswith(good + self.more) or (good.startswith(b"a ") and line.startswith(b"* ")):
                continue
            if line.startswith(good):
                return
            raise Finding(Reason.TLS_HANDSHAKE, "STARTTLS is refused")
        raise Finding(Reason.BAD_RESPONSE, "an answer without an end")


async def _postgres(call: Dialogue) -> None:
    """SSLRequest; one letter comes back."""
    await call.send((8).to_bytes(4, "big") + (80877103).to_bytes(4, "big"))
    if await call.exactly(1) != b"S":
        raise Finding(Reason.TLS_HANDSHAKE, "STARTTLS is refused")


async def _ldap(call: Dialogue) -> None:
    await call.send(ldap_wire.message(1, ldap_wire.start_tls()))
    head = await call.exactly(2)
    while (size := ldap_wire.size_of(head)) is None:
        head += await call.exactly(1)
    answer = ldap_wire.parse(await call.exactly(size[1]))
    if answer.operation != ldap_wire.EXTENDED_DONE:
        raise Finding(Reason.BAD_RESPONSE, "the answer is to another question")
    if (code := ldap_wire.result_code(answer)) != ldap_wire.SUCCESS:
        raise Finding(Reason.TLS_HANDSHAKE, f"STARTTLS is refused ({code})")


PRESETS: Mapping[str, Callable[[Dialogue], Awaitable[None]]] = {
    "ftp": Spoken(b"220", ((b"AUTH TLS\r\n", b"234"),)).upgrade,
    "imap": Spoken(b"* OK", ((b"a STARTTLS\r\n", b"a OK"),), more=b"\0").upgrade,
    "ldap": _ldap,
    "pop3": Spoken(b"+OK", ((b"STLS\r\n", b"+OK"),), more=b"\0").upgrade,
    "postgres": _postgres,
    "smtp": Spoken(b"220", ((b"EHLO healthmon.invalid\r\n", b"250"), (b"STARTTLS\r\n", b"220"))).upgrade,
}


async def upgrade(call: Dialogue, protocol: str) -> None:
    """Agree to TLS and shake hands. Raises Finding(tls_handshake) when the server will not."""
    await PRESETS[protocol](call)
    await call.start_tls()
