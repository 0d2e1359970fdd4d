"""The DICOM probe against Orthanc and dcmtk's storescp, and against peers that behave badly."""

from __future__ import annotations

import asyncio
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.certs import Authority
from daemons.clinical import answers, ask, drip, fields, flood, half_closes, hangs, resets, verdict
from daemons.dicom import Study, orthanc, storescp
from daemons.process import free_port, need
from daemons.relay import relay_to
from daemons.wire_faults import Behaviour, serving
from healthmon.model.sample import Reason
from healthmon.probes import dicom_wire as wire
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

SENTINEL = Study("1.2.826.0.1.3680043.10.1", "HM-SENTINEL", "HMACC", "Sentinel^Healthmon")
OTHER = Study("1.2.826.0.1.3680043.10.2", "HM-OTHER", "HMACC2", "Other^Healthmon")
TWIN = Study("1.2.826.0.1.3680043.10.3", "HM-SENTINEL", "HMACC3", "Sentinel^Healthmon")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("orthanc")
    with orthanc(folder, [SENTINEL, OTHER, TWIN], find_allowed_to="HEALTHMON") as port:
        yield f"127.0.0.1:{port}"


async def test_echo_and_find_on_one_association(archive: str) -> None:
    find = {"key": "study_uid", "value": SENTINEL.uid}
    reading, lines = await ask("dicom", archive, called_ae="ORTHANC", find=find)
    assert verdict(reading) == ("ok", None)
    found = fields(reading, "dicom")
    assert (found["status_code"], found["matches"]) == (0.0, 1.0)
    phases = ("dns", "connect", "associate", "echo", "find", "release")
    assert sum(found[f"{name}_seconds"] for name in phases) == pytest.approx(found["duration_seconds"], rel=0.05)
    assert sum("connected" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("find", "expected", "matches"),
    [
        ({"key": "accession_number", "value": "HMACC"}, ("ok", None), 1.0),
        ({"key": "patient_id", "value": "HM-SENTINEL"}, ("ok", None), 2.0),
        ({"key": "patient_id", "value": "HM-SENTINEL", "model": "patient_root"}, ("ok", None), 1.0),
        ({"key": "patient_id", "value": "HM-NOBODY"}, ("failed", Reason.BAD_BODY), 0.0),
        ({"key": "study_uid", "value": "1.2.3"}, ("failed", Reason.BAD_BODY), 0.0),
    ],
    ids=["accession", "two studies", "patient root", "nobody", "no study"],
)
async def test_find(archive: str, find: dict[str, str], expected: Any, matches: float) -> None:
    reading, _ = await ask("dicom", archive, called_ae="ORTHANC", find=find, echo=False)
    assert verdict(reading) == expected
    assert fields(reading, "dicom")["matches"] == matches


async def test_a_service_that_is_not_there_is_bad_status(archive: str) -> None:
    find = {"key": "patient_id", "value": "HM-SENTINEL", "model": "worklist"}
    reading, _ = await ask("dicom", archive, called_ae="ORTHANC", find=find)
    assert verdict(reading) == ("failed", Reason.BAD_STATUS)
    assert "service not supported" in reading.detail


async def test_a_wrong_called_title_is_refused(archive: str) -> None:
    reading, _ = await ask("dicom", archive, called_ae="WRONG")
    assert verdict(reading) == ("failed", Reason.AUTH_FAILED)
    assert "called AE title" in reading.detail


async def test_who_may_not_find_is_cut_off_after_the_echo(archive: str) -> None:
    find = {"key": "study_uid", "value": SENTINEL.uid}
    reading, _ = await ask("dicom", archive, called_ae="ORTHANC", calling_ae="STRANGER", find=find)
    assert verdict(reading) == ("failed", Reason.CLOSED)
    assert "aborted" in reading.detail
    assert fields(reading, "dicom")["echo_seconds"] > 0.0


