"""A module file of blackbox_exporter: each key in our words, or refused with the reason, or a line that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from healthmon.config.blackboxfile import Read, read_blackbox
from healthmon.config.loading import load_text
from healthmon.config.problems import Problems
from healthmon.model.errors import ConfigError


def read(folder: Path, text: str) -> Read:
    file, problems = folder / "blackbox.yml", Problems()
    file.write_text(text)
    found = read_blackbox(file, problems)
    assert problems.lines() == []
    return found


def module(folder: Path, body: str) -> dict[str, Any]:
    found = read(folder, f"modules:\n  m: {body}\n")
    assert found.refused == {}
    return dict(found.modules["m"].params)


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ("valid_status_codes: [401, 403]", {"statuses": [401, 403]}),
        ("valid_status_codes: []", {"statuses": ["2xx"]}),
        ("valid_http_versions: [HTTP/1.1, HTTP/2.0]", {"http_versions": ["HTTP/1.1", "HTTP/2.0"]}),
        ("method: POST, body: '{}'", {"method": "POST", "body": "{}"}),
        ("headers: {Host: a.example, X-A: 1}", {"host": "a.example", "headers": {"X-A": "1"}}),
        ("http_headers: {X-A: {values: [a, b]}}", {"headers": {"X-A": "b"}}),
        ("http_headers: {X-A: {secrets: [s]}}", {"headers": {"X-A": "s"}}),
        ("http_headers: {X-A: {files: [key.txt]}}", {"headers": {"X-A": "from-file"}}),
        ("body_size_limit: 10MB", {"max_body_bytes": 10 * 2**20}),
        ("body_size_limit: 0", {"max_body_bytes": 64 * 2**20}),
        ("compression: gzip", {"compression": "gzip"}),
        ("follow_redirects: false", {"follow_redirects": False}),
        ("fail_if_ssl: true", {"tls": "forbidden"}),
        ("fail_if_not_ssl: true", {"tls": "required"}),
        ("fail_if_body_matches_regexp: [a, b]", {"body_not_regex": ["a", "b"]}),
        ("fail_if_body_not_matches_regexp: [a]", {"body_regex": ["a"]}),
        (
            "fail_if_header_matches: [{header: X, regexp: a, allow_missing: true}, {header: X, regexp: b}]",
            {"header_not_regex": {"X": "(?:a)|(?:b)"}, "header_regex": {"X": ""}, "headers_may_miss": []},
        ),
        (
            "fail_if_header_not_matches: [{header: X, regexp: a, allow_missing: true}]",
            {"header_regex": {"X": "a"}, "headers_may_miss": ["X"]},
        ),
        ("tls_config: {insecure_skip_verify: true}", {"verify": False}),
        ("tls_config: {server_name: a.example, min_version: TLS10, max_version: TLS12}",
         {"server_name": "a.example", "min_version": "1.0", "max_version": "1.2"}),
        ("basic_auth: {username: u, password: p}", {"headers": {"Authorization": "Basic dTpw"}}),
        ("authorization: {credentials: t}", {"headers": {"Authorization": "Bearer t"}}),
        ("authorization: {type: Token, credentials_file: key.txt}", {"headers": {"Authorization": "Token from-file"}}),
        ("proxy_url: http://proxy.example:3128, no_proxy: 'a.example, b.example', skip_resolve_phase_with_proxy: true",
         {"proxy": "http://proxy.example:3128", "no_proxy": ["a.example", "b.example"], "proxy_resolves": True}),
        ("proxy_from_environment: true", {"proxy_from_environment": True}),
        ("proxy_url: http://p.example, proxy_connect_header: {X: [a]}", {"proxy_headers": {"X": "a"}}),
        ("enable_http2: true", {"method": "GET"}),
        ("enable_http2: false, enable_http3: false", {"method": "GET"}),
        ("preferred_ip_protocol: ip4, ip_protocol_fallback: false", {"ip_version": 4}),
    ],
    ids=str,
)  # fmt: skip
def test_http(tmp_path: Path, http: str, expected: dict[str, Any]) -> None:
    (tmp_path / "key.txt").write_text("from-file\n")
    params = module(tmp_path, f"{{prober: http, http: {{{http}}}}}")
    assert {name: params.get(name) for name in expected} == expected


def test_files_are_beside_the_module_file(tmp_path: Path) -> None:
    tls = "tls_config: {ca_file: ca.pem, cert_file: us.pem, key_file: /keys/us.key}"
    oauth = "oauth2: {client_id: c, client_secret_file: s.txt, token_url: 'https://i.example/t', scopes: [a], "
    oauth += "endpoint_params: {x: y}}"
    params = module(tmp_path, f"{{prober: http, http: {{{tls}, {oauth}, body_file: b.txt}}}}")
    assert params["ca_file"] == str(tmp_path / "ca.pem")
    assert params["key_file"] == "/keys/us.key"
    assert params["oauth_client_secret_file"] == str(tmp_path / "s.txt")
    assert (params["oauth_scopes"], params["oauth_params"]) == (["a"], {"x": "y"})
    basic = module(tmp_path, "{prober: http, http: {basic_auth: {username: u, password_file: p.txt}}}")
    assert (basic["user"], basic["password_file"]) == ("u", str(tmp_path / "p.txt"))
    bearer = module(tmp_path, "{prober: http, http: {bearer_token_file: t.txt}}")
    assert bearer["bearer_file"] == str(tmp_path / "t.txt")


def test_tcp_dns_icmp(tmp_path: Path) -> None:
    found = read(tmp_path, """\
