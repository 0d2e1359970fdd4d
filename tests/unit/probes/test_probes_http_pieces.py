"""JSON paths and comparisons, cookies, proxy exceptions, packs and parameters: no sockets."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.model.sample import Reason
from healthmon.probes.address import parse_url
from healthmon.probes.http import Params
from healthmon.probes.http_cookies import Jar
from healthmon.probes.http_decode import decoded
from healthmon.probes.http_json import decode, find, judge_json, parse_comparison, parse_path
from healthmon.probes.http_pack import lint_pack
from healthmon.probes.http_proxy import proxy_for
from healthmon.probes.reasons import Finding

DOCUMENT = {"a": {"b.c": [1, {"d": "x"}], "n": None}, "list": [{"v": 1}, {"v": 2}], "0": "zero", "t": True}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a['b.c'][1].d", ["x"]),
        ('a["b.c"][0]', [1]),
        ("$.list[-1].v", [2]),
        ("list.1.v", [2]),
        ("list[*].v", [1, 2]),
        ("a[*][0]", [1]),
        ("len(list)", [2]),
        ("len(a['b.c'][1].d)", [1]),
        ("len(t)", []),
        ("0", ["zero"]),
        ("list[2]", []),
        ("list[-3]", []),
        ("a.n", [None]),
        ("a.n.x", []),
        ("$", [DOCUMENT]),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    assert find(DOCUMENT, parse_path(path)) == found


@pytest.mark.parametrize("path", ["a[", "a[x]", "a]", "a['b]", "len(a[)"])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(ValueError, match="json path"):
        parse_path(path)


@pytest.mark.parametrize(
    ("path", "comparison", "good"),
    [
        ("list[0].v", "== 1", True),
        ("list[0].v", "== 1.0", True),
        ("t", "== 1", False),
        ("t", "== true", True),
        ("a['b.c'][1].d", "== x", True),
        ("a['b.c'][1].d", '== "x"', True),
        ("list[*].v", "== 2", True),
        ("list[*].v", "!= 2", False),
        ("list[*].v", "> 1", True),
        ("list[*].v", ">= 3", False),
        ("a['b.c'][1].d", "< y", True),
        ("a['b.c'][1].d", "< 3", False),
        ("a['b.c'][1].d", "!~ ^y", True),
        ("a.n", "== null", True),
        ("a.n", "exists", True),
        ("a.x", "absent", True),
        ("a.x", "!= 1", False),
    ],
)
def test_comparisons(path: str, comparison: str, good: bool) -> None:
    fault = judge_json(msgspec.json.encode(DOCUMENT), {}, {path: comparison})
    assert (fault is None) == good
    assert fault is None or fault.reason is Reason.BAD_BODY


@pytest.mark.parametrize("text", ["", "3", "= 3", "<", "~ (", "< [1]", "< null", "exist"])
def test_comparisons_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a comparison|unterminated"):
        parse_comparison(text)


@given(st.binary(max_size=200))
def test_any_body_is_judged_without_a_crash(body: bytes) -> None:
    fault = judge_json(body, {"a[*].b": 1}, {"len(a)": "> 1"})
    assert fault is None or fault.reason is Reason.BAD_BODY


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "gzip, deflate", "br", "x", ", ,"]))
def test_any_coded_body_is_undone_or_refused_within_its_cap(body: bytes, coding: str) -> None:
    assert undone(coding, body, 400) in (*range(401), Reason.BAD_RESPONSE, Reason.TOO_LARGE)


def undone(coding: str, body: bytes, most_bytes: int) -> int | Reason:
    try:
        return len(decoded(coding, body, most_bytes))
    except Finding as finding:
        return finding.fault.reason


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    tracemalloc.start()
    try:
        assert undone("gzip", bomb, 10_000) is Reason.TOO_LARGE
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_deep_json_is_no_crash() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        decode(b"[" * 100_000)


# cookies


def sent(jar: Jar, url: str) -> str:
    return jar.header(parse_url(url))


def test_cookies_by_host_path_and_scheme() -> None:
    jar = Jar()
    home = parse_url("https://app.ehr.example/a/login")
    jar.take(home, ["one=1", "two=2; Path=/", "wide=3; Domain=ehr.example; Path=/", "safe=4; Secure; Path=/"])
    assert sent(jar, "https://app.ehr.example/a/page") == "one=1; two=2; wide=3; safe=4"
    assert sent(jar, "https://app.ehr.example/ab") == "two=2; wide=3; safe=4"
    assert sent(jar, "http://app.ehr.example/") == "two=2; wide=3"
    assert sent(jar, "https://other.ehr.example/") == "wide=3"
    assert sent(jar, "https://badehr.example/") == ""


@pytest.mark.parametrize(
    "line",
    [
        "x=1; Domain=other.example",
        "x=1; Domain=example",
        "x=1; Domain=com",
        "no sign",
        "=1",
        "x=1\x01",
        "x=" + "y" * 5000,
    ],
)
def test_cookies_that_are_not_taken(line: str) -> None:
    jar = Jar()
    jar.take(parse_url("http://ehr.example/"), [line])
    assert sent(jar, "http://ehr.example/") == ""


def test_no_cookie_for_a_whole_network_of_addresses() -> None:
    jar = Jar()
    jar.take(parse_url("http://192.0.2.7/"), ["x=1; Domain=2.7"])
    assert sent(jar, "http://192.0.2.7/") == ""


@pytest.mark.parametrize("end", ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
def test_cookies_end_and_are_replaced(end: str) -> None:
    jar, url = Jar(), parse_url("http://ehr.example/")
    jar.take(url, ["x=1", "x=2"])
    assert sent(jar, "http://ehr.example/") == "x=2"
    jar.take(url, [f"x=; {end}"])
    assert sent(jar, "http://ehr.example/") == ""


def test_a_jar_does_not_overflow() -> None:
    jar = Jar()
    jar.take(parse_url("http://ehr.example/"), [f"c{n}=1" for n in range(1000)])
    assert sent(jar, "http://ehr.example/").count("=") == 50


@given(st.text(max_size=80))
def test_any_cookie_line_is_taken_or_left(line: str) -> None:
    jar = Jar()
    jar.take(parse_url("http://ehr.example/"), [line])
    assert "\n" not in sent(jar, "http://ehr.example/")


# proxies


@pytest.mark.parametrize(
    ("rule", "host", "spared"),
    [
        ("ehr.example", "ehr.example", True),
        ("ehr.example", "www.ehr.example", True),
        (".ehr.example", "www.ehr.example", True),
        ("ehr.example", "badehr.example", False),
        ("192.0.2.0/24", "192.0.2.9", True),
        ("192.0.2.0/24", "198.51.100.1", False),
        ("2001:db8::/32", "[2001:db8::1]", True),
        ("*", "anything.example", True),
        ("", "anything.example", False),
    ],
)
def test_who_is_spared_the_proxy(rule: str, host: str, spared: bool) -> None:
    params = Params(proxy="http://proxy.example:3128", no_proxy=(rule,))
    assert (proxy_for(params, parse_url(f"http://{host}/")) is None) == spared


# parameters and packs


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"method": "PUT"}, "checks write nothing"),
        ({"method": "DELETE"}, "checks write nothing"),
        ({"tls": "maybe"}, "tls"),
        ({"min_version": "1.3", "max_version": "1.2"}, "max_version"),
        ({"compression": "br"}, "compression"),
        ({"body": "x", "body_file": "y"}, "not both"),
        ({"bearer_file": "x", "user": "u", "password_file": "p"}, "only one of"),
        ({"oauth_token_url": "https://idp.example/token"}, "go together"),
        ({"proxy": "socks5://proxy.example"}, "proxy"),
        ({"proxy": "http://user:secret@proxy.example"}, "without credentials"),
        ({"proxy_user": "u"}, "go together"),
        ({"json_compare": {"a": "3"}}, "not a comparison"),
        ({"json_path": {"a[": 1}}, "json path"),
        ({"body_regex": ["ok", "("]}, "body_regex"),
        ({"proxy_headers": {"X": "a\r\nb"}}, "headers"),
    ],
)
def test_params_name_what_is_wrong(params: dict[str, Any], word: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=word):
        msgspec.convert(params, Params)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"path": "/"}, "description"),
        ({"description": "A page.", "method": "POST"}, "does not belong in a pack"),
        ({"description": "A page.", "method": "PUT"}, "write nothing"),
        ({"description": "A page.", "paths": "/"}, "paths: unknown key"),
        ({"description": "A page.", "proxy": "http://proxy.example"}, "packs know no addresses"),
    ],
)
def test_packs_that_are_refused(data: dict[str, Any], word: str) -> None:
    assert any(word in line for line in lint_pack(data))
