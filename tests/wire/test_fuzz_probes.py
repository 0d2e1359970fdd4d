"""Whole probes against a peer that says damaged things: one reading each time, never a bug of ours, never a hang.

The parsers alone are tried in tests/unit/fuzz; here is what lies between them: dialogues, phases, judgements.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "fuzz"))

from fuzz_mutations import EXAMPLES, FUZZ, edits
from fuzz_parsers import seeds_of

from daemons.clinical import ask
from healthmon.model.sample import Outcome, Reason

pytestmark = pytest.mark.wire

MESSAGE = {"mode": "message", "test_channel": {"approved_by": "A. Integrator", "approved_on": "2026-11-01"}}
HTTP_OK = [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n", b'{"a":[1]}']
FHIR = [
    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body) for body in seeds_of("fhir")[:3]
]  # fmt: skip
SSH = [b"SSH-2.0-OpenSSH_9.2\r\n\0\0\0\xd0\x04" + seeds_of("ssh algorithms")[0].ljust(207, b"\0")]
SMB = [len(body).to_bytes(4, "big") + body for body in seeds_of("smb")]
LDAP = [b"\x30" + bytes([len(body)]) + body for body in seeds_of("ldap")]
SMTP = [b"220 mail.example ESMTP\r\n", b"250-mail.example\r\n250-SIZE 1000\r\n250 HELP\r\n", b"221 bye\r\n"]
MQTT = [b"\x20\2\0\0", b"\x90\3\0\1\1", b"\x40\2\0\2"]

#: Kind, parameters, and what a good peer says in answer to each thing that it hears.
CASES: dict[str, tuple[str, dict[str, Any], list[bytes]]] = {
    "tcp": ("tcp", {"expect": "^220 .*$"}, [b"220 mail.example ESMTP\r\n"]),
    "tls": ("tls", {"verify": False}, [bytes.fromhex("160303004a020000460303") + bytes(67)]),
    "http": ("http", {"body_regex": "a+", "json_path": {"a.0": 1}, "header_regex": {"Content-Type": "json"}}, HTTP_OK),
    "fhir": ("fhir", {"search": {"identifier": "a|b"}, "read": {"id": "hm"}}, FHIR),
    "hl7": ("hl7", MESSAGE, list(seeds_of("hl7")[:1])),
    "dicom": ("dicom", {"find": {"key": "patient_id", "value": "HM"}}, list(seeds_of("dicom association")[:1])),
    "ssh": ("ssh", {}, SSH),
    "smb": ("smb", {}, SMB),
    "ldap": ("ldap", {}, LDAP),
    "smtp": ("smtp", {}, SMTP),
    "mqtt": ("mqtt", {}, MQTT),
}
#: Our own end may be at fault only in these words, which no peer can bring about.
NEVER = {Reason.PROBE_BUG, Reason.BAD_PARAMS, Reason.NO_LIBRARY, Reason.TIMEOUT}


class Peer:
    """Says its lines one by one, each after something was heard or a moment has passed, then closes."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.CancelledError):
            for line in self.lines:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.002):
                        await reader.read(65536)
                writer.write(line)
                await writer.drain()
            writer.write_eof()
            await reader.read(65536)
        writer.transport.abort()


@asynccontextmanager
async def speaking(peer: Peer) -> AsyncIterator[int]:
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


def damaged_lines(lines: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    """Good lines with changes in some of them, and perhaps one left out or said twice."""
    changes = st.lists(st.tuples(st.integers(0, len(lines) - 1), edits()), max_size=4)
    order = st.one_of(
        st.just(list(range(len(lines)))), st.lists(st.integers(0, len(lines) - 1), max_size=len(lines) + 1)
    )

    def apply(changed: list[tuple[int, Any]], order: list[int]) -> list[bytes]:
        said = list(lines)
        for at, edit in changed:
            said[at] = edit(said[at])[:100_000]
        return [said[at] for at in order]

    return st.builds(apply, changes, order)


@pytest.mark.parametrize("name", CASES)
def test_every_look_ends_in_one_reading_that_blames_nobody_wrongly(name: str) -> None:
    kind, params, lines = CASES[name]
    peer, numbers = Peer(), itertools.count()
    with asyncio.Runner() as runner:
        serving = speaking(peer)
        port = runner.run(serving.__aenter__())

        @settings(FUZZ, max_examples=max(25, EXAMPLES // 5))
        @given(said=damaged_lines(lines))
        def run(said: list[bytes]) -> None:
            peer.lines = said
            address = f"http://127.0.0.1:{port}" if kind in ("http", "fhir") else f"127.0.0.1:{port}"
            check = f"fuzz-{name}-{next(numbers)}"
            reading, _ = runner.run(ask(kind, address, timeout_s=4.0, check=check, **params))
            assert reading.reason not in NEVER, reading
            assert reading.outcome is not Outcome.UNKNOWN, reading

        run()
        runner.run(serving.__aexit__(None, None, None))


@pytest.mark.parametrize("name", ["tcp", "http", "fhir", "dicom", "ssh", "smb", "smtp"])
async def test_the_undamaged_lines_are_good(name: str) -> None:
    """So that damage is done to something that would have gone through."""
    kind, params, lines = CASES[name]
    peer = Peer()
    peer.lines = list(lines)
    async with speaking(peer) as port:
        address = f"http://127.0.0.1:{port}" if kind in ("http", "fhir") else f"127.0.0.1:{port}"
        reading, _ = await ask(kind, address, **params)
    assert reading.outcome is Outcome.OK, reading
