"""Whatever a clinical system says, nothing of it is kept: answers full of canaries, and every place searched for them.

Searched are the reading (detail, samples, labels), its wire form, the transcript, the log, and all that the probe still
holds in memory after the look. That the search itself can find something is tested too.
"""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Callable
from typing import Any

import pytest

from daemons.clinical import answers, ask, by_request, leaks, traces_of
from daemons.wire_faults import Behaviour, serving
from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.probes import dicom_wire as wire

pytestmark = pytest.mark.wire

#: Made up; in the form of a name, a number and a diagnosis.
NAME, NUMBER, TEXT = "QUOKKABERG^WINIFREDA", "9988007766", "zymurgical-pneumoblastosis"
CANARIES = [NAME, NUMBER, TEXT, "Quokkaberg", "Winifreda"]

MESSAGE: dict[str, Any] = {
    "mode": "message",
    "test_channel": {"approved_by": "A. Integrator", "approved_on": "2026-11-01"},
}


def hl7_answer(code: str, control_id: bytes | None = None) -> Callable[[bytes], bytes]:
    def answer(request: bytes) -> bytes:
        own = request.split(b"|")[9] if control_id is None else control_id
        segments = [
            f"MSH|^~\\&|{NAME}|{NUMBER}|||20261101||ACK|{NUMBER}|T|2.5",
            f"MSA|{code}|{own.decode()}|{TEXT}|||{NAME}",
            f"ERR|PID^1^{NUMBER}|{TEXT}|{NAME}",
            f"PID|1||{NUMBER}||{NAME}||19010203",
            f"NTE|1|L|{TEXT}",
        ]
        return b"\x0b" + "\r".join(segments).encode() + b"\r\x1c\r"

    return answer


HL7_CASES: dict[str, Behaviour] = {
    "accepted": by_request(hl7_answer("AA")),
    "error": by_request(hl7_answer("AE")),
    "code is a name": by_request(hl7_answer(NAME)),
    "another message": by_request(hl7_answer("AA", NAME.encode())),
    "no block": answers(f"PID|1||{NUMBER}||{NAME}\r".encode()),
    "cut off": answers(b"\x0b" + f"MSH|^~\\&|\rPID|1||{NUMBER}||{NAME}".encode()),
    "no acknowledgement": answers(b"\x0b" + f"MSH|^~\\&|A|B\rPID|1||{NUMBER}||{NAME}\r\x1c\r".encode()),
    "not text": answers(b"\x0bMSH|^~\\&|\rMSA|\xff\xfe" + NAME.encode() + b"|\xff\r\x1c\r"),
}

_PERSON = {"name": [{"text": NAME, "family": "Quokkaberg", "given": ["Winifreda"]}], "identifier": [{"value": NUMBER}]}
_PATIENT = {"resourceType": "Patient", "id": "hm-1", **_PERSON, "text": {"div": TEXT}}
_OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [
        {
            "severity": "error",
            "code": NAME,
            "diagnostics": f"{NAME} {NUMBER}",
            "details": {"text": TEXT},
            "location": [NAME],
        }
    ],
}


def http_answer(document: Any, status: str = "200 OK", header: str = "") -> Behaviour:
    data = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\nX-Patient: {NAME}\r\n{header}\r\n"
    return by_request(lambda request: head.encode() + data)


