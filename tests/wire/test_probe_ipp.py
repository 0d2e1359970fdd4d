"""The IPP probe against a real CUPS queue and CUPS's own printer, and against printers by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.looking import fields, look
from daemons.printing import QUEUE, Cups, cupsd, ippeveprinter
from daemons.stream_faults import says
from daemons.wire_faults import serving
from healthmon.model.sample import Outcome, Reason
from healthmon.probes.ipp import WANTED

pytestmark = pytest.mark.wire

PATH = f"/printers/{QUEUE}"


@pytest.fixture(scope="module")
def cups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cups]:
    with cupsd(tmp_path_factory.mktemp("cups")) as server:
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_a_queue_that_is_ready(cups: Cups, host: str) -> None:
    reading = await look("ipp", f"{host}:{cups.port}", path=PATH)
    assert reading.outcome is Outcome.OK, reading
    found = fields(reading, "ipp")
    assert (found["state"], found["accepting_jobs"], found["queued_jobs"]) == (3.0, True, 0.0)
    assert (found["errors"], found["warnings"], found["reports"]) == (0.0, 0.0, 0.0)


async def test_a_queue_that_is_stopped_or_takes_nothing(cups: Cups) -> None:
    address = f"127.0.0.1:{cups.port}"
    cups.command("cupsdisable")
    stopped = await look("ipp", address, path=PATH)
    cups.command("cupsenable")
    cups.command("cupsreject")
    closed = await look("ipp", address, path=PATH)
    meant = await look("ipp", address, path=PATH, accepting=False)
    cups.command("cupsaccept")
    none = await look("ipp", address, path="/printers/none")
    assert (stopped.reason, stopped.detail) == (Reason.BAD_STATUS, "stopped: paused")
    assert fields(stopped, "ipp")["state"] == 5.0
    assert closed.reason is Reason.BAD_STATUS
    assert closed.detail.startswith("takes no jobs")
    assert meant.outcome is Outcome.OK
    assert (none.reason, none.detail) == (Reason.BAD_STATUS, "no such printer (0x0406)")


ATTRIBUTES = """
ATTR name marker-names "Black Toner","Cyan Toner"
ATTR integer marker-levels 5,-3
ATTR integer marker-low-levels 10,10
"""


async def test_a_printer_in_clear_and_under_tls(tmp_path: Path) -> None:
    with ippeveprinter(tmp_path, ATTRIBUTES) as port:
        clear = await look("ipp", f"127.0.0.1:{port}")
        sealed = await look("ipp", f"[::1]:{port}", tls=True, verify=False)
        strict = await look("ipp", f"127.0.0.1:{port}", tls=True)
    for reading in (clear, sealed):
        assert reading.outcome is Outcome.OK, reading
        assert fields(reading, "ipp")["state"] == 3.0
        assert [
            (sample.labels["marker"], sample.field, sample.value)
            for sample in reading.samples
            if sample.family == "ipp_marker"
        ] == [("Black Toner", "level_ratio", 0.05), ("Black Toner", "low", True)]
    assert fields(sealed, "tls")["expires_in_seconds"] > 0.0
    assert strict.reason is Reason.CERT_UNTRUSTED
    assert fields(strict, "tls")["expires_in_seconds"] > 0.0


def attribute(tag: int, name: str, *values: bytes) -> bytes:
    """As a printer writes it: further values have no name."""
    made = b""
    for position, value in enumerate(values):
        own = b"" if position else name.encode()
        made += bytes([tag]) + len(own).to_bytes(2, "big") + own + len(value).to_bytes(2, "big") + value
    return made


def number(value: int) -> bytes:
    return value.to_bytes(4, "big", signed=True)


def answer(*attributes: bytes, status: int = 0) -> bytes:
    body = b"\2\0" + status.to_bytes(2, "big") + b"\0\0\0\1\1" + attribute(0x47, "attributes-charset", b"utf-8")
    body += b"\4" + b"".join(attributes) + b"\3"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


IDLE = attribute(0x23, "printer-state", number(3))
IDLE_BYTES = len(answer(IDLE).partition(b"\r\n\r\n")[2])


async def test_reasons_and_markers() -> None:
    said = answer(
        attribute(0x23, "printer-state", number(4)),
        attribute(0x44, "printer-state-reasons", b"media-low-warning", b"toner-low-report", b"cover-open", b"<x>"),
        attribute(0x22, "printer-is-accepting-jobs", b"\1"),
        attribute(0x21, "queued-job-count", number(7)),
        attribute(0x42, "marker-names", b"Black Toner", b"Cyan Toner", b"Waste box", b"Black Toner"),
        attribute(0x44, "marker-types", b"toner", b"toner", b"waste-toner", b"toner"),
        attribute(0x21, "marker-levels", number(5), number(-3), number(90), number(80)),
        attribute(0x21, "marker-low-levels", number(10), number(10), number(100), number(10)),
        attribute(0x13, "printer-state-message", b""),
        attribute(0x35, "printer-info", b"\0\2en\0\4ward"),
    )
    async with serving(says(said)) as port:
        reading = await look("ipp", f"127.0.0.1:{port}")
    assert reading.outcome is Outcome.OK, reading
    found = fields(reading, "ipp")
    assert (found["errors"], found["warnings"], found["reports"], found["queued_jobs"]) == (1.0, 1.0, 1.0, 7.0)
    markers = {
        (sample.labels["marker"], sample.field): sample.value
        for sample in reading.samples
        if sample.family == "ipp_marker"
    }
    assert markers == {
        ("Black Toner", "level_ratio"): 0.05,
        ("Black Toner", "low"): True,
        ("Black Toner 4", "level_ratio"): 0.8,
        ("Black Toner 4", "low"): False,
    }


@pytest.mark.parametrize(
    ("said", "reason", "detail"),
    [
        (answer(attribute(0x23, "printer-state", number(5)),
                attribute(0x44, "printer-state-reasons", b"media-jam-error", b"cover-open-error")),
         Reason.BAD_STATUS, "stopped: media-jam-error, cover-open-error"),
        (answer(IDLE, attribute(0x22, "printer-is-accepting-jobs", b"\0")), Reason.BAD_STATUS,
         "takes no jobs: no reason given"),
        (answer(), Reason.BAD_RESPONSE, "the answer does not tell the printer's state"),
        (answer(status=0x0502), Reason.BAD_STATUS, "service unavailable (0x0502)"),
        (answer(status=0x0403), Reason.AUTH_FAILED, "the printer wants a login"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", Reason.AUTH_FAILED, "HTTP 401"),
        (b"HTTP/1.1 426 Upgrade\r\nContent-Length: 0\r\n\r\n", Reason.BAD_STATUS, "HTTP 426"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Reason.BAD_RESPONSE, "the answer is not IPP"),
        (answer(IDLE)[:-9], Reason.CLOSED, f"closed after {IDLE_BYTES - 9} of {IDLE_BYTES} bytes"),
    ],
)  # fmt: skip
async def test_what_printers_say(said: bytes, reason: Reason, detail: str) -> None:
    async with serving(says(said, then="close")) as port:
        reading = await look("ipp", f"127.0.0.1:{port}")
    assert (reading.reason, reading.detail) == (reason, detail)


async def test_nothing_about_jobs_or_people_is_asked_for() -> None:
    assert not [name for name in WANTED if "job-name" in name or "user" in name or "document" in name]


async def test_wrong_settings_are_ours() -> None:
    bad: list[dict[str, Any]] = [{"path": "ipp"}, {"path": "/a b"}, {"port": 70000}]
    for params in bad:
        assert (await look("ipp", "127.0.0.1:1", **params)).reason is Reason.BAD_PARAMS, params
