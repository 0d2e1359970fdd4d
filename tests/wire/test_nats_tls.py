"""NATS over TLS: no node is trusted by its name alone, and what is wrong is said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from daemons.certs import Authority
from daemons.nats import nats_server
from daemons.onesite import OneSite
from daemons.process import Daemon, free_port, listens, running
from healthmon.app.doctor import Patient, Verdict
from healthmon.app.doctor_looks import LOOKS
from healthmon.config import load
from healthmon.model.errors import TransportDown
from healthmon.runtime.clock import SystemClock
from healthmon.transport import natsclient
from healthmon.transport.journalline import JournalLine
from healthmon.transport.pairing import PairLink

pytestmark = [pytest.mark.wire, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """One node that lets nobody in without TLS; its authority is `ca.pem` in the folder."""
    issued, port = Authority(folder).issue("node"), free_port()
    config = folder / "nats.conf"
    config.write_text(
        f"""
        host: 127.0.0.1
        port: {port}
        jetstream {{ store_dir: "{folder / "js"}" }}
        tls {{ cert_file: "{issued.cert_file}", key_file: "{issued.key_file}" }}
        """
    )
    with running(Daemon([nats_server(), "-c", str(config)], ready=listens(port), log=folder / "nats.log")):
        yield f"tls://127.0.0.1:{port}"


async def opened(url: str, ca_file: Path | None) -> None:
    line = JournalLine(url, organisation="tls", ca_file=str(ca_file) if ca_file else None)
    try:
        await line.open()
        await line.stand()
    finally:
        await line.close()


async def test_journal_and_lease_go_over_tls(url: str, folder: Path) -> None:
    await opened(url, folder / "ca.pem")
    link = PairLink(url, organisation="tls", holder="a", ca_file=str(folder / "ca.pem"))
    lease = await link.take(await link.look())
    assert lease is not None
    assert lease.holder == "a"
    await link.close()


async def test_another_authority_is_refused_in_words(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natsclient, "CONNECT_S", 1.0)
    other = Authority(tmp_path)
    for ca_file in (other.ca_file, None):
        with pytest.raises(TransportDown, match="certificate verify failed"):
            await opened(url, ca_file)


async def test_an_authority_that_cannot_be_read_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(TransportDown, match=r"nobody\.pem"):
        await opened(url, tmp_path / "nobody.pem")


def test_doctor_asks_each_line(url: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natsclient, "CONNECT_S", 1.0)
    port = free_port()
    site = OneSite(
        tmp_path, broker={"url": "mqtt://192.0.2.1"},
        journal={"line": url, "ca_file": str(folder / "ca.pem")},
        ha={"lease": f"nats://someone:secret@127.0.0.1:{port}", "name": "a"},
    )  # fmt: skip
    patient = Patient(load(site.config, today=date(2026, 1, 1)), SystemClock(), lambda _: None)
    lease, journal = LOOKS["lines"](patient)
    assert (lease.verdict, journal.verdict) == (Verdict.BAD, Verdict.OK)
    assert lease.text.startswith(f"ha.lease (127.0.0.1:{port}): no node of NATS lets us in")
    assert "secret" not in lease.text
    authorities = [one.text for one in LOOKS["certificates"](patient)]
    assert any(text.startswith("journal.ca_file: ") for text in authorities)
