"""GET /probe beside blackbox_exporter: the same metrics for the same target, and a Prometheus that cannot tell."""

from __future__ import annotations

import asyncio
import threading
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from daemons.blackbox import ask, blackbox, prometheus, query, series
from daemons.certs import Authority
from daemons.healthmon import until
from daemons.nginx import Nginx, nginx
from daemons.process import free_port
from daemons.unbound import unbound
from daemons.webboard import Hospital, hospital_app
from healthmon.app.ondemand import OnDemand
from healthmon.config.loading import load_text
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

SITE = """
organisation: {{id: lab, name: Lab}}
targets:
  - {{id: web, kind: endpoint, address: "http://127.0.0.1:{plain}"}}
  - {{id: named, kind: endpoint, address: "https://localhost:{tls}"}}
  - {{id: six, kind: endpoint, address: "http://[::1]:{plain6}"}}
safety: {{medical: [{{cidr: 127.0.9.0/24, allow: [{{kind: http, approved_by: x, approved_on: 2026-11-01}}]}}]}}
probe_modules:
  blackbox: {theirs}
  networks: [127.0.9.0/24, 127.0.8.0/24]
  modules:
    http_2xx: {{kind: http, ca_file: {ca}}}
    http_regex: {{kind: http, body_regex: absent}}
    http_post_2xx: {{kind: http, method: POST}}
    tcp_tls: {{kind: tls, ca_file: {ca}}}
    tcp_banner: {{kind: tcp, expect: "^220 "}}
    slow: {{kind: tcp, send: "x", expect: never, timeout: 1s}}
"""
MODULES = """
modules:
  http_2xx: {{prober: http, http: {{preferred_ip_protocol: ip4, tls_config: {{ca_file: {ca}}}}}}}
  http_post_2xx: {{prober: http, http: {{method: POST, preferred_ip_protocol: ip4}}}}
  http_regex: {{prober: http, http: {{preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: [absent]}}}}
  tcp_connect: {{prober: tcp, tcp: {{preferred_ip_protocol: ip4}}}}
  tcp_tls: {{prober: tcp, tcp: {{tls: true, preferred_ip_protocol: ip4, tls_config: {{ca_file: {ca}}}}}}}
  icmp: {{prober: icmp}}
"""
#: One file for both, as it is: what a hospital that comes from blackbox_exporter has.
THEIR_FILE = """
modules:
  f_http: {{prober: http, timeout: 5s, http: {{preferred_ip_protocol: ip4, enable_http2: false,
    tls_config: {{ca_file: {ca}}}}}}}
  f_status: {{prober: http, http: {{preferred_ip_protocol: ip4, valid_status_codes: [503], follow_redirects: false}}}}
  f_body: {{prober: http, http: {{preferred_ip_protocol: ip4, fail_if_body_matches_regexp: ["ok"]}}}}
  f_header: {{prober: http, http: {{preferred_ip_protocol: ip4,
    fail_if_header_not_matches: [{{header: Content-Type, regexp: json}},
      {{header: X-None, regexp: a, allow_missing: true}}]}}}}
  f_header_missing: {{prober: http, http: {{preferred_ip_protocol: ip4,
    fail_if_header_matches: [{{header: X-None, regexp: a}}]}}}}
  f_auth: {{prober: http, http: {{preferred_ip_protocol: ip4, headers: {{Host: a.example}},
    basic_auth: {{username: monitor, password: open sesame}}}}}}
  f_plain: {{prober: http, http: {{preferred_ip_protocol: ip4, fail_if_not_ssl: true}}}}
  f_six: {{prober: http, http: {{preferred_ip_protocol: ip6, ip_protocol_fallback: false}}}}
  f_talk:
    prober: tcp
    timeout: 5s
    tcp:
      preferred_ip_protocol: ip4
      query_response:
        - {{send: "GET /echo HTTP/1.0\\r"}}
        - {{send: "\\r"}}
        - {{expect: "^HTTP/1.1 (200) "}}
        - {{expect: "^GET "}}
  f_talk_wrong:
    prober: tcp
    tcp: {{preferred_ip_protocol: ip4, query_response: [{{send: "GET / HTTP/1.0\\r\\n\\r"}}, {{expect: "^SSH-2.0-"}}]}}
  f_tls: {{prober: tcp, tcp: {{tls: true, preferred_ip_protocol: ip4, tls_config: {{ca_file: {ca}}}}}}}
  f_ping: {{prober: icmp, icmp: {{preferred_ip_protocol: ip4, ttl: 33, payload_size: 100}}}}
  f_name: {{prober: dns, dns: {{preferred_ip_protocol: ip4, query_name: ehr.st-elsewhere.example, query_type: A}}}}
  f_none: {{prober: dns, dns: {{preferred_ip_protocol: ip4, query_name: none.st-elsewhere.example, query_type: A,
    valid_rcodes: [NXDOMAIN], transport_protocol: tcp}}}}
  f_wrong_code: {{prober: dns, dns: {{preferred_ip_protocol: ip4, query_name: none.st-elsewhere.example,
    query_type: A}}}}
  f_grpc: {{prober: grpc, grpc: {{preferred_ip_protocol: ip4}}}}
"""
#: The documented job of blackbox_exporter, with nothing changed but the address.
JOB = """
  - job_name: blackbox-{name}
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs:
      - targets: ["http://127.0.0.1:{plain}/health", "https://localhost:{tls}/health", "http://127.0.0.1:{dead}/"]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "{address}"}}
"""