modules:
  starttls:
    prober: tcp
    timeout: 3s
    tcp:
      query_response:
        - expect: "^220 ([^ ]+)"
          send: "EHLO ${1}"
        - {expect_bytes: S, starttls: true}
        - send: !!binary AAAACA==
  secured: {prober: tcp, tcp: {tls: true, tls_config: {insecure_skip_verify: true}}}
  name: {prober: dns, dns: {query_name: a.example, query_type: SOA, transport_protocol: tcp, recursion_desired: false,
         query_class: IN, valid_rcodes: [NXDOMAIN], preferred_ip_protocol: ip4}}
  any: {prober: dns, dns: {query_name: a.example}}
  hops: {prober: icmp, icmp: {ttl: 5, payload_size: 100}}
""")  # fmt: skip
    assert (found.refused, found.lines) == ({}, [])
    first, made = found.modules["starttls"], found.modules
    assert (first.kind, first.limit_s, first.prefer) == ("tcp", 3.0, 6)
    steps = [{name: value for name, value in step.items() if value} for step in first.params["steps"]]
    assert steps == [
        {"expect": "^220 ([^ ]+)", "send": "EHLO ${1}"},
        {"expect_bytes": "S", "starttls": True},
        {"send_hex": "00000008"},
    ]
    assert (made["secured"].kind, made["secured"].params) == ("tls", {"verify": False})
    assert made["name"].prefer == 4
    assert dict(made["name"].params) == {
        "name": "a.example", "type": "SOA", "transport": "tcp", "rcodes": ["NXDOMAIN"], "recursive": False,
        "min_answers": 0,
    }  # fmt: skip
    assert made["any"].params["type"] == "ANY"
    assert dict(made["hops"].params) == {"count": 1, "size_bytes": 100, "hop_limit": 5}


REFUSED = {
    "grpc": ("{prober: grpc, grpc: {service: x}}", "prober grpc is not spoken here"),
    "unix": ("{prober: unix}", "prober unix is not spoken here"),
    "websocket": ("{prober: websocket}", "prober websocket is not spoken here"),
    "http3": ("{prober: http, http: {enable_http3: true}}", "enable_http3: HTTP/3 is not spoken"),
    "brotli": ("{prober: http, http: {compression: br}}", "compression: br is not unpacked (gzip and deflate are)"),
    "cel": (
        "{prober: http, http: {fail_if_body_json_matches_cel: a}}",
        "fail_if_body_json_matches_cel: CEL is not spoken; write a check with json_path or json_compare",
    ),
    "secret": (
        "{prober: http, http: {oauth2: {client_secret: s}}}",
        "client_secret: write the secret into a file",
    ),
    "inline": (
        "{prober: http, http: {tls_config: {ca: x}}}",
        "ca: write it into a file and say ca_file",
    ),
    "labels": (
        "{prober: tcp, tcp: {query_response: [{expect: a, labels: [{name: b, value: c}]}]}}",
        "labels: what a server says is not kept",
    ),
    "source": (
        "{prober: icmp, icmp: {source_ip_address: 192.0.2.1}}",
        "source_ip_address: the system chooses the way out",
    ),
    "fragment": ("{prober: icmp, icmp: {dont_fragment: true}}", "dont_fragment: one socket serves all targets"),
    "dot": ("{prober: dns, dns: {query_name: a, dns_over_tls: true}}", "dns_over_tls: not spoken"),
    "class": ("{prober: dns, dns: {query_name: a, query_class: CH}}", "query_class: only IN is asked"),
    "rrs": (
        "{prober: dns, dns: {query_name: a, validate_answer_rrs: {fail_if_matches_regexp: [x]}}}",
        "validate_answer_rrs: write a check of kind dns with answers or answer_regex",
    ),
}


def test_what_is_not_done_is_named_and_stops_nothing(tmp_path: Path) -> None:
    lines = [f"  {name}: {body}" for name, (body, _) in REFUSED.items()]
    found = read(tmp_path, "\n".join(["modules:", "  good: {prober: icmp}", *lines]))
    assert list(found.modules) == ["good"]
    assert found.refused == {name: why for name, (_, why) in REFUSED.items()}
    grpc = f"{tmp_path}/blackbox.yml:3:18: module 'grpc' is not offered: prober grpc is not spoken here"
    assert found.lines[0] == grpc


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("{prober: http, http: {metod: GET}}", "2:28: modules.m.http.metod: unknown key, did you mean 'method'?"),
        ("{prober: telnet}", "2:15: modules.m.prober: 'telnet' is no prober (allowed: dns, http, icmp, tcp)"),
        ("{prober: http, http: {method: DELETE}}", "2:6: modules.m: method: DELETE (allowed: GET, HEAD, POST, OPTIONS"),
        ("{prober: http, timeout: soon}", "2:30: modules.m.timeout: "),
        ("{prober: http, http: {fail_if_ssl: 3}}", "2:41: modules.m.http.fail_if_ssl: 3 is of another type than there"),
        ("{prober: icmp, icmp: {preferred_ip_protocol: ip5}}", "2:51: modules.m.icmp.preferred_ip_protocol"),
        ("{prober: http, http: {tls_config: {min_version: SSL3}}}", "2:54: modules.m.http.tls_config.min_version"),
    ],
)  # fmt: skip
def test_mistakes_have_a_place(tmp_path: Path, body: str, line: str) -> None:
    (tmp_path / "blackbox.yml").write_text(f"modules:\n  m: {body}\n")
    site = tmp_path / "healthmon.yaml"
    text = "organisation: {id: a, name: A}\nprobe_modules: {blackbox: blackbox.yml}\n"
    with pytest.raises(ConfigError) as caught:
        load_text(text, name=str(site), env={})
    assert str(caught.value).startswith(f"{tmp_path}/blackbox.yml:{line}")


def test_in_a_site_with_modules_of_its_own_over_it(tmp_path: Path) -> None:
    (tmp_path / "blackbox.yml").write_text(
        "modules: {icmp: {prober: icmp, icmp: {ttl: 9}}, g: {prober: grpc}, x: {prober: unix}}"
    )
    text = "organisation: {id: a, name: A}\nprobe_modules: {blackbox: blackbox.yml, modules: {x: {kind: icmp}}}\n"
    site = load_text(text, name=str(tmp_path / "healthmon.yaml"), env={})
    assert site.probe_modules.modules["icmp"].params["hop_limit"] == 9
    assert "http_2xx" in site.probe_modules.modules  # the stock stays
    assert dict(site.probe_modules.refused) == {"g": "prober grpc is not spoken here"}
    assert any("module 'g' is not offered" in warning for warning in site.warnings)
    assert tmp_path / "blackbox.yml" in site.files


def test_a_file_that_is_not_there_or_is_something_else(tmp_path: Path) -> None:
    text = "organisation: {id: a, name: A}\nprobe_modules: {blackbox: other.yml}\n"
    with pytest.raises(ConfigError, match=r"2:27: probe_modules.blackbox: 'other.yml' cannot be read: No such file"):
        load_text(text, name=str(tmp_path / "healthmon.yaml"), env={})
    (tmp_path / "other.yml").write_text("a: 1\n")
    with pytest.raises(ConfigError, match=r"other.yml:1:1: no modules: this is no module file of blackbox_exporter"):
        load_text(text, name=str(tmp_path / "healthmon.yaml"), env={})
