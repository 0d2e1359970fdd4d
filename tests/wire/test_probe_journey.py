"""Journeys against web applications of our own: a record system, an identity provider, a FHIR server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daemons.certs import Authority, Issued
from daemons.webapps import PASSWORD, USER, Application, Fhir, Provider, Records, TokenService, serving_app
from healthmon.config import job_for
from healthmon.model.plan import Job, Rates, Safety
from healthmon.model.sample import Reading, Reason
from healthmon.probes.guard import Guard
from healthmon.probes.journey import JourneyProbe
from healthmon.probes.runner import Runner
from healthmon.probes.transcript import Transcript
from healthmon.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

FAST = Rates(per_target_hz=1000.0, per_subnet_hz=10_000.0, global_hz=10_000.0)


class Walker:
    """One journey probe with its memory of logins, behind a real guard and runner."""

    def __init__(self, safety: Safety | None = None) -> None:
        self.clock = SystemClock()
        self.probe = JourneyProbe()
        self.guard = Guard(safety or Safety(rates=FAST), self.clock)
        self.runner = Runner(
            vantage="v", guard=self.guard, clock=self.clock, probes=lambda kind: self.probe, on_reading=print
        )
        self.transcript = Transcript(self.clock)

    async def walk(self, pack: str, address: str, *, timeout_s: float = 10.0, **params: Any) -> Reading:
        typed = {key: value if isinstance(value, str) else flow(value) for key, value in params.items()}
        job = job_for("journey", target="t", address=address, params={"pack": pack, **typed})
        return await self.run(Job("t", "c", "journey", address, 60.0, timeout_s, job.params))

    async def run(self, job: Job) -> Reading:
        return await self.runner.run_once(job, self.transcript)


def flow(value: Any) -> str:
    """YAML on one line."""
    import json

    return json.dumps(value)


def verdict(reading: Reading) -> tuple[str, Reason | None]:
    return reading.outcome.value, reading.reason


def steps(reading: Reading) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for sample in reading.samples:
        found.setdefault(sample.labels.get("step", ""), {})[sample.field] = sample.value
    return found


@pytest.fixture
def account(tmp_path: Path) -> Mapping[str, str]:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    return {"user": USER, "password_file": str(secret)}


@pytest.fixture
def stranger(tmp_path: Path) -> Mapping[str, str]:
    secret = tmp_path / "wrong"
    secret.write_text("wrong")
    return {"user": USER, "password_file": str(secret)}


async def test_login_search_open_logout(account: Mapping[str, str]) -> None:
    records, walker = Records(), Walker()
    async with serving_app(records.app()) as url:
        reading = await walker.walk("form-login", url, **account)
    assert verdict(reading) == ("ok", None), reading
    found = steps(reading)
    assert list(found) == ["", "login-page", "login", "search", "open", "logout"]
    assert found[""]["steps"] == found[""]["steps_passed"] == 4.0
    each = [found[name]["duration_seconds"] for name in list(found)[1:]]
    assert sum(each) == pytest.approx(found[""]["duration_seconds"], rel=0.01)
    assert found["login"]["redirects"] == 1.0
    assert found["search"]["status_code"] == 200.0
    assert records.logins == 1
    assert records.sessions == set()  # given back
    assert {method for method, path in records.requests if path != "/session"} == {"GET"}


async def test_ipv6(account: Mapping[str, str]) -> None:
    records, walker = Records(), Walker()
    async with serving_app(records.app(), "::1") as url:
        reading = await walker.walk("form-login", url, **account)
    assert verdict(reading) == ("ok", None), reading
    assert (records.logins, records.sessions) == (1, set())  # cookies and redirects know the address


async def test_a_failing_step_is_named_and_the_session_is_given_back(account: Mapping[str, str]) -> None:
    records, walker = Records(break_at="/search"), Walker()
    async with serving_app(records.app()) as url:
        reading = await walker.walk("form-login", url, **account)
    assert verdict(reading) == ("failed", Reason.BAD_STATUS)
    assert reading.detail == "step search (3 of 4): 503"
    assert steps(reading)[""]["failed_step"] == "search"
    assert steps(reading)[""]["steps_passed"] == 2.0
    assert records.requests[-1] == ("GET", "/logout")
    assert records.sessions == set()


@pytest.mark.parametrize("timeout_s", [1.0])
async def test_a_step_that_hangs_leaves_time_to_log_out(account: Mapping[str, str], timeout_s: float) -> None:
    async def hang() -> None:
        await asyncio.sleep(30)

    records, walker = Records(break_at="/record", how=hang), Walker()
    async with serving_app(records.app()) as url:
        reading = await walker.walk("form-login", url, timeout_s=timeout_s, **account)
    assert verdict(reading) == ("failed", Reason.TIMEOUT)
    assert reading.detail.startswith("step open (4 of 4): no answer in 1 s (waiting")
    assert records.sessions == set()
    assert reading.took < timeout_s + 0.25


async def test_a_cancelled_walk_logs_out(account: Mapping[str, str]) -> None:
    reached = asyncio.Event()

    async def hang() -> None:
        reached.set()
        await asyncio.sleep(30)

    records, walker = Records(break_at="/record", how=hang), Walker()
    async with serving_app(records.app()) as url:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(walker.walk("form-login", url, **account))
            await reached.wait()
            task.cancel()
        assert task.cancelled()
        assert records.sessions == set()


async def test_a_clean_up_that_fails_is_told(account: Mapping[str, str]) -> None:
    records, walker = Records(break_at="/logout"), Walker()
    async with serving_app(records.app()) as url:
        reading = await walker.walk("form-login", url, **account)
    assert verdict(reading) == ("failed", Reason.BAD_STATUS)
    assert reading.detail == "clean-up logout: 503"


async def test_a_refused_login_is_tried_twice_and_then_rests(stranger: Mapping[str, str]) -> None:
    records, walker = Records(), Walker()
    async with serving_app(records.app()) as url:
        readings = [await walker.walk("form-login", url, **stranger) for _ in range(6)]
    assert {verdict(reading) for reading in readings} == {("failed", Reason.AUTH_FAILED)}
    assert readings[0].detail.startswith("step login (2 of 4): the login was not accepted")
    assert "not tried again for 30 min" in readings[5].detail
    assert records.refused == 2  # far from any lockout


async def test_a_new_password_is_tried_at_once(stranger: Mapping[str, str]) -> None:
    records, walker = Records(), Walker()
    async with serving_app(records.app()) as url:
        for _ in range(3):
            await walker.walk("form-login", url, **stranger)
        Path(stranger["password_file"]).write_text(PASSWORD)
        reading = await walker.walk("form-login", url, **stranger)
    assert verdict(reading) == ("ok", None), reading
    assert records.refused == 2


async def test_a_server_that_breaks_at_the_login_is_no_refusal(account: Mapping[str, str]) -> None:
    records, walker = Records(break_at="/session"), Walker()
    async with serving_app(records.app()) as url:
        readings = [await walker.walk("form-login", url, **account) for _ in range(4)]
        records.break_at = ""
        good = await walker.walk("form-login", url, **account)
    assert {verdict(reading) for reading in readings} == {("failed", Reason.BAD_STATUS)}
    assert verdict(good) == ("ok", None)


async def test_nothing_of_the_answers_or_the_password_is_kept(account: Mapping[str, str]) -> None:
    records, walker = Records(), Walker()
    async with serving_app(records.app()) as url:
        reading = await walker.walk("form-login", url, **account)
    told = f"{reading} {walker.transcript}"
    for secret in (PASSWORD, "sesame", "1901", "zz-test", "record/", "sid="):
        assert secret not in told
    assert "step search" in told


async def test_fhir_capability_search_read() -> None:
    fhir = Fhir()
    async with serving_app(fhir.app()) as url:
        reading = await Walker().walk("fhir-read", f"{url}/fhir")
    assert verdict(reading) == ("ok", None), reading
    assert list(steps(reading)) == ["", "capability", "search", "read"]
    assert set(fhir.methods) == {"GET"}


@pytest.mark.parametrize(
    ("patients", "detail"),
    [(0, "json_path len(entry) is not == 1"), (2, "json_path len(entry) is not == 1")],
    ids=["none", "two"],
)
async def test_fhir_wants_exactly_one_test_patient(patients: int, detail: str) -> None:
    async with serving_app(Fhir(patients=patients).app()) as url:
        reading = await Walker().walk("fhir-read", f"{url}/fhir")
    assert verdict(reading) == ("failed", Reason.BAD_BODY)
    assert reading.detail == f"step search (2 of 3): {detail}"


async def test_fhir_with_a_token_of_client_credentials(tmp_path: Path) -> None:
    service = TokenService()
    secret = tmp_path / "secret"
    secret.write_text(service.secret)
    async with serving_app(service.app()) as tokens, serving_app(Fhir(token=service.token).app()) as url:
        oauth = {
            "oauth_token_url": f"{tokens}/token",
            "oauth_client_id": service.client,
            "oauth_client_secret_file": str(secret),
        }
        reading = await Walker().walk("fhir-read", f"{url}/fhir", **oauth)
    assert verdict(reading) == ("ok", None), reading
    assert len(service.asked) == 1  # one token for three steps


@pytest.mark.parametrize(("pack", "form_post"), [("oidc-login", False), ("oidc-login-form-post", True)])
async def test_oidc(account: Mapping[str, str], pack: str, form_post: bool) -> None:
    provider = Provider(form_post=form_post)
    behind = Application(provider)
    async with serving_app(provider.app()) as idp, serving_app(behind.app()) as url:
        behind.provider_url = idp
        reading = await Walker().walk(pack, url, login_at=[idp], values={"page_text": "signed in"}, **account)
    assert verdict(reading) == ("ok", None), reading
    assert provider.posted == [PASSWORD]
    assert behind.sessions == set()


async def test_the_password_goes_nowhere_that_the_site_does_not_name(account: Mapping[str, str]) -> None:
    provider = Provider()
    behind = Application(provider)
    async with serving_app(provider.app()) as idp, serving_app(behind.app()) as url:
        behind.provider_url = idp
        reading = await Walker().walk("oidc-login", url, **account)
    assert verdict(reading) == ("unknown", Reason.NOT_ALLOWED)
    assert "login_at" in reading.detail
    assert provider.posted == []


async def test_an_account_that_the_provider_refuses(stranger: Mapping[str, str]) -> None:
    provider = Provider()
    behind = Application(provider)
    async with serving_app(provider.app()) as idp, serving_app(behind.app()) as url:
        behind.provider_url = idp
        reading = await Walker().walk("oidc-login", url, login_at=[idp], **stranger)
    assert verdict(reading) == ("failed", Reason.AUTH_FAILED)
    assert reading.detail == "step login (2 of 3): the login was not accepted (401)"


async def test_a_dead_application_is_refused_at_the_first_step(account: Mapping[str, str]) -> None:
    from daemons.process import free_port

    reading = await Walker().walk("form-login", f"http://127.0.0.1:{free_port()}", **account)
    assert verdict(reading) == ("failed", Reason.REFUSED)
    assert reading.detail == "step login-page (1 of 4): connection refused"
    assert list(steps(reading)) == ["", "login-page"]  # nothing to clean up


async def test_the_safety_block_holds_for_every_step(account: Mapping[str, str]) -> None:
    provider = Provider()
    behind = Application(provider, provider_url="http://192.0.2.9")
    async with serving_app(behind.app()) as url:
        walker = Walker(Safety(deny=("192.0.2.0/24",), rates=FAST))
        reading = await walker.walk("oidc-login", url, **account)
    assert verdict(reading) == ("unknown", Reason.NOT_ALLOWED)


async def test_the_usual_rates_are_enough_for_a_walk(account: Mapping[str, str]) -> None:
    records, walker = Records(), Walker(Safety())
    async with serving_app(records.app()) as url:
        reading = await walker.walk("form-login", url, timeout_s=5.0, **account)
    assert verdict(reading) == ("ok", None), reading
    assert reading.took < 2.0  # the guard's spacing is not the application's time


@pytest.mark.parametrize(("page_days", "provider_days"), [(60.0, 9.0), (9.0, 60.0)])
async def test_of_all_certificates_on_the_way_the_one_that_ends_first_is_told(
    account: Mapping[str, str], tmp_path: Path, page_days: float, provider_days: float
) -> None:
    authority = Authority(tmp_path)
    page, provider_tls = (
        context(authority.issue(name, ends_days=days))
        for name, days in (("page", page_days), ("provider", provider_days))
    )
    provider = Provider()
    behind = Application(provider)
    async with serving_app(provider.app(), tls=provider_tls) as idp, serving_app(behind.app(), tls=page) as url:
        behind.provider_url = idp
        ca_file = str(authority.ca_file)
        reading = await Walker().walk(
            "oidc-login", url, login_at=[idp], values={"page_text": "signed in"}, ca_file=ca_file, **account
        )
    assert verdict(reading) == ("ok", None), reading
    told = [one.value for one in reading.samples if (one.family, one.field) == ("tls", "expires_in_seconds")]
    assert told == [pytest.approx(9 * 86_400.0, abs=120)]


def context(issued: Issued) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(issued.cert_file, issued.key_file)
    return found