async def test_we_find_what_dcmtks_own_client_finds(archive: str) -> None:
    argv = [need("findscu"), "-S", "-aet", "HEALTHMON", "-aec", "ORTHANC", "-k", "QueryRetrieveLevel=STUDY"]
    argv += ["-k", "PatientID=HM-SENTINEL", "-k", "StudyInstanceUID", *archive.split(":")]
    theirs = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True)
    find = {"key": "patient_id", "value": "HM-SENTINEL"}
    ours, _ = await ask("dicom", archive, called_ae="ORTHANC", find=find)
    assert (theirs.stdout + theirs.stderr).count("Find Response:") == fields(ours, "dicom")["matches"] == 2.0


async def test_storescp_answers_echo_and_leaves_find_out(tmp_path: Path) -> None:
    with storescp(tmp_path) as port:
        echo, _ = await ask("dicom", f"127.0.0.1:{port}")
        find, _ = await ask("dicom", f"127.0.0.1:{port}", find={"key": "patient_id", "value": "X"})
    assert verdict(echo) == ("ok", None)
    assert verdict(find) == ("failed", Reason.BAD_STATUS)


async def test_storescp_that_refuses_every_association(tmp_path: Path) -> None:
    with storescp(tmp_path, "--refuse") as port:
        reading, _ = await ask("dicom", f"127.0.0.1:{port}")
    assert verdict(reading) == ("failed", Reason.BAD_STATUS)
    assert "rejected" in reading.detail


@pytest.mark.parametrize("option", ["--abort-during", "--abort-after"])
async def test_storescp_that_aborts_stores_does_not_mind_an_echo(tmp_path: Path, option: str) -> None:
    with storescp(tmp_path, option) as port:
        assert verdict((await ask("dicom", f"127.0.0.1:{port}"))[0]) == ("ok", None)


@pytest.mark.parametrize(
    ("issue", "reason"),
    [
        ({}, None),
        ({"starts_days": -9.0, "ends_days": -2.0}, Reason.CERT_EXPIRED),
        ({"names": ("other.example",)}, Reason.CERT_WRONG_HOST),
        ({"self_signed": True}, Reason.CERT_UNTRUSTED),
    ],
    ids=["good", "expired", "wrong host", "self-signed"],
)
async def test_tls_to_storescp(tmp_path: Path, issue: dict[str, Any], reason: Reason | None) -> None:
    """dcmtk's own TLS; it wants RSA or EC certificates and TLS 1.2 or better by default."""
    authority = Authority(tmp_path)
    issued = authority.issue("server", **issue)
    with storescp(tmp_path, *_tls(issued.key_file, issued.cert_file)) as port:
        reading, _ = await ask("dicom", f"127.0.0.1:{port}", tls=True, ca_file=str(authority.ca_file))
    assert reading.reason is reason, reading
    ends_s = fields(reading, "tls")["expires_in_seconds"]  # told of a certificate that is not believed, too
    assert ends_s == pytest.approx(issued.not_after - SystemClock().now(), abs=60.0)


