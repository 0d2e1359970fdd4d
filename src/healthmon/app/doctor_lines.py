"""What doctor looks at where several servers or workers share a NATS: each line, and the authority it trusts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from healthmon.app.doctor import Finding, Patient, Verdict, run_briefly
from healthmon.config import SiteConfig
from healthmon.model.errors import TransportDown
from healthmon.transport.natsclient import connected

LINE_S = 10.0


@dataclass(frozen=True, slots=True)
class Line:
    """One block that names nodes of NATS. where: as it stands in the configuration."""

    where: str
    url: str
    username: str | None
    password: str | None
    ca_file: str | None

    @property
    def nodes(self) -> str:
        """Host and port of each; a name and password that stand in a URL are not repeated."""
        parts = [urlsplit(one.strip()) for one in self.url.split(",")]
        return ", ".join(f"{part.hostname}:{part.port or 4222}" for part in parts)


def lines_of(site: SiteConfig) -> list[Line]:
    """Those that this configuration has."""
    given: list[tuple[str, Any, str]] = [
        ("ha.lease", site.pair, "lease"),
        ("journal.line", site.journal, "line"),
        ("workers.line", site.workers, "line"),
    ]
    return [Line(where, getattr(block, key), block.username, block.password, block.ca_file)
            for where, block, key in given if block is not None]  # fmt: skip


def lines(patient: Patient) -> Iterator[Finding]:
    """Whether each lets us in, and whether it has JetStream."""
    for line in lines_of(patient.site):
        try:
            run_briefly(_asked(line), LINE_S)
        except (TransportDown, TimeoutError) as error:
            words = str(error) or f"no answer within {LINE_S:.0f} s"
            yield Finding("lines", Verdict.BAD, f"{line.where} ({line.nodes}): {words}",
                          fix="is it up, with JetStream; name, password, ca_file right; a firewall?")  # fmt: skip
            continue
        yield Finding("lines", Verdict.OK, f"{line.where} ({line.nodes}) lets us in and has JetStream")


async def _asked(line: Line) -> None:
    import nats.errors
    import nats.js.errors

    client = await connected(
        line.url, name="doctor", username=line.username, password=line.password, ca_file=line.ca_file
    )
    try:
        await client.jetstream(timeout=LINE_S / 2).account_info()
    except (nats.errors.Error, OSError) as error:
        raise TransportDown(f"no JetStream there ({type(error).__name__})") from None
    finally:
        await client.close()
