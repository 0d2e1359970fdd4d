"""The HTTP probe against a real nginx and against servers that behave badly."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemons import wire_faults
from daemons.certs import Authority
from daemons.nginx import Nginx, nginx
from daemons.process import free_port
from daemons.wire_faults import Behaviour, says, serving
from healthmon.model.plan import Job, MedicalAllow, MedicalNetwork, Rates, Safety
from healthmon.model.sample import Outcome, Reading, Reason
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.probes.transcript import Transcript
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

FAST = Rates(per_target_hz=1000.0, per_subnet_hz=10_000.0, global_hz=10_000.0)


@dataclass(frozen=True)
class Bed:
    server: Nginx
    authority: Authority
    day_s: float = 86400.0


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("nginx-http")
    authority = Authority(folder)
    certificates = {
        "good": authority.issue("good"),
        "short": authority.issue("short", ends_days=3.0),
        "expired": authority.issue("expired", starts_days=-90.0, ends_days=-3.0),
        "wrong_host": authority.issue("wrong_host", names=("other.example",)),
        "self_signed": authority.issue("self_signed", self_signed=True),
    }
    with nginx(folder, certificates) as server:
        yield Bed(server, authority)


def runner(safety: Safety | None = None) -> Runner:
    clock = SystemClock()
    guard = Guard(safety or Safety(rates=FAST), clock)
    return Runner(vantage="v", guard=guard, clock=clock, probes=load_probe, on_reading=lambda reading: None)


async def probe(address: str, *, timeout_s: float = 10.0, safety: Safety | None = None, **params: Any) -> Reading:
    return await runner(safety).run_once(Job("t", "c", "http", address, 30.0, timeout_s, params))


def fields(reading: Reading, family: str = "http") -> dict[str, Any]:
    return {sample.field: sample.value for sample in reading.samples if sample.family == family}


def verdict(reading: Reading) -> tuple[str, Reason | None]:
    return reading.outcome.value, reading.reason


async def test_a_good_page_has_every_phase_and_they_add_up(bed: Bed) -> None:
    reading = await probe(bed.server.url("/health"))
    assert verdict(reading) == ("ok", None)
    found = fields(reading)
    assert found["status_code"] == 200.0
    assert found["body_bytes"] == len('{"status":"ok","queue":[{"depth":3}],"up":true}')
    phases = ("dns_seconds", "connect_seconds", "wait_seconds", "transfer_seconds")
    assert all(found[name] >= 0.0 for name in phases)
    assert sum(found[name] for name in phases) == pytest.approx(found["duration_seconds"], rel=0.05)
    assert found["duration_seconds"] == pytest.approx(reading.took, rel=0.25, abs=0.01)


async def test_tls_is_a_phase_of_its_own_with_the_certificate(bed: Bed) -> None:
    reading = await probe(f"https://localhost:{bed.server.tls['good']}/health", ca_file=str(bed.authority.ca_file))
    assert verdict(reading) == ("ok", None)
    found, certificate = fields(reading), fields(reading, "tls")
    phases = ("dns_seconds", "connect_seconds", "tls_seconds", "wait_seconds", "transfer_seconds")
    assert sum(found[name] for name in phases) == pytest.approx(found["duration_seconds"], rel=0.05)
    assert found["tls_seconds"] > 0.0
    assert certificate["expires_in_seconds"] == pytest.approx(90 * bed.day_s, abs=120)
    assert certificate["lifetime_left_ratio"] == pytest.approx(90 / 91, abs=0.01)
    assert certificate["version"] == "TLSv1.3"


@pytest.mark.parametrize(
    ("name", "reason", "days"),
    [
        ("expired", Reason.CERT_EXPIRED, -3.0),
        ("wrong_host", Reason.CERT_WRONG_HOST, 90.0),
        ("self_signed", Reason.CERT_UNTRUSTED, 90.0),
    ],
)
async def test_a_bad_certificate_fails_and_still_tells_its_dates(
    bed: Bed, name: str, reason: Reason, days: float
) -> None:
    address = f"https://127.0.0.1:{bed.server.tls[name]}/health"
    reading = await probe(address, ca_file=str(bed.authority.ca_file))
    assert verdict(reading) == ("failed", reason)
    assert fields(reading, "tls")["expires_in_seconds"] == pytest.approx(days * bed.day_s, abs=120)
    assert verdict(await probe(address, verify=False)) == ("ok", None)


async def test_a_short_certificate_is_good_and_says_what_is_left(bed: Bed) -> None:
    reading = await probe(f"https://127.0.0.1:{bed.server.tls['short']}/health", ca_file=str(bed.authority.ca_file))
    assert verdict(reading) == ("ok", None)
    assert fields(reading, "tls")["lifetime_left_ratio"] == pytest.approx(3 / 4, abs=0.01)


async def test_the_name_to_check_can_be_given(bed: Bed) -> None:
    address = f"https://127.0.0.1:{bed.server.tls['wrong_host']}/health"
    good = await probe(address, ca_file=str(bed.authority.ca_file), server_name="other.example", host="other.example")
    assert verdict(good) == ("ok", None)


async def test_plain_http_on_a_tls_port_is_a_handshake_failure(bed: Bed) -> None:
    reading = await probe(f"https://127.0.0.1:{bed.server.plain}/health")
    assert verdict(reading) == ("failed", Reason.TLS_HANDSHAKE)


async def test_ipv6(bed: Bed) -> None:
    assert verdict(await probe(f"http://[::1]:{bed.server.plain6}/health")) == ("ok", None)
    v4_only = await probe(f"http://[::1]:{bed.server.plain6}/health", ip_version=4)
    assert verdict(v4_only) == ("failed", Reason.DNS)


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("/down", {}, ("failed", Reason.BAD_STATUS)),
        ("/down", {"statuses": [503]}, ("ok", None)),
        ("/down", {"statuses": ["200-299", "5xx"]}, ("ok", None)),
        ("/empty", {}, ("ok", None)),
        ("/page", {"body_regex": "Patient record"}, ("ok", None)),
        ("/page", {"body_regex": "Laboratory"}, ("failed", Reason.BAD_BODY)),
        ("/page", {"body_not_regex": "Patient"}, ("failed", Reason.BAD_BODY)),
        ("/page", {"json_path": {"status": "ok"}}, ("failed", Reason.BAD_BODY)),
        ("/page", {"header_regex": {"Content-Type": "text/html"}}, ("ok", None)),
        ("/page", {"header_regex": {"content-type": "json"}}, ("failed", Reason.BAD_RESPONSE)),
        ("/page", {"header_regex": {"X-Absent": "."}}, ("failed", Reason.BAD_RESPONSE)),
        ("/health", {"json_path": {"status": "ok", "queue.0.depth": 3, "up": True}}, ("ok", None)),
        ("/health", {"json_path": {"queue.0.depth": 4}}, ("failed", Reason.BAD_BODY)),
        ("/health", {"json_path": {"queue.1.depth": 3}}, ("failed", Reason.BAD_BODY)),
        ("/health", {"method": "HEAD"}, ("ok", None)),
        ("/files/big.bin", {}, ("ok", None)),
        ("/files/big.bin", {"max_body_bytes": 299_999}, ("failed", Reason.TOO_LARGE)),
        ("/echo", {"method": "POST", "body": "x=1", "body_regex": "^POST "}, ("ok", None)),
        ("/echo", {"headers": {"X-Note": "drill"}, "body_regex": "drill$"}, ("ok", None)),
        ("/echo", {"host": "ehr.example", "body_regex": "^GET ehr.example "}, ("ok", None)),
        ("/moved", {}, ("ok", None)),
        ("/moved", {"follow_redirects": False}, ("failed", Reason.BAD_STATUS)),
        ("/moved", {"follow_redirects": False, "statuses": ["3xx"]}, ("ok", None)),
        ("/loop", {"max_redirects": 3}, ("failed", Reason.BAD_RESPONSE)),
    ],
)
async def test_every_option(bed: Bed, path: str, params: dict[str, Any], expected: tuple[str, Reason | None]) -> None:
    reading = await probe(bed.server.url(), path=path, **params)
    assert verdict(reading) == expected, reading


async def test_basic_authentication_from_a_file(bed: Bed, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")
    given = {"user": "monitor", "password_file": str(secret)}
    assert verdict(await probe(bed.server.url("/private/big.bin"), **given)) == ("ok", None)
    secret.write_text("wrong\n")
    reading = await probe(bed.server.url("/private/big.bin"), **given)
    assert verdict(reading) == ("failed", Reason.AUTH_FAILED)
    assert reading.detail == "401"
    missing = await probe(bed.server.url("/"), user="monitor", password_file=str(tmp_path / "absent"))
    assert verdict(missing) == ("unknown", Reason.BAD_PARAMS)


async def test_credentials_stay_at_home_on_a_redirect(bed: Bed, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("open sesame")
    other = f"http://localhost:{bed.server.plain}/echo"
    reading = await probe(
        bed.server.url(f"/away?to={other}"),
        user="monitor",
        password_file=str(secret),
        headers={"X-Note": "internal", "Cookie": "session=1"},
        body_regex=r"^GET localhost:\d+ \[\] $",
    )
    assert verdict(reading) == ("ok", None)
    assert fields(reading)["redirects"] == 1.0


async def test_queries_and_bodies_reach_neither_detail_nor_transcript(bed: Bed) -> None:
    clock = SystemClock()
    transcript = Transcript(clock)
    job = Job("t", "c", "http", bed.server.url("/moved?nhs=4857773456"), 30.0, 5.0, {"body_regex": "absent"})
    reading = await runner().run_once(job, transcript)
    assert verdict(reading) == ("failed", Reason.BAD_BODY)
    told = f"{reading} {transcript}"
    assert "4857773456" not in told
    assert "secret-in-query" not in told
    assert "depth" not in told
    assert "redirected to http://127.0.0.1" in told


async def test_the_transcript_has_offsets_and_every_step(bed: Bed) -> None:
    transcript = Transcript(SystemClock())
    job = Job("t", "c", "http", f"https://127.0.0.1:{bed.server.tls['good']}/health", 30.0, 5.0, {"verify": False})
    await runner().run_once(job, transcript)
    text = str(transcript)
    for step in ("GET https://", "resolved", "connected", "TLSv1.3", "status 200", "body of 47 bytes", "ok in"):
        assert step in text
    assert all(" ms  " in line and line.lstrip().startswith("+") for line in text.splitlines())


async def test_a_redirect_into_a_denied_network_is_refused(bed: Bed) -> None:
    safety = Safety(deny=("192.0.2.0/24",), rates=FAST)
    reading = await probe(bed.server.url("/away?to=http://192.0.2.9/"), safety=safety)
    assert verdict(reading) == ("unknown", Reason.NOT_ALLOWED)


async def test_a_redirect_into_a_medical_network_is_refused(bed: Bed) -> None:
    icmp_only = MedicalNetwork("198.51.100.0/24", (MedicalAllow("icmp", "engineering", "2026-11-01"),))
    safety = Safety(medical=(icmp_only,), rates=FAST)
    reading = await probe(bed.server.url("/away?to=http://198.51.100.9/"), safety=safety)
    assert verdict(reading) == ("unknown", Reason.NOT_ALLOWED)


async def test_a_redirect_to_another_scheme_is_a_bad_response(bed: Bed) -> None:
    reading = await probe(bed.server.url("/away?to=ftp://127.0.0.1/"))
    assert verdict(reading) == ("failed", Reason.BAD_RESPONSE)


OK = b"HTTP/1.1 200 OK\r\n"
#: What a server that speaks HTTP/2 alone says first (RFC 9113 section 3.4).
SETTINGS = bytes.fromhex("00000c04000000000000030000008000040000ffff")

FAULTS: list[tuple[str, Behaviour, Reason]] = [
    ("reset", wire_faults.reset, Reason.RESET),
    ("half close", wire_faults.half_close, Reason.CLOSED),
    ("close", says(b""), Reason.CLOSED),
    ("close in headers", says(OK + b"Content-Le"), Reason.CLOSED),
    ("close in body", says(OK + b"Content-Length: 100\r\n\r\nshort"), Reason.CLOSED),
    ("close in chunk", says(OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\nshort"), Reason.CLOSED),
    ("close between chunks", says(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"), Reason.CLOSED),
    ("garbage, open", says(b"\x00\xff\x12 garbage", then="hang"), Reason.BAD_RESPONSE),
    ("HTTP/2 alone", says(SETTINGS, then="hang"), Reason.BAD_RESPONSE),
    ("another protocol", says(b"SSH-2.0-OpenSSH_9.2\r\n", then="hang"), Reason.BAD_RESPONSE),
    ("no status", says(b"HTTP/1.1 OK\r\n\r\n"), Reason.BAD_RESPONSE),
    ("no colon", says(OK + b"nonsense\r\n\r\n"), Reason.BAD_RESPONSE),
    ("bad length", says(OK + b"Content-Length: -5\r\n\r\n"), Reason.BAD_RESPONSE),
    ("bad chunk", says(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), Reason.BAD_RESPONSE),
    ("endless headers", wire_faults.header_flood, Reason.BAD_RESPONSE),
    ("endless body", wire_faults.flood, Reason.TOO_LARGE),
    ("huge length", says(OK + b"Content-Length: 99999999999999999999\r\n\r\n"), Reason.TOO_LARGE),
    ("huge chunk", says(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", then="hang"), Reason.TOO_LARGE),
]


@pytest.mark.parametrize(("behaviour", "reason"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
async def test_bad_servers_have_an_exact_reason(behaviour: Behaviour, reason: Reason) -> None:
    async with serving(behaviour) as port:
        reading = await probe(f"http://127.0.0.1:{port}/")
    assert verdict(reading) == ("failed", reason), reading


@pytest.mark.parametrize(
    ("behaviour", "phase"), [(wire_faults.hang, "waiting for the answer"), (wire_faults.drip, "")], ids=["hang", "drip"]
)
async def test_slow_servers_time_out_with_their_phases(behaviour: Behaviour, phase: str) -> None:
    async with serving(behaviour) as port:
        reading = await probe(f"http://127.0.0.1:{port}/", timeout_s=0.6)
    assert verdict(reading) == ("failed", Reason.TIMEOUT)
    assert phase in reading.detail
    assert reading.took == pytest.approx(0.6, abs=0.2)
    assert "connect_seconds" in fields(reading)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5\r\n\r\nhello",
        OK + b"\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2;x=1\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\nServer: small\n\nhello",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello and more",
    ],
    ids=["length", "until close", "chunked", "bare line feeds", "interim", "no reason phrase"],
)
async def test_framings_that_are_legal_or_common(answer: bytes) -> None:
    async with serving(says(answer)) as port:
        reading = await probe(f"http://127.0.0.1:{port}/", body_regex="^hello$")
    assert verdict(reading) == ("ok", None), reading
    assert fields(reading)["body_bytes"] == 5.0


async def test_a_refused_connection(bed: Bed) -> None:
    reading = await probe(f"http://127.0.0.1:{free_port()}/")
    assert verdict(reading) == ("failed", Reason.REFUSED)
    assert reading.took < 1.0


async def test_a_name_that_does_not_exist() -> None:
    reading = await probe("http://no-such-host.invalid/", timeout_s=15.0)
    assert verdict(reading) in (("failed", Reason.DNS), ("unknown", Reason.NAME_SERVICE))


@pytest.mark.parametrize(
    ("address", "params"),
    [
        ("ftp://127.0.0.1/", {}),
        ("http://", {}),
        ("http://user:secret@127.0.0.1/", {}),
        ("http://127.0.0.1/a b", {}),
        ("http://127.0.0.1/", {"statuses": ["fine"]}),
        ("http://127.0.0.1/", {"body_regex": "("}),
        ("http://127.0.0.1/", {"headers": {"X": "a\r\nB: c"}}),
        ("http://127.0.0.1/", {"max_redirects": 21}),
    ],
)
async def test_bad_params_are_our_fault(address: str, params: dict[str, Any]) -> None:
    reading = await probe(address, **params)
    assert verdict(reading) == ("unknown", Reason.BAD_PARAMS)
    assert "secret" not in reading.detail


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_an_authority_file_that_is_none_is_our_fault(bed: Bed, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content)
    reading = await probe(f"https://127.0.0.1:{bed.server.tls['good']}/", ca_file=str(file))
    assert verdict(reading) == ("unknown", Reason.BAD_PARAMS)
    assert "ca.pem" in reading.detail


async def test_probes_leave_no_descriptors_behind(bed: Bed) -> None:
    subject = runner()
    job = Job("t", "c", "http", f"https://127.0.0.1:{bed.server.tls['good']}/health", 30.0, 5.0, {"verify": False})
    await subject.run_once(job)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(30):
        assert (await subject.run_once(job)).outcome is Outcome.OK
    assert len(os.listdir("/proc/self/fd")) <= before + 2


async def test_hundreds_of_hanging_servers_do_not_slow_a_good_one(bed: Bed) -> None:
    subject = runner()
    async with serving(wire_faults.hang) as port, asyncio.TaskGroup() as group:
        for n in range(300):
            group.create_task(subject.run_once(Job(f"h{n}", "c", "http", f"http://127.0.0.1:{port}/", 30.0, 3.0)))
        await asyncio.sleep(0.5)
        began = time.monotonic()
        reading = await subject.run_once(Job("good", "c", "http", bed.server.url("/health"), 30.0, 3.0))
        assert verdict(reading) == ("ok", None)
        assert time.monotonic() - began < 1.0


async def test_on_a_schedule_hanging_servers_leave_the_good_one_on_time(bed: Bed) -> None:
    clock, seen = SystemClock(), []
    subject = Runner(
        vantage="v",
        guard=Guard(Safety(rates=FAST), clock),
        clock=clock,
        probes=load_probe,
        on_reading=lambda reading: seen.append((reading.target, reading.started)),
    )
    good = Job("good", "c", "http", bed.server.url("/health"), 0.25, 2.0)
    async with serving(wire_faults.hang) as port:
        hanging = [Job(f"h{n}", "c", "http", f"http://127.0.0.1:{port}/", 2.0, 1.5) for n in range(200)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0):
                await subject.run([good, *hanging])
    starts = [started for target, started in seen if target == "good"]
    assert len(starts) >= 15
    assert max(after - before for before, after in itertools.pairwise(starts)) < 1.25
    assert len({target for target, _ in seen}) == 201
