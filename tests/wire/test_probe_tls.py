"""The TLS probe against a real nginx with good and bad certificates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from daemons import wire_faults
from daemons.certs import Authority, Issued
from daemons.nginx import Nginx, nginx
from daemons.process import free_port
from daemons.wire_faults import serving
from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.sample import Reading, Reason
from healthmon.probes import families, load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

DAY_S = 86400.0


@dataclass(frozen=True)
class Bed:
    server: Nginx
    authority: Authority
    certificates: dict[str, Issued]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("nginx-tls")
    authority = Authority(folder)
    certificates = {
        "good": authority.issue("good", ends_days=400.0),
        "tomorrow": authority.issue("tomorrow", ends_days=1.0),
        "expired": authority.issue("expired", starts_days=-90.0, ends_days=-3.0),
        "future": authority.issue("future", starts_days=2.0, ends_days=30.0),
        "wrong_host": authority.issue("wrong_host", names=("other.example",)),
        "self_signed": authority.issue("self_signed", self_signed=True),
    }
    with nginx(folder, certificates) as server:
        yield Bed(server, authority, certificates)


async def probe(address: str, *, timeout_s: float = 10.0, **params: Any) -> Reading:
    clock = SystemClock()
    guard = Guard(Safety(rates=Rates(1000.0, 10_000.0, 10_000.0)), clock)
    runner = Runner(vantage="v", guard=guard, clock=clock, probes=load_probe, on_reading=lambda reading: None)
    return await runner.run_once(Job("t", "c", "tls", address, 30.0, timeout_s, params))


def fields(reading: Reading) -> dict[str, Any]:
    return {sample.field: sample.value for sample in reading.samples}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("good", None),
        ("tomorrow", None),
        ("expired", Reason.CERT_EXPIRED),
        ("future", Reason.CERT_EXPIRED),
        ("wrong_host", Reason.CERT_WRONG_HOST),
        ("self_signed", Reason.CERT_UNTRUSTED),
    ],
)
async def test_every_certificate_tells_its_dates(bed: Bed, name: str, reason: Reason | None) -> None:
    reading = await probe(f"localhost:{bed.server.tls[name]}", ca_file=str(bed.authority.ca_file))
    assert reading.reason is reason
    found, issued = fields(reading), bed.certificates[name]
    assert found["expires_in_seconds"] == pytest.approx(issued.not_after - SystemClock().now(), abs=30)
    whole_s = issued.not_after - issued.not_before
    assert found["lifetime_left_ratio"] == pytest.approx(
        min(1.0, max(0.0, found["expires_in_seconds"] / whole_s)), abs=1e-6
    )
    assert found["version"] == "TLSv1.3"
    assert found["connect_seconds"] > 0.0
    declared = families()["tls"].fields
    assert set(found) <= declared


async def test_ipv6(bed: Bed) -> None:
    ca_file, port = str(bed.authority.ca_file), bed.server.tls["good"]
    assert (await probe(f"[::1]:{port}", ca_file=ca_file)).reason is None
    assert (await probe(f"[::1]:{port}", ca_file=ca_file, ip_version=6)).reason is None
    assert (await probe(f"[::1]:{bed.server.tls['wrong_host']}", ca_file=ca_file)).reason is Reason.CERT_WRONG_HOST
    assert (await probe(f"127.0.0.1:{port}", ca_file=ca_file, ip_version=6)).reason is Reason.DNS


async def test_without_verification_a_bad_certificate_is_only_measured(bed: Bed) -> None:
    reading = await probe(f"127.0.0.1:{bed.server.tls['expired']}", verify=False)
    assert reading.reason is None
    assert fields(reading)["expires_in_seconds"] < 0.0
    assert fields(reading)["verified"] is False


async def test_the_system_authorities_do_not_know_ours(bed: Bed) -> None:
    assert (await probe(f"127.0.0.1:{bed.server.tls['good']}")).reason is Reason.CERT_UNTRUSTED


async def test_an_old_protocol_is_refused_by_the_minimum_version(bed: Bed, tmp_path: Any) -> None:
    with nginx(tmp_path, {"good": bed.certificates["good"]}, tls_extra="ssl_protocols TLSv1.2;") as server:
        address = f"127.0.0.1:{server.tls['good']}"
        ca_file = str(bed.authority.ca_file)
        assert fields(await probe(address, ca_file=ca_file))["version"] == "TLSv1.2"
        assert (await probe(address, ca_file=ca_file, min_version="1.3")).reason is Reason.TLS_HANDSHAKE


async def test_a_client_certificate_is_shown_when_asked_for(bed: Bed, tmp_path: Any) -> None:
    mine = bed.authority.issue("client", names=("monitor.example",))
    extra = f"ssl_protocols TLSv1.2; ssl_client_certificate {bed.authority.ca_file}; ssl_verify_client on;"
    with nginx(tmp_path, {"good": bed.certificates["good"]}, tls_extra=extra) as server:
        address, trust = f"https://127.0.0.1:{server.tls['good']}/health", str(bed.authority.ca_file)
        params = {"ca_file": trust, "cert_file": str(mine.cert_file), "key_file": str(mine.key_file)}
        clock = SystemClock()
        runner = Runner(
            vantage="v",
            guard=Guard(Safety(), clock),
            clock=clock,
            probes=load_probe,
            on_reading=lambda reading: None,
        )
        with_one = await runner.run_once(Job("a", "c", "http", address, 30.0, 5.0, params))
        without = await runner.run_once(Job("b", "c", "http", address, 30.0, 5.0, {"ca_file": trust}))
    assert with_one.reason is None
    assert (without.reason, without.detail) == (Reason.BAD_STATUS, "400")


async def test_what_is_not_tls_or_not_there(bed: Bed) -> None:
    assert (await probe(f"127.0.0.1:{bed.server.plain}")).reason is Reason.TLS_HANDSHAKE
    assert (await probe(f"127.0.0.1:{free_port()}")).reason is Reason.REFUSED
    async with serving(wire_faults.hang) as port:
        reading = await probe(f"127.0.0.1:{port}", timeout_s=0.5)
    assert reading.reason is Reason.TIMEOUT
    assert "TLS handshake" in reading.detail
    async with serving(_hangs_up) as port:
        assert (await probe(f"127.0.0.1:{port}")).reason is Reason.TLS_HANDSHAKE


async def _hangs_up(reader: Any, writer: Any) -> None:
    await reader.read(1)
    await reader.read(65536)
