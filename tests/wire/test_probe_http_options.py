"""The HTTP probe's further options: trust, client certificates, proxies, tokens, cookies, content codings, JSON."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemons.certs import Authority
from daemons.nginx import Nginx, nginx
from daemons.process import free_port
from daemons.tinyproxy import tinyproxy
from daemons.webapps import TokenService, serving_app
from daemons.wire_faults import hang, request, says, serving
from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.sample import Reading, Reason
from healthmon.probes import load_probe
from healthmon.probes.guard import Guard
from healthmon.probes.http import HttpProbe
from healthmon.probes.runner import Runner
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

DAY_S = 86400.0
FAST = Rates(per_target_hz=1000.0, per_subnet_hz=10_000.0, global_hz=10_000.0)
Verdict = tuple[str, Reason | None]


async def probe(
    address: str,
    *,
    kind: str = "http",
    timeout_s: float = 10.0,
    safety: Safety | None = None,
    instance: HttpProbe | None = None,
    **params: Any,
) -> Reading:
    clock = SystemClock()
    guard = Guard(safety or Safety(rates=FAST), clock)
    probes = (lambda name: instance) if instance is not None else load_probe
    runner = Runner(vantage="v", guard=guard, clock=clock, probes=probes, on_reading=print)  # type: ignore[arg-type]
    return await runner.run_once(Job("t", "c", kind, address, 30.0, timeout_s, params))


def fields(reading: Reading, family: str = "http") -> dict[str, Any]:
    return {sample.field: sample.value for sample in reading.samples if sample.family == family}


def verdict(reading: Reading) -> Verdict:
    return reading.outcome.value, reading.reason


@dataclass(frozen=True)
class Bed:
    folder: Path
    server: Nginx
    strict: Nginx
    ca: str
    client_cert: str
    client_key: str

    def https(self, name: str = "good", server: Nginx | None = None) -> str:
        return f"https://localhost:{(server or self.server).tls[name]}/health"


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("http-options")
    root = Authority(folder)
    between = Authority(folder, "healthmon test intermediate", above=root, ends_days=20.0)
    visitor = root.issue("visitor", names=("visitor.example",))
    certificates = {"good": root.issue("good"), "below": between.issue("below", ends_days=90.0)}
    strict = f"ssl_client_certificate {root.ca_file}; ssl_verify_client on; ssl_protocols TLSv1.2;"
    with ExitStack() as stack:
        first, second = folder / "first", folder / "second"
        first.mkdir()
        second.mkdir()
        yield Bed(
            folder,
            stack.enter_context(nginx(first, certificates)),
            stack.enter_context(nginx(second, certificates, tls_extra=strict)),
            str(root.ca_file),
            str(visitor.cert_file),
            str(visitor.key_file),
        )


# certificates


@pytest.mark.parametrize("kind", ["http", "tls"])
async def test_the_first_of_the_chain_to_end_counts(bed: Bed, kind: str) -> None:
    reading = await probe(bed.https("below"), kind=kind, ca_file=bed.ca)
    assert verdict(reading) == ("ok", None), reading
    found = fields(reading, "tls")
    assert found["certificates"] == 2.0
    assert found["expires_in_seconds"] == pytest.approx(20 * DAY_S, abs=120)  # the intermediate, not the leaf's 90
    assert found["lifetime_left_ratio"] == pytest.approx(20 / 21, abs=0.01)
    assert found["chain_expires_in_seconds"] == pytest.approx(20 * DAY_S, abs=120)
    assert "subject" not in found


@pytest.mark.parametrize("kind", ["http", "tls"])
async def test_details_name_the_certificate(bed: Bed, kind: str) -> None:
    reading = await probe(bed.https("below"), kind=kind, ca_file=bed.ca, details=True)
    found = fields(reading, "tls")
    assert found["subject"] == "CN=localhost"
    assert found["issuer"] == "CN=healthmon test intermediate"
    assert found["alternatives"] == "localhost"
    assert len(found["fingerprint_sha256"]) == 64
    assert found["cipher"].startswith("TLS_")


async def test_without_verification_there_is_no_believed_chain(bed: Bed) -> None:
    found = fields(await probe(bed.https("below"), verify=False), "tls")
    assert found["certificates"] == 2.0
    assert "chain_expires_in_seconds" not in found


@pytest.mark.parametrize("kind", ["http", "tls"])
async def test_a_client_certificate(bed: Bed, kind: str) -> None:
    mine = {"ca_file": bed.ca, "cert_file": bed.client_cert, "key_file": bed.client_key}
    good = await probe(bed.https(server=bed.strict), kind=kind, **mine)
    assert verdict(good) == ("ok", None), good
    if kind == "http":
        without = await probe(bed.https(server=bed.strict), ca_file=bed.ca)
        assert (verdict(without), without.detail) == (("failed", Reason.BAD_STATUS), "400")
    missing = await probe(bed.https(server=bed.strict), kind=kind, **{**mine, "cert_file": str(bed.folder / "absent")})
    assert verdict(missing) == ("unknown", Reason.BAD_PARAMS)


@pytest.mark.parametrize("kind", ["http", "tls"])
@pytest.mark.parametrize(
    ("strict", "params", "expected", "version"),
    [
        (False, {}, ("ok", None), "TLSv1.3"),
        (False, {"max_version": "1.2"}, ("ok", None), "TLSv1.2"),
        (False, {"min_version": "1.3"}, ("ok", None), "TLSv1.3"),
        (True, {"min_version": "1.3"}, ("failed", Reason.TLS_HANDSHAKE), None),
        (False, {"min_version": "1.0", "max_version": "1.1"}, ("failed", Reason.TLS_HANDSHAKE), None),
    ],
)
async def test_versions(
    bed: Bed, kind: str, strict: bool, params: dict[str, str], expected: Verdict, version: str | None
) -> None:
    mine = {"ca_file": bed.ca, "cert_file": bed.client_cert, "key_file": bed.client_key}
    reading = await probe(bed.https(server=bed.strict if strict else bed.server), kind=kind, **mine, **params)
    assert verdict(reading) == expected, reading
    assert fields(reading, "tls").get("version") == version


# what the answer must look like


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("/health", {"tls": "required"}, ("failed", Reason.BAD_RESPONSE)),
        ("/health", {"tls": "forbidden"}, ("ok", None)),
        ("/health", {"http_versions": ["1.1"]}, ("ok", None)),
        ("/health", {"http_versions": ["1.0", "2"]}, ("failed", Reason.BAD_RESPONSE)),
        ("/health", {"http_versions": ["HTTP/1.1", "HTTP/2.0"]}, ("ok", None)),
        ("/health", {"http_versions": ["HTTP/1.0"]}, ("failed", Reason.BAD_RESPONSE)),
        ("/health", {"http_versions": ["HTTP/2.0"]}, ("unknown", Reason.BAD_PARAMS)),
        ("/health", {"header_not_regex": {"Content-Type": "html"}}, ("ok", None)),
        ("/health", {"header_not_regex": {"content-type": "json"}}, ("failed", Reason.BAD_RESPONSE)),
        ("/health", {"header_regex": {"X-Absent": "x"}, "headers_may_miss": ["x-absent"]}, ("ok", None)),
        ("/page", {"body_regex": ["Patient", "record"]}, ("ok", None)),
        ("/page", {"body_regex": ["Patient", "absent"]}, ("failed", Reason.BAD_BODY)),
        ("/page", {"body_not_regex": ["absent", "record"]}, ("failed", Reason.BAD_BODY)),
        ("/health", {"json_path": {"queue[0].depth": 3, "$.up": True, "queue[*].depth": 3}}, ("ok", None)),
        ("/health", {"json_compare": {"queue[0].depth": "< 10", "len(queue)": ">= 1"}}, ("ok", None)),
        ("/health", {"json_compare": {"queue[0].depth": "< 3"}}, ("failed", Reason.BAD_BODY)),
        ("/health", {"json_compare": {"status": "~ ^o", "down": "absent", "up": "exists"}}, ("ok", None)),
        ("/health", {"json_compare": {"status": "!= ok"}}, ("failed", Reason.BAD_BODY)),
        ("/health", {"json_compare": {"status": "> 3"}}, ("failed", Reason.BAD_BODY)),
        ("/health", {"json_compare": {"down": "< 3"}}, ("failed", Reason.BAD_BODY)),
        ("/echo", {"method": "OPTIONS", "statuses": [200, 405]}, ("ok", None)),
    ],
)
async def test_expectations(bed: Bed, path: str, params: dict[str, Any], expected: Verdict) -> None:
    reading = await probe(bed.server.url(), path=path, **params)
    assert verdict(reading) == expected, reading


async def test_a_body_from_a_file(bed: Bed, tmp_path: Path) -> None:
    body = tmp_path / "body.xml"
    body.write_text("<ping/>")

    async def echo(reader: Any, writer: Any) -> None:
        head = await request(reader)
        assert b"Content-Length: 7" in head
        got = await reader.readexactly(7)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + got)

    async with serving(echo) as port:
        reading = await probe(f"http://127.0.0.1:{port}/", method="POST", body_file=str(body), body_regex="^<ping/>$")
    assert verdict(reading) == ("ok", None), reading


# content codings


def coded(coding: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


RAW = zlib.compressobj(wbits=-15)
CODED = [
    ("gzip", gzip.compress(b"hello"), ("ok", None)),
    ("x-gzip", gzip.compress(b"hel") + gzip.compress(b"lo"), ("ok", None)),
    ("deflate", zlib.compress(b"hello"), ("ok", None)),
    ("deflate", RAW.compress(b"hello") + RAW.flush(), ("ok", None)),
    ("identity", b"hello", ("ok", None)),
    ("gzip, gzip", gzip.compress(gzip.compress(b"hello")), ("ok", None)),
    ("gzip", b"hello", ("failed", Reason.BAD_RESPONSE)),
    ("gzip", gzip.compress(b"hello")[:-6], ("failed", Reason.BAD_RESPONSE)),
    ("br", b"\x0b\x02\x80hello\x03", ("failed", Reason.BAD_RESPONSE)),
    ("gzip", gzip.compress(b"0" * 50_000_000), ("failed", Reason.TOO_LARGE)),
    ("gzip, gzip", gzip.compress(gzip.compress(b"0" * 50_000_000)), ("failed", Reason.TOO_LARGE)),
]


@pytest.mark.parametrize(("coding", "body", "expected"), CODED, ids=[f"{n}-{c[0]}" for n, c in enumerate(CODED)])
async def test_content_codings_and_bombs(coding: str, body: bytes, expected: Verdict) -> None:
    async with serving(says(coded(coding, body))) as port:
        reading = await probe(f"http://127.0.0.1:{port}/", compression="gzip", body_regex="^hello$")
    assert verdict(reading) == expected, reading
    if expected[0] == "ok":
        assert fields(reading)["body_bytes"] == 5.0


async def test_a_coding_nobody_must_read_does_no_harm() -> None:
    async with serving(says(coded("br", b"\x0b\x02\x80hello\x03"))) as port:
        assert verdict(await probe(f"http://127.0.0.1:{port}/")) == ("ok", None)


# cookies


async def test_cookies_survive_redirects() -> None:
    """A login form behind single sign-on that sets a cookie, redirects, and loops for those who lose it."""

    async def sso(reader: Any, writer: Any) -> None:
        head = (await request(reader)).decode()
        if "a=1; b=2" in head or "b=2; a=1" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nin")
        else:
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n")
            writer.write(b"Set-Cookie: a=1; Path=/; Expires=Wed, 01 Jan 2099 00:00:00 GMT\r\nSet-Cookie: b=2\r\n\r\n")

    async with serving(sso) as port:
        reading = await probe(f"http://127.0.0.1:{port}/", body_regex="^in$")
        assert verdict(reading) == ("ok", None), reading
        assert fields(reading)["redirects"] == 1.0
        again = await probe(f"http://127.0.0.1:{port}/")
        assert fields(again)["redirects"] == 1.0  # forgotten between runs


async def test_cookies_stay_with_their_host() -> None:
    async def there(reader: Any, writer: Any) -> None:
        leaked = b"Cookie" in await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + (b"bad" if leaked else b"fin"))

    async with serving(there) as other:
        location = f"http://localhost:{other}/".encode()
        here = says(b"HTTP/1.1 302 Found\r\nSet-Cookie: sid=1\r\nLocation: " + location + b"\r\n\r\n")
        async with serving(here) as port:
            reading = await probe(f"http://127.0.0.1:{port}/", body_regex="fin")
    assert verdict(reading) == ("ok", None), reading


# proxies


@pytest.fixture(scope="module")
def forward(bed: Bed) -> Iterator[str]:
    with tinyproxy(bed.folder) as url:
        yield url


async def test_http_and_https_through_a_proxy(bed: Bed, forward: str) -> None:
    plain = await probe(bed.server.url("/health"), proxy=forward, json_path={"status": "ok"})
    assert verdict(plain) == ("ok", None), plain
    tunnel = await probe(bed.https(), proxy=forward, ca_file=bed.ca)
    assert verdict(tunnel) == ("ok", None), tunnel
    found = fields(tunnel)
    phases = [value for name, value in found.items() if name.endswith("_seconds") and name != "duration_seconds"]
    assert {"proxy_seconds", "tls_seconds"} <= set(found)
    assert sum(phases) == pytest.approx(found["duration_seconds"], rel=0.05)
    assert fields(tunnel, "tls")["expires_in_seconds"] > 0.0
    log = (bed.folder / "tinyproxy.log").read_text()
    assert f"CONNECT localhost:{bed.server.tls['good']}" in log
    assert f"GET http://127.0.0.1:{bed.server.plain}/health" in log


async def test_what_the_proxy_cannot_reach_is_the_targets_fault(bed: Bed, forward: str) -> None:
    reading = await probe(f"https://127.0.0.1:{free_port()}/", proxy=forward)
    assert verdict(reading) == ("failed", Reason.UNREACHABLE), reading


async def test_a_proxy_that_is_not_there_is_our_blindness(bed: Bed) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    for address in (bed.server.url("/health"), bed.https()):
        reading = await probe(address, proxy=dead)
        assert verdict(reading) == ("unknown", Reason.NO_ROUTE)
        assert reading.detail == "the proxy cannot be reached: connection refused"


async def test_a_proxy_that_hangs_is_a_timeout() -> None:
    async with serving(hang) as port:
        reading = await probe("https://127.0.0.1:9/", proxy=f"http://127.0.0.1:{port}", timeout_s=0.5)
    assert verdict(reading) == ("failed", Reason.TIMEOUT)
    assert "through the proxy" in reading.detail


async def test_a_proxy_that_wants_a_password(bed: Bed, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open\n")
    with tinyproxy(bed.folder, user="probe", password="open") as url:
        given = {"proxy": url, "proxy_user": "probe", "proxy_password_file": str(secret), "ca_file": bed.ca}
        assert verdict(await probe(bed.https(), **given)) == ("ok", None)
        assert verdict(await probe(bed.server.url("/health"), **given)) == ("ok", None)
        refused = await probe(bed.https(), proxy=url, ca_file=bed.ca)
    assert verdict(refused) == ("unknown", Reason.NO_PERMISSION)


async def test_a_proxy_that_does_not_let_us_through(bed: Bed) -> None:
    with tinyproxy(bed.folder, connect_ports=(1,)) as url:
        reading = await probe(bed.https(), proxy=url, ca_file=bed.ca)
    assert verdict(reading) == ("unknown", Reason.NO_PERMISSION)


@pytest.mark.parametrize("rule", ["localhost", "*", "127.0.0.0/8", ".localhost"])
async def test_no_proxy(bed: Bed, rule: str) -> None:
    address = bed.server.url("/health") if rule[0].isdigit() else f"http://localhost:{bed.server.plain}/health"
    reading = await probe(address, proxy=f"http://127.0.0.1:{free_port()}", no_proxy=[rule], ip_version=4)
    assert verdict(reading) == ("ok", None), reading


async def test_the_proxy_of_the_environment(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    address = bed.server.url("/health")
    assert verdict(await probe(address)) == ("ok", None)
    reading = await probe(address, proxy_from_environment=True)
    assert verdict(reading) == ("unknown", Reason.NO_ROUTE)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert verdict(await probe(address, proxy_from_environment=True)) == ("ok", None)
    assert "http_proxy" in os.environ


async def test_the_safety_block_holds_behind_a_proxy(forward: str) -> None:
    safety = Safety(deny=("192.0.2.0/24",), rates=FAST)
    for address in ("http://192.0.2.9/", "https://192.0.2.9/"):
        reading = await probe(address, proxy=forward, safety=safety)
        assert verdict(reading) == ("unknown", Reason.NOT_ALLOWED)


# tokens


def oauth(service: TokenService, url: str, tmp_path: Path, **more: Any) -> dict[str, Any]:
    secret = tmp_path / "client-secret"
    secret.write_text(service.secret + "\n")
    given = {"oauth_client_id": service.client, "oauth_client_secret_file": str(secret)}
    return {"oauth_token_url": f"{url}/token", **given, **more}


async def test_client_credentials_and_the_token_is_kept(tmp_path: Path) -> None:
    service, instance = TokenService(), HttpProbe()
    async with serving_app(service.app()) as url:
        given = oauth(service, url, tmp_path, oauth_scopes=["system/*.read"], oauth_params={"audience": "fhir"})
        readings = [await probe(f"{url}/api", instance=instance, **given) for _ in range(3)]
    assert [verdict(reading) for reading in readings] == [("ok", None)] * 3
    asked = {"grant_type": "client_credentials", "scope": "system/*.read", "audience": "fhir"}
    assert service.asked == [asked]
    assert ["token_seconds" in fields(reading) for reading in readings] == [True, False, False]
    assert service.secret not in str(readings)
    assert service.token not in str(readings)


async def test_client_credentials_in_the_form(tmp_path: Path) -> None:
    service = TokenService()
    async with serving_app(service.app()) as url:
        given = oauth(service, url, tmp_path, oauth_client_auth="form")
        assert verdict(await probe(f"{url}/api", instance=HttpProbe(), **given)) == ("ok", None)
    assert service.asked[0]["client_id"] == service.client


async def test_a_token_that_is_refused_is_not_used_again(tmp_path: Path) -> None:
    service, instance = TokenService(), HttpProbe()
    async with serving_app(service.app()) as url:
        given = oauth(service, url, tmp_path)
        assert verdict(await probe(f"{url}/api", instance=instance, **given)) == ("ok", None)
        service.token = "another"
        assert verdict(await probe(f"{url}/api", instance=instance, **given)) == ("failed", Reason.AUTH_FAILED)
        assert verdict(await probe(f"{url}/api", instance=instance, **given)) == ("ok", None)


@pytest.mark.parametrize("life_s", [0, 1])
async def test_short_lived_tokens_are_asked_for_again(tmp_path: Path, life_s: int) -> None:
    import asyncio

    service, instance = TokenService(life_s=life_s), HttpProbe()
    async with serving_app(service.app()) as url:
        given = oauth(service, url, tmp_path)
        await probe(f"{url}/api", instance=instance, **given)
        await asyncio.sleep(0.6 * life_s)
        await probe(f"{url}/api", instance=instance, **given)
    assert len(service.asked) == (2 if life_s else 1)  # 0 is "not said": kept for minutes


async def test_a_token_service_that_says_no(tmp_path: Path) -> None:
    service = TokenService()
    async with serving_app(service.app()) as url:
        given = oauth(service, url, tmp_path)
        service.secret = "changed"
        reading = await probe(f"{url}/api", instance=HttpProbe(), **given)
    assert verdict(reading) == ("failed", Reason.AUTH_FAILED)
    assert reading.detail == "the token service refused the client (401)"


async def test_a_token_service_that_is_dead_or_talks_nonsense(tmp_path: Path) -> None:
    service = TokenService()
    given = oauth(service, f"http://127.0.0.1:{free_port()}", tmp_path)
    dead = await probe("http://127.0.0.1:9/", instance=HttpProbe(), **given)
    assert (verdict(dead), dead.detail) == (("failed", Reason.REFUSED), "the token service: connection refused")
    for body in (b"[]", b"{}", b"nonsense", b'{"access_token": "a b"}', b'{"access_token": 5}'):
        length = str(len(body)).encode()
        async with serving(says(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + body)) as port:
            given["oauth_token_url"] = f"http://127.0.0.1:{port}/"
            reading = await probe("http://127.0.0.1:9/", instance=HttpProbe(), **given)
        assert verdict(reading) == ("failed", Reason.BAD_RESPONSE), body
    async with serving(hang) as port:
        given["oauth_token_url"] = f"http://127.0.0.1:{port}/"
        slow = await probe("http://127.0.0.1:9/", instance=HttpProbe(), timeout_s=0.5, **given)
    assert verdict(slow) == ("failed", Reason.TIMEOUT)
    assert slow.detail == "no answer in 0.5 s (asking the token service)"


async def test_a_bearer_from_a_file_stays_at_home_on_a_redirect(tmp_path: Path) -> None:
    service = TokenService()
    token = tmp_path / "token"
    token.write_text(f"{service.token}\n")
    async with serving_app(service.app()) as url:
        assert verdict(await probe(f"{url}/api", bearer_file=str(token))) == ("ok", None)
        away = url.replace("127.0.0.1", "localhost")
        reading = await probe(f"{url}/moved?to={away}/api", bearer_file=str(token))
    assert verdict(reading) == ("failed", Reason.AUTH_FAILED)