@dataclass
class Bed:
    server: Nginx
    ours: str
    theirs: str
    folder: Path
    names: int


@contextmanager
def in_a_thread(app: web.Application) -> Iterator[str]:
    """The application on its own loop, so that the test may block; gives its address."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)

    async def start() -> str:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"127.0.0.1:{runner.addresses[0][1]}"

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("blackbox")
    authority = Authority(folder)
    with nginx(
        folder, {"good": authority.issue("good"), "old": authority.issue("old", ends_days=-1.0, starts_days=-9)}
    ) as server:
        ports = {"plain": server.plain, "plain6": server.plain6, "tls": server.tls["good"], "ca": authority.ca_file}
        theirs_file = folder / "blackbox.yml"
        theirs_file.write_text(THEIR_FILE.format(ca=authority.ca_file))
        ports["theirs"] = theirs_file
        site = load_text(SITE.format(**ports), env={})
        prober = OnDemand(site, clock=SystemClock(), stop_file=folder / "stop")
        with (
            blackbox(folder, MODULES.format(ca=authority.ca_file) + their_modules(theirs_file)) as theirs,
            unbound(folder) as names,
            in_a_thread(hospital_app(Hospital(), prober=prober)) as ours,
        ):
            yield Bed(server, ours, theirs, folder, names)


def their_modules(file: Path) -> str:
    """The modules alone, to go into one file with others."""
    return file.read_text().partition("modules:\n")[2]


def timing(name: str) -> bool:
    return name.startswith(
        ("probe_duration", "probe_dns_lookup", "probe_dns_duration", "probe_http_duration", "probe_icmp_duration")
    )


@pytest.mark.parametrize(
    ("module", "where"),
    [
        ("http_2xx", "http://127.0.0.1:{plain}/health"),
        ("http_2xx", "http://127.0.0.1:{plain}/moved"),
        ("http_2xx", "http://127.0.0.1:{plain}/files/big.bin"),
        ("http_2xx", "127.0.0.1:{plain}/health"),
        ("http_2xx", "http://127.0.0.1:{plain}/down"),
        ("http_2xx", "http://127.0.0.1:{dead}/"),
        ("http_2xx", "https://localhost:{tls}/health"),
        ("http_2xx", "https://127.0.0.1:{old}/health"),
        ("http_regex", "http://127.0.0.1:{plain}/health"),
        ("http_post_2xx", "http://127.0.0.1:{plain}/echo"),
        ("tcp_connect", "127.0.0.1:{plain}"),
        ("tcp_connect", "127.0.0.1:{dead}"),
        ("tcp_tls", "localhost:{tls}"),
        ("icmp", "127.0.0.1"),
        ("f_http", "http://127.0.0.1:{plain}/moved"),
        ("f_http", "https://localhost:{tls}/health"),
        ("f_status", "http://127.0.0.1:{plain}/down"),
        ("f_body", "http://127.0.0.1:{plain}/health"),
        ("f_header", "http://127.0.0.1:{plain}/health"),
        ("f_header", "http://127.0.0.1:{plain}/page"),
        ("f_header_missing", "http://127.0.0.1:{plain}/health"),
        ("f_auth", "http://127.0.0.1:{plain}/private/big.bin"),
        ("f_plain", "http://127.0.0.1:{plain}/health"),
        ("f_six", "http://[::1]:{plain6}/health"),
        ("f_talk", "127.0.0.1:{plain}"),
        ("f_talk_wrong", "127.0.0.1:{plain}"),
        ("f_tls", "localhost:{tls}"),
        ("f_ping", "127.0.0.1"),
        ("f_name", "127.0.0.1:{names}"),
        ("f_none", "127.0.0.1:{names}"),
        ("f_wrong_code", "127.0.0.1:{names}"),
    ],
)
def test_the_same_metrics_for_the_same_target(bed: Bed, module: str, where: str) -> None:
    server = bed.server
    target = where.format(
        plain=server.plain,
        plain6=server.plain6,
        names=bed.names,
        tls=server.tls["good"],
        old=server.tls["old"],
        dead=free_port(),
    )
    theirs, ours = series(ask(bed.theirs, module, target)), series(ask(bed.ours, module, target))
    missing = {name for name in theirs if name not in ours}
    if where.startswith("https://127.0.0.1:{old}"):  # a refused certificate: we still tell its dates, they do not
        assert ours["probe_ssl_earliest_cert_expiry{}"] > 0.0
        ours["probe_http_ssl{}"] = theirs["probe_http_ssl{}"]
    else:
        assert set(ours) <= set(theirs)
    assert missing == set()
    same = {name: value for name, value in theirs.items() if not timing(name)}
    assert {name: ours[name] for name in same} == pytest.approx(same)
    assert all(0.0 <= ours[name] < 5.0 for name in ours if timing(name))


def test_help_and_types_are_the_same(bed: Bed) -> None:
    for module, target in (("http_2xx", f"https://localhost:{bed.server.tls['good']}/health"), ("icmp", "127.0.0.1")):
        lines = [
            {line for line in ask(address, module, target).splitlines() if line.startswith("#")}
            for address in (bed.theirs, bed.ours)
        ]
        assert lines[1] == lines[0]


def test_a_prometheus_job_written_for_blackbox_works_unchanged(bed: Bed) -> None:
    ports = {"plain": bed.server.plain, "tls": bed.server.tls["good"], "dead": free_port()}
    jobs = "".join(
        JOB.format(name=name, address=at, **ports) for name, at in (("ours", bed.ours), ("theirs", bed.theirs))
    )
    folder = bed.folder / "prometheus"
    folder.mkdir()
    with prometheus(folder, f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:{jobs}") as url:
        until(lambda: len(query(url, "probe_success")) == 6, timeout_s=30.0, what="six series of probe_success")
        assert all(row["value"][1] == "1" for row in query(url, "up"))
        differing = (
            'probe_success{job="blackbox-ours"} != on(instance) probe_success{job="blackbox-theirs"}',
            'probe_http_status_code{job="blackbox-ours"} != on(instance) probe_http_status_code{job="blackbox-theirs"}',
            'probe_ssl_earliest_cert_expiry{job="blackbox-ours"}'
            ' != on(instance) probe_ssl_earliest_cert_expiry{job="blackbox-theirs"}',
        )
        for expression in differing:
            assert query(url, expression) == []
        assert len(query(url, 'probe_ssl_last_chain_info{job="blackbox-ours"}')) == 1
        assert sorted(row["value"][1] for row in query(url, 'probe_success{job="blackbox-ours"}')) == ["0", "1", "1"]


def status(bed: Bed, module: str, target: str, **more: str) -> tuple[int, str]:
    try:
        return 200, ask(bed.ours, module, target, **more)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_an_unknown_module_is_a_bad_request_as_there(bed: Bed) -> None:
    code, body = status(bed, "nonsense", "127.0.0.1")
    assert code == 400
    assert "http_2xx" in body  # what is allowed


@pytest.mark.parametrize("target", ["http://127.0.0.2/", "http://192.0.2.1/", "http://[::ffff:127.0.0.2]/"])
def test_what_the_configuration_does_not_name_is_not_looked_at(bed: Bed, target: str) -> None:
    code, body = status(bed, "http_2xx", target)
    assert (code, "not_allowed" in body) == (403, True)


def test_a_redirect_out_of_what_is_allowed_is_refused(bed: Bed) -> None:
    code, body = status(bed, "http_2xx", f"http://127.0.0.1:{bed.server.plain}/away?to=http://127.0.0.2/")
    assert (code, "not_allowed" in body) == (403, True)


def test_a_named_network_is_open_and_a_medical_one_never(bed: Bed) -> None:
    assert "probe_success 0.0" in status(bed, "tcp_connect", f"127.0.8.1:{free_port()}")[1]
    code, body = status(bed, "http_2xx", f"http://127.0.9.1:{bed.server.plain}/")
    assert (code, "medical" in body) == (403, True)


def test_an_id_of_the_inventory_is_a_target_too(bed: Bed) -> None:
    assert "probe_success 1.0" in status(bed, "tcp_connect", "web")[1]
    assert "probe_ip_protocol 6.0" in status(bed, "tcp_connect", "six")[1]


def test_the_scrape_timeout_and_the_module_bound_a_look(bed: Bed) -> None:
    code, body = status(bed, "slow", f"127.0.0.1:{bed.server.plain}")
    found = series(body)
    assert (code, found["probe_success{}"]) == (200, 0.0)
    assert 0.0 < found["probe_duration_seconds{}"] < 2.0


def test_the_host_name_goes_into_the_request_and_the_handshake(bed: Bed) -> None:
    target = f"https://127.0.0.1:{bed.server.tls['good']}/echo"
    assert "probe_success 1.0" in status(bed, "http_2xx", target, hostname="localhost")[1]
    assert "probe_success 0.0" in status(bed, "http_2xx", target, hostname="other.example")[1]


def test_a_module_that_is_not_offered_says_why(bed: Bed) -> None:
    code, body = status(bed, "f_grpc", "127.0.0.1:1")
    assert (code, "prober grpc is not spoken here" in body) == (400, True)


def test_debug_gives_the_transcript(bed: Bed) -> None:
    _, body = status(bed, "http_2xx", f"http://127.0.0.1:{bed.server.plain}/health?nhs=4857773456", debug="true")
    assert "status 200" in body
    assert "probe_success 1.0" in body
    assert "4857773456" not in body


def test_the_stop_button_stops_it(bed: Bed) -> None:
    stop = bed.folder / "stop"
    stop.write_text("test\n")
    try:
        code, body = status(bed, "tcp_connect", "web")
    finally:
        stop.unlink()
    assert (code, "probing_stopped" in body) == (503, True)
