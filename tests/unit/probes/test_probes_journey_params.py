"""Journeys as data: what a pack may not say, what a site must, and how values find their places."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from healthmon.probes.journey import Params
from healthmon.probes.journey_forms import field_of, form_for, forms_of
from healthmon.probes.journey_logins import Logins
from healthmon.probes.journey_pack import lint_pack
from healthmon.probes.journey_step import filled, pattern_of

STEP = {"name": "one", "path": "/"}


def pack(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"description": "A walk.", "steps": list(steps), **more}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "MERGE"])
@pytest.mark.parametrize("login", [False, True])
@pytest.mark.parametrize("where", ["steps", "cleanup"])
def test_packs_that_write_are_refused(method: str, login: bool, where: str) -> None:
    writing = {"name": "two", "path": "/x", "method": method, "login": login}
    steps = {"steps": [STEP], "cleanup": []}
    steps[where] = [*steps[where], writing]
    found = lint_pack({"description": "A walk.", **steps})
    assert any(f"{where}[" in line and "journeys write nothing" in line for line in found), found
    with pytest.raises(msgspec.ValidationError, match="write nothing"):
        msgspec.convert(steps, Params)


def test_post_only_to_log_in_or_out() -> None:
    assert any("login: true" in line for line in lint_pack(pack({"name": "a", "path": "/", "method": "POST"})))
    assert lint_pack(pack({"name": "a", "path": "/", "method": "POST", "login": True})) == []


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (pack(), "steps"),
        (pack(STEP, STEP), "name of its own"),
        (pack({"name": "A b", "path": "/"}), "steps[0]: name"),
        (pack({"name": "a"}), "path: is missing"),
        (pack({"name": "a", "path": "/{unknown}"}), "{unknown} is neither given"),
        (pack({"name": "a", "path": "/", "body_regex": "{later}"}), "{later} is neither given"),
        (pack({"name": "a", "path": "/", "extract": {"x": {"json": "a", "field": "b"}}}), "extract"),
        (pack({"name": "a", "path": "/", "extract": {"x": {"regex": "("}}}), "regex"),
        (pack({"name": "a", "path": "/", "body_regex": "["}), "body_regex"),
        (pack({"name": "a", "path": "https://ehr.example/"}), "packs know no addresses"),
        (pack({"name": "a", "path": "/", "surprise": 1}), "steps[0].surprise: unknown key"),
        (pack(STEP, user="x"), "user: belongs in the site's"),
        ({"steps": [STEP]}, "description: is missing"),
        (pack(STEP, max_login_failures=0), "max_login_failures"),
        (pack(STEP, login_retry_s=1), "login_retry"),
    ],
)
def test_what_else_a_pack_may_not_be(data: dict[str, Any], word: str) -> None:
    assert any(word in line for line in lint_pack(data)), lint_pack(data)


def test_a_site_must_give_what_the_pack_needs() -> None:
    data = {"steps": [{"name": "a", "path": "/{patient}"}], "needs": ["patient", "user"]}
    assert lint_pack({"description": "A walk.", **data}) == []
    with pytest.raises(msgspec.ValidationError, match="patient, user missing"):
        msgspec.convert(data, Params)
    given = {**data, "values": {"patient": "zz"}, "user": "u", "password_file": "p"}
    assert msgspec.convert(given, Params).values == {"patient": "zz"}


def test_a_pattern_that_a_site_gives_must_be_one() -> None:
    steps = [{"name": "a", "path": "/", "body_regex": "{text}"}]
    with pytest.raises(msgspec.ValidationError, match="values: text"):
        msgspec.convert({"steps": steps, "defaults": {"text": "."}, "values": {"text": "("}}, Params)


def test_values_cannot_lead_elsewhere() -> None:
    values = {"id": "../admin?x=1#", "word": "a.b(c"}
    assert filled("/Patient/{id}", values, quoted=True) == "/Patient/..%2Fadmin%3Fx%3D1%23"
    assert pattern_of("^{word}$", values) == r"^a\.b\(c$"
    assert pattern_of("{word}", values) == "a.b(c"
    assert pattern_of("x{2}", values) == "x{2}"


PAGE = """
<form action="/search"><input name=q></form>
<form action='login?x=1&amp;y=2' method=post><input type=hidden name=csrf value="a&quot;b">
<INPUT TYPE=HIDDEN NAME=empty><input name=user><input type=password name=pass></form>
<input type="hidden" name="loose" value="l"><meta name="csrf-token" content="m"><form><input name="open"
"""


def test_forms_of_a_page() -> None:
    form = form_for(PAGE, {"user": "", "pass": ""})
    assert form is not None
    assert form.action == "login?x=1&y=2"
    assert form.unseen() == {"csrf": 'a"b', "empty": ""}
    first = form_for(PAGE, {"nothing": ""})
    assert first is not None
    assert first.action == "/search"
    assert form_for("no form", {"a": ""}) is None
    assert [field_of(PAGE, name) for name in ("csrf", "loose", "csrf-token", "absent")] == ['a"b', "l", "m", None]


def test_pages_without_end_are_bounded() -> None:
    assert len(forms_of("<form>" * 10_000)) == 50
    form = form_for("<form>" + "".join(f"<input name=n{n}>" for n in range(10_000)), ())
    assert form is not None
    assert len(form.fields) == 500


def test_accounts_rest_after_refusals_and_are_forgiven() -> None:
    logins, key = Logins(), ("ehr", "login")
    logins.refused(key, now=0.0, most=2, rest_s=1800.0)
    assert logins.rest_s(key, 1.0) == 0.0
    logins.refused(key, now=1.0, most=2, rest_s=1800.0)
    assert logins.rest_s(key, 101.0) == 1700.0
    assert logins.rest_s(("ehr", "other"), 101.0) == 0.0
    logins.refused(key, now=1801.0, most=2, rest_s=1800.0)  # one try after the rest, and it rests again
    assert logins.rest_s(key, 1802.0) == 1799.0
    logins.accepted(key)
    assert logins.rest_s(key, 1802.0) == 0.0
