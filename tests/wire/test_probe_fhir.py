"""The FHIR probe against two servers, and against answers that are not what they should be."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from daemons import wire_faults
from daemons.certs import Authority
from daemons.clinical import ask, by_request, fields, verdict
from daemons.fhir import SENTINEL, SYSTEM, Fhir, node_fhir, own_fhir
from daemons.process import free_port
from daemons.wire_faults import Behaviour, serving
from healthmon.model.sample import Reason

pytestmark = pytest.mark.wire

SEARCH = {"identifier": f"{SYSTEM}|SENTINEL"}
READ = {"id": "hm-1"}


async def test_three_questions_on_one_connection_write_nothing() -> None:
    fhir = Fhir()
    async with own_fhir(fhir) as base:
        reading, lines = await ask("fhir", base, search=SEARCH, read=READ)
    assert verdict(reading) == ("ok", None)
    found = fields(reading, "fhir")
    assert (found["status_code"], found["matches"], found["fhir_version"]) == (200.0, 1.0, "4.0.1")
    phases = ("dns", "connect", "capability", "search", "read")
    assert sum(found[f"{name}_seconds"] for name in phases) == pytest.approx(found["duration_seconds"], rel=0.05)
    assert len(fhir.connections) == 1
    assert fhir.asked == [
        "GET /fhir/metadata",
        "GET /fhir/Patient?identifier=urn%3Aexample%3Ahealthmon%7CSENTINEL&_summary=count",
        "GET /fhir/Patient/hm-1",
    ]
    assert "SENTINEL" not in "\n".join(lines)


async def test_a_server_that_closes_is_connected_to_again() -> None:
    fhir = Fhir()
    fhir.close_each = True
    async with own_fhir(fhir) as base:
        reading, lines = await ask("fhir", base, search=SEARCH, read=READ)
    assert verdict(reading) == ("ok", None)
    assert sum("connected" in line for line in lines) == 3


async def test_a_server_on_a_framework_by_others(tmp_path: Path) -> None:
    with node_fhir(tmp_path) as base:
        good, _ = await ask("fhir", base, search=SEARCH, read=READ)
        missing, _ = await ask("fhir", base, read={"id": "hm-2"})
        nobody, _ = await ask("fhir", base, search={"identifier": f"{SYSTEM}|NOBODY"})
    assert verdict(good) == ("ok", None)
    assert fields(good, "fhir")["fhir_version"] == "4.0.0"
    assert (verdict(missing), missing.detail) == (("failed", Reason.BAD_STATUS), "404")
    assert verdict(nobody) == ("failed", Reason.BAD_BODY)


async def test_an_operation_outcome_is_told_by_severity_and_code() -> None:
    fhir = Fhir()
    async with own_fhir(fhir) as base:
        reading, _ = await ask("fhir", base, read={"id": "gone"})
    assert verdict(reading) == ("failed", Reason.BAD_STATUS)
    assert reading.detail == "404, OperationOutcome error not-found"
    found = fields(reading, "fhir")
    assert (found["issue_severity"], found["issue_code"], found["status_code"]) == ("error", "not-found", 404.0)


async def test_a_token_is_sent_and_a_wrong_one_is_auth_failed(tmp_path: Path) -> None:
    fhir, right, wrong = Fhir(), tmp_path / "right", tmp_path / "wrong"
    fhir.token = "abc.def"
    right.write_text("abc.def\n")
    wrong.write_text("xyz\n")
    async with own_fhir(fhir) as base:
        good, _ = await ask("fhir", base, search=SEARCH, token_file=str(right))
        bad, _ = await ask("fhir", base, search=SEARCH, token_file=str(wrong))
        none, _ = await ask("fhir", base, search=SEARCH, token_file=str(tmp_path / "missing"))
    assert verdict(good) == ("ok", None)
    assert (verdict(bad), bad.detail) == (("failed", Reason.AUTH_FAILED), "401, OperationOutcome error login")
    assert verdict(none) == ("unknown", Reason.BAD_PARAMS)


@pytest.mark.parametrize(
    ("change", "params", "reason", "words"),
    [
        ({"status": "draft"}, {}, Reason.BAD_BODY, "capability statement is draft"),
        ({"status": "draft"}, {"statuses": ["active", "draft"]}, None, ""),
        ({"status": "see Jane Canary"}, {}, Reason.BAD_BODY, "is something else"),
        ({"fhirVersion": "3.0.2"}, {}, Reason.BAD_BODY, "does not speak FHIR 4.0"),
        ({"fhirVersion": "4.3.0"}, {"version": "4"}, None, ""),
        ({"fhirVersion": 4}, {}, Reason.BAD_BODY, "not a FHIR resource"),
        ({"resourceType": "Conformance"}, {}, Reason.BAD_BODY, "another resource instead of a CapabilityStatement"),
    ],
)
async def test_capability(change: dict[str, Any], params: dict[str, Any], reason: Reason | None, words: str) -> None:
    fhir = Fhir()
    fhir.capability |= change
    async with own_fhir(fhir) as base:
        reading, _ = await ask("fhir", base, **params)
    assert reading.reason is reason
    assert words in reading.detail


async def test_search_counts_exactly() -> None:
    fhir = Fhir()
    fhir.resources.append({**SENTINEL, "id": "hm-2"})
    async with own_fhir(fhir) as base:
        two, _ = await ask("fhir", base, capability=False, search=SEARCH)
        both, _ = await ask("fhir", base, capability=False, search={**SEARCH, "total": 2})
    assert (verdict(two), two.detail) == (("failed", Reason.BAD_BODY), "the search gave 2 instead of 1")
    assert verdict(both) == ("ok", None)


def body(text: str | bytes, status: str = "200 OK") -> Behaviour:
    """The same answer to every request."""
    data = text if isinstance(text, bytes) else text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/fhir+json\r\nContent-Length: {len(data)}\r\n\r\n"
    return by_request(lambda request: head.encode() + data)


def bundle(**change: Any) -> str:
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "total": 1} | change)


@pytest.mark.parametrize(
    ("behaviour", "reason", "words"),
    [
        (body(""), Reason.BAD_BODY, "not a FHIR resource"),
        (body("<html>login</html>"), Reason.BAD_BODY, "not a FHIR resource"),
        (body(b"\xff\xfe{"), Reason.BAD_BODY, "not a FHIR resource"),
        (body("[" * 5000), Reason.BAD_BODY, "not a FHIR resource"),
        (body('{"a":' * 5000), Reason.BAD_BODY, "not a FHIR resource"),
        (body(bundle(total=None)), Reason.BAD_BODY, "gave no total"),
        (body(bundle(total=-1)), Reason.BAD_BODY, "gave no total"),
        (body(bundle(total=10**18)), Reason.BAD_BODY, "gave no total"),
        (body(bundle(type="history")), Reason.BAD_BODY, "gave no total"),
        (body('{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"throttled"}]}'),
         Reason.BAD_BODY, "an OperationOutcome (warning, throttled) instead of a Bundle"),
        (body('{"resourceType":"OperationOutcome","issue":[{"severity":"Jane","code":"Canary"}]}', "500 Oops"),
         Reason.BAD_STATUS, "500, OperationOutcome other other"),
        (body("x" * 300_000), Reason.TOO_LARGE, "262144"),
        (body("", "302 Found"), Reason.BAD_STATUS, "302"),
        (body("", "403 Forbidden"), Reason.AUTH_FAILED, "403"),
        (body("", "429 Too Many Requests"), Reason.BAD_STATUS, "429"),
        (wire_faults.hang, Reason.TIMEOUT, "waiting for the search"),
        (wire_faults.reset, Reason.RESET, "reset"),
        (wire_faults.half_close, Reason.CLOSED, "without an answer"),
        (wire_faults.drip, Reason.TIMEOUT, "waiting for the search"),
        (wire_faults.flood, Reason.TOO_LARGE, "262144"),
        (wire_faults.header_flood, Reason.BAD_RESPONSE, "of headers"),
        (wire_faults.says(b"SSH-2.0-OpenSSH_9.2\r\n"), Reason.BAD_RESPONSE, "not HTTP"),
        (wire_faults.says(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"), Reason.CLOSED, "closed after 1 of 50"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_bad_answers_to_a_search(behaviour: Behaviour, reason: Reason, words: str) -> None:
    async with serving(behaviour) as port:
        params = {"capability": False, "search": SEARCH}
        reading, _ = await ask("fhir", f"http://127.0.0.1:{port}/fhir", timeout_s=0.7, **params)
    assert verdict(reading) == ("failed", reason), reading
    assert words in reading.detail


@pytest.mark.parametrize("answer", ['{"resourceType":"Patient","id":"other"}', '{"resourceType":"Patient"}'])
async def test_another_resource_than_the_sentinel(answer: str) -> None:
    async with serving(body(answer)) as port:
        reading, _ = await ask("fhir", f"http://127.0.0.1:{port}", capability=False, read=READ)
    assert (verdict(reading), reading.detail) == (
        ("failed", Reason.BAD_BODY),
        "another resource than the sentinel",
    )


async def test_a_large_capability_statement_is_read() -> None:
    fhir = Fhir()
    fhir.capability["rest"] = [{"documentation": "x" * 1_000_000} for _ in range(3)]
    async with own_fhir(fhir) as base:
        assert verdict((await ask("fhir", base))[0]) == ("ok", None)


async def test_a_closed_port_is_refused() -> None:
    assert verdict((await ask("fhir", f"http://127.0.0.1:{free_port()}"))[0]) == ("failed", Reason.REFUSED)


@pytest.mark.parametrize(
    ("issue", "reason"),
    [
        ({}, None),
        ({"starts_days": -90.0, "ends_days": -3.0}, Reason.CERT_EXPIRED),
        ({"names": ("other.example",)}, Reason.CERT_WRONG_HOST),
        ({"self_signed": True}, Reason.CERT_UNTRUSTED),
    ],
    ids=["good", "expired", "wrong host", "self-signed"],
)
async def test_tls(tmp_path: Path, issue: dict[str, Any], reason: Reason | None) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("server", **issue)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.cert_file, issued.key_file)
    async with own_fhir(Fhir(), context) as base:
        reading, _ = await ask("fhir", base, ca_file=str(authority.ca_file), read=READ)
    assert reading.reason is reason, reading
    if reason is None:
        assert fields(reading, "tls")["expires_in_seconds"] > 80 * 86400


async def test_ipv6() -> None:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", Fhir().answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "::1", 0).start()
    try:
        reading, _ = await ask("fhir", f"http://[::1]:{runner.addresses[0][1]}/fhir", read=READ)
    finally:
        await runner.cleanup()
    assert verdict(reading) == ("ok", None)


@pytest.mark.parametrize(
    "params",
    [
        {"capability": False},
        {"version": "9"},
        {"version": ""},
        {"statuses": []},
        {"statuses": ["fine"]},
        {"search": {"identifier": "with space"}},
        {"search": {"identifier": "a|b", "type": "patient/../x"}},
        {"search": {"identifier": "a|b", "total": 0}},
        {"read": {"id": "../admin"}},
        {"headers": {"X-A": "b\r\nX-C: d"}},
        {"user": "u"},
        {"min_every_s": 1.0},
    ],
    ids=str,
)
async def test_bad_params(params: dict[str, Any]) -> None:
    assert verdict((await ask("fhir", "http://127.0.0.1:1", **params))[0]) == ("unknown", Reason.BAD_PARAMS)


async def test_asked_again_and_again_it_holds_back() -> None:
    async with own_fhir(Fhir()) as base:
        seen = [verdict((await ask("fhir", base, check="same"))[0]) for _ in range(5)]
    assert seen == [("ok", None)] * 3 + [("unknown", Reason.RATE_LIMITED)] * 2


async def test_two_looks_at_once_do_not_share_a_connection() -> None:
    fhir = Fhir()
    async with own_fhir(fhir) as base:
        await asyncio.gather(*(ask("fhir", base, read=READ) for _ in range(4)))
    assert len(fhir.asked) == 8