FHIR_CASES: dict[str, Behaviour] = {
    "resource": http_answer(_PATIENT),
    "resource of another": http_answer({**_PATIENT, "id": NUMBER}),
    "bundle in spite of _summary": http_answer(
        {"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": [{"resource": _PATIENT}]}
    ),
    "outcome": http_answer(_OUTCOME, f"404 {NAME}"),
    "outcome as a result": http_answer(_OUTCOME),
    "refused": http_answer(_OUTCOME, "401 Unauthorized", f'WWW-Authenticate: Bearer error="{NAME}"\r\n'),
    "type is a name": http_answer({"resourceType": NAME, "id": NUMBER, "status": TEXT, "fhirVersion": NAME}),
    "wrong types": http_answer({"resourceType": {"text": NAME}, "total": NAME, "id": [NUMBER]}),
    "not JSON": http_answer(f"{NAME} has {TEXT}"),
    "cut off": http_answer(json.dumps(_PATIENT)[:-9]),
    "redirect": http_answer("", "302 Found", f"Location: https://other.example/Patient?name={NAME}\r\n"),
    "status line": answers(f"HTTP/1.1 {NAME}\r\n\r\n".encode()),
    "garbage": answers(f"{NAME} {NUMBER}\r\n".encode()),
    "header": answers(f"HTTP/1.1 200 OK\r\n{NAME}\r\n\r\n".encode()),
    "chunk": answers(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{NAME}\r\n".encode()),
}

_AC = wire.pdu(
    wire.ASSOCIATE_AC,
    struct.pack(">HH64x", 1, 0)
    + b"\x21\0\0\x19\x03\0\0\0\x40\0\0\x11" + b"1.2.840.10008.1.2"
    + b"\x50\0\0\x1e\x52\0\0\x06" + NUMBER[:6].encode() + b"\x55\0\0\x10" + NAME[:16].encode(),
)  # fmt: skip
_MATCH = wire.data_set({(0x0010, 0x0020): "HM-SENTINEL", (0x0010, 0x0010): NAME, (0x0010, 0x4000): TEXT})
_STRANGER = wire.data_set({(0x0010, 0x0020): NUMBER, (0x0010, 0x0010): NAME})


def _found(status: int, data: bytes = b"", comment: str = "") -> bytes:
    def element(number: int, value: bytes) -> bytes:
        return struct.pack("<HHI", 0, number, len(value)) + value

    body = element(0x100, b"\x20\x80") + element(0x120, b"\1\0") + element(0x800, b"\1\0" if data else b"\1\1")
    body += element(0x900, struct.pack("<H", status)) + (element(0x902, comment.encode()) if comment else b"")
    out = wire.pdu(wire.P_DATA, struct.pack(">IBB", len(body) + 2, 3, 3) + body)
    return out + wire.pdu(wire.P_DATA, struct.pack(">IBB", len(data) + 2, 3, 2) + data) if data else out


DICOM_CASES: dict[str, Behaviour] = {
    "match": answers(_AC, _found(0xFF00, _MATCH) + _found(0), wire.pdu(wire.RELEASE_RP, bytes(4))),
    "another's": answers(_AC, _found(0xFF00, _STRANGER) + _found(0)),
    "failure with a comment": answers(_AC, _found(0xC001, comment=NAME)),
    "failure with a data set": answers(_AC, _found(0xA900, _STRANGER)),
    "cut off": answers(_AC, _found(0xFF00, _MATCH)[:-5]),
    "garbage": answers(NAME.encode()),
    "garbage after the association": answers(_AC, wire.pdu(wire.P_DATA, NAME.encode())),
    "command of text": answers(_AC, wire.pdu(wire.P_DATA, struct.pack(">IBB", len(NAME) + 2, 3, 3) + NAME.encode())),
}

FHIR_PARAMS: list[dict[str, Any]] = [
    {"capability": False, "read": {"id": "hm-1"}},
    {"capability": False, "search": {"identifier": "urn:example|T"}},
    {},
]
CASES = [
    *(("hl7", name, behaviour, MESSAGE) for name, behaviour in HL7_CASES.items()),
    *(("hl7", name, behaviour, {}) for name, behaviour in HL7_CASES.items()),
    *(("fhir", name, behaviour, params) for name, behaviour in FHIR_CASES.items() for params in FHIR_PARAMS),
    *(
        ("dicom", name, behaviour, {"echo": False, "find": {"key": "patient_id", "value": "HM-SENTINEL"}})
        for name, behaviour in DICOM_CASES.items()
    ),
]


@pytest.mark.parametrize(("kind", "name", "behaviour", "params"), CASES, ids=lambda value: str(value)[:30])
async def test_nothing_of_an_answer_is_kept(
    kind: str, name: str, behaviour: Behaviour, params: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(behaviour) as port:
        address = f"http://127.0.0.1:{port}" if kind == "fhir" else f"127.0.0.1:{port}"
        reading, lines = await ask(kind, address, timeout_s=2.0, **params)
    left = traces_of(reading, lines, caplog.text, kind)
    assert leaks(CANARIES, left) == [], name
    assert reading.outcome is not Outcome.UNKNOWN


async def test_good_answers_with_canaries_are_good() -> None:
    """The cases above are not all refused early: these reach the end of a look."""
    for kind, name, params in [
        ("hl7", "accepted", MESSAGE),
        ("fhir", "resource", FHIR_PARAMS[0]),
        ("fhir", "bundle in spite of _summary", FHIR_PARAMS[1]),
        ("dicom", "match", {"echo": False, "find": {"key": "patient_id", "value": "HM-SENTINEL"}}),
    ]:
        cases: dict[str, dict[str, Behaviour]] = {"hl7": HL7_CASES, "fhir": FHIR_CASES, "dicom": DICOM_CASES}
        async with serving(cases[kind][name]) as port:
            address = f"http://127.0.0.1:{port}" if kind == "fhir" else f"127.0.0.1:{port}"
            reading, _ = await ask(kind, address, **params)
        assert reading.outcome is Outcome.OK, (kind, name, reading)


@pytest.mark.parametrize(
    "reading",
    [
        Reading("t", "c", "v", 0.0, 0.0, Outcome.OK, detail=f"for {NAME}"),
        Reading("t", "c", "v", 0.0, 0.0, Outcome.OK, samples=(Sample("hl7", "ack_code", NAME[3:12]),)),
        Reading("t", "c", "v", 0.0, 0.0, Outcome.OK, samples=(Sample("hl7", "ack_code", "AA", {"patient": NUMBER}),)),
    ],
    ids=["detail", "value", "label"],
)
def test_the_search_finds_what_is_there(reading: Reading) -> None:
    assert leaks(CANARIES, traces_of(reading, [], "", "hl7"))
    assert leaks(CANARIES, traces_of(Reading("t", "c", "v", 0.0, 0.0, Outcome.OK), [f"got {TEXT}"], "", "hl7"))


async def test_the_search_sees_what_a_probe_still_holds() -> None:
    from healthmon.probes import load_probe

    probe: Any = load_probe("hl7")
    probe._settings._known[("leak", "leak")] = ({"text": TEXT.encode()}, None)
    try:
        assert leaks(CANARIES, traces_of(Reading("t", "c", "v", 0.0, 0.0, Outcome.OK), [], "", "hl7")) == [TEXT]
    finally:
        del probe._settings._known[("leak", "leak")]