async def test_plain_words_to_a_tls_port(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("server")
    with storescp(tmp_path, *_tls(issued.key_file, issued.cert_file)) as port:
        plain, _ = await ask("dicom", f"127.0.0.1:{port}", timeout_s=1.0)
    assert plain.outcome == "failed"
    assert plain.reason in (Reason.CLOSED, Reason.BAD_RESPONSE, Reason.RESET)


async def test_ipv6(archive: str) -> None:
    """Orthanc and dcmtk 3.6.7 listen on IPv4 only: a relay carries the real archive's words."""
    find = {"key": "study_uid", "value": SENTINEL.uid}
    async with relay_to(int(archive.partition(":")[2]), "::1") as relay:
        reading, _ = await ask("dicom", f"[::1]:{relay.port}", called_ae="ORTHANC", find=find)
    assert verdict(reading) == ("ok", None), reading
    assert fields(reading, "dicom")["matches"] == 1.0


def _tls(key: Path, certificate: Path) -> list[str]:
    return ["+tls", str(key), str(certificate), "-ic"]


# a peer made of bytes

AC = wire.pdu(
    wire.ASSOCIATE_AC,
    struct.pack(">HH64x", 1, 0)
    + b"\x21\0\0\x19\x01\0\0\0\x40\0\0\x11" + b"1.2.840.10008.1.2"
    + b"\x21\0\0\x19\x03\0\0\0\x40\0\0\x11" + b"1.2.840.10008.1.2",
)  # fmt: skip


def response(command: int, status: int, *, answers_id: int = 1, data: bytes = b"", context: int = 1) -> bytes:
    def us(element: int, value: int) -> bytes:
        return struct.pack("<HHIH", 0, element, 2, value)

    body = us(0x100, command | 0x8000) + us(0x120, answers_id) + us(0x800, 1 if data else 0x101) + us(0x900, status)
    out = wire.pdu(wire.P_DATA, struct.pack(">IBB", len(body) + 2, context, 3) + body)
    if data:
        out += wire.pdu(wire.P_DATA, struct.pack(">IBB", len(data) + 2, context, 2) + data)
    return out


ECHO_OK = response(wire.C_ECHO, 0)
RELEASED = wire.pdu(wire.RELEASE_RP, bytes(4))
REJECTED: Callable[[int, int], bytes] = lambda source, reason: wire.pdu(3, bytes([0, 1, source, reason]))  # noqa: E731
ABORT = wire.pdu(wire.ABORT, b"\0\0\2\1")
MATCH = wire.data_set({(0x0010, 0x0020): "HM-SENTINEL"})
STRANGER = wire.data_set({(0x0010, 0x0020): "SOMEBODY", (0x0010, 0x0010): "Somebody^Else"})


@pytest.mark.parametrize(
    ("behaviour", "reason", "words"),
    [
        (answers(REJECTED(1, 3)), Reason.AUTH_FAILED, "calling AE title"),
        (answers(REJECTED(3, 1)), Reason.BAD_STATUS, "temporary congestion"),
        (answers(REJECTED(9, 9)), Reason.BAD_STATUS, "source 9, reason 9"),
        (answers(wire.pdu(3, b"")), Reason.BAD_RESPONSE, "too short"),
        (answers(wire.pdu(2, b"\0\1")), Reason.BAD_RESPONSE, "too short"),
        (answers(wire.pdu(2, bytes(68))), Reason.BAD_STATUS, "not answered"),
        (answers(wire.pdu(2, bytes(68) + b"\x21\0\xff\xff")), Reason.BAD_RESPONSE, "wrong length"),
        (answers(b"SSH-2.0-OpenSSH_9.2\r\n"), Reason.BAD_RESPONSE, "not DICOM"),
        (answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Reason.BAD_RESPONSE, "not DICOM"),
        (answers(ECHO_OK), Reason.BAD_RESPONSE, "association"),
        (answers(b"\x02\0\x7f\xff\xff\xff" + bytes(100)), Reason.TOO_LARGE, "65536"),
        (answers(AC[:30]), Reason.CLOSED, "in the middle"),
        (answers(AC[:3]), Reason.CLOSED, "in the middle"),
        (answers(AC), Reason.CLOSED, "without an answer"),
        (answers(AC, ABORT), Reason.CLOSED, "aborted by the service provider"),
        (answers(AC, RELEASED), Reason.BAD_RESPONSE, "something else"),
        (answers(AC, response(wire.C_FIND, 0)), Reason.BAD_RESPONSE, "another request"),
        (answers(AC, response(wire.C_ECHO, 0, answers_id=7)), Reason.BAD_RESPONSE, "another request"),
        (answers(AC, response(wire.C_ECHO, 0x0122)), Reason.BAD_STATUS, "C-ECHO status 0x0122"),
        (answers(AC, response(wire.C_ECHO, 0x0124)), Reason.AUTH_FAILED, "not authorised"),
        (answers(AC, wire.pdu(4, b"\0\0\0\1\1\3")), Reason.BAD_RESPONSE, "wrong length"),
        (answers(AC, wire.pdu(4, b"\0\0")), Reason.BAD_RESPONSE, "cut off"),
        (answers(AC, wire.pdu(4, b"\0\0\0\2\1\3")), Reason.BAD_RESPONSE, "without command"),
        (answers(AC, ECHO_OK, response(wire.C_FIND, 0xA700, answers_id=2)), Reason.BAD_STATUS, "0xA700"),
        (
            answers(AC, ECHO_OK, response(wire.C_FIND, 0xFF00, answers_id=2, data=STRANGER)),
            Reason.BAD_BODY,
            "not the sentinel",
        ),
        (answers(AC, ECHO_OK, response(wire.C_FIND, 0xFF00, answers_id=2)), Reason.BAD_BODY, "not the sentinel"),
        (
            answers(AC, ECHO_OK, response(wire.C_FIND, 0xFF00, answers_id=2, data=MATCH) * 11),
            Reason.TOO_LARGE,
            "more than 10",
        ),
        (half_closes, Reason.CLOSED, "without an answer"),
        (resets, Reason.RESET, "reset"),
        (hangs, Reason.TIMEOUT, "waiting for the association"),
        (answers(AC, then="hang"), Reason.TIMEOUT, "waiting for C-ECHO"),
        (answers(AC, ECHO_OK, then="hang"), Reason.TIMEOUT, "waiting for C-FIND"),
        (drip(AC), Reason.TIMEOUT, "waiting for the association"),
        (flood(AC, wire.pdu(4, struct.pack(">IBB", 4002, 1, 1) + bytes(4000))), Reason.TOO_LARGE, "a message over"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_bad_peers(behaviour: Behaviour, reason: Reason, words: str) -> None:
    find = {"key": "patient_id", "value": "HM-SENTINEL"}
    async with serving(behaviour) as port:
        reading, _ = await ask("dicom", f"127.0.0.1:{port}", timeout_s=0.7, find=find)
    assert verdict(reading) == ("failed", reason), reading
    assert words in reading.detail


async def test_fragments_of_a_command_are_put_together() -> None:
    body = response(wire.C_ECHO, 0)[12:]
    pieces = [body[at : at + 5] for at in range(0, len(body), 5)]
    out = b"".join(
        wire.pdu(4, struct.pack(">IBB", len(piece) + 2, 1, 3 if piece is pieces[-1] else 1) + piece) for piece in pieces
    )
    async with serving(answers(AC, out, RELEASED)) as port:
        assert verdict((await ask("dicom", f"127.0.0.1:{port}"))[0]) == ("ok", None)


async def test_a_peer_that_does_not_release_has_answered_all_the_same() -> None:
    async with serving(answers(AC, ECHO_OK, b"")) as port:
        assert verdict((await ask("dicom", f"127.0.0.1:{port}"))[0]) == ("ok", None)


async def test_a_closed_port_is_refused() -> None:
    assert verdict((await ask("dicom", f"127.0.0.1:{free_port()}"))[0]) == ("failed", Reason.REFUSED)


@pytest.mark.parametrize(
    "params",
    [
        {"find": {"key": "patient_id", "value": "*"}},
        {"find": {"key": "patient_id", "value": "A?"}},
        {"find": {"key": "patient_id", "value": ""}},
        {"find": {"key": "patient_id", "value": "A\\B"}},
        {"find": {"key": "patient_name", "value": "A"}},
        {"find": {"key": "study_uid", "value": "1.2", "model": "patient_root"}},
        {"called_ae": "SEVENTEEN-LETTERS"},
        {"called_ae": ""},
        {"echo": False},
        {"min_every_s": 10.0},
    ],
    ids=str,
)
async def test_bad_params(params: dict[str, Any]) -> None:
    assert verdict((await ask("dicom", "127.0.0.1:104", **params))[0]) == ("unknown", Reason.BAD_PARAMS)


async def test_asked_again_and_again_it_holds_back(tmp_path: Path) -> None:
    with storescp(tmp_path) as port:
        seen = [verdict((await ask("dicom", f"127.0.0.1:{port}", check="same"))[0]) for _ in range(5)]
    assert seen == [("ok", None)] * 3 + [("unknown", Reason.RATE_LIMITED)] * 2
