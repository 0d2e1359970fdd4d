"""The webhook against a real HTTP server: what is on the wire, and that nothing secret is told."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator

import pytest

from daemons.paging import Answer, Receiver, notice
from healthmon.alerting.notify.webhook import Params, Webhook
from healthmon.model.ports import Retry, Sent

pytestmark = pytest.mark.wire


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    server = Receiver()
    yield server
    await asyncio.to_thread(server.stop)


async def test_what_arrives(receiver: Receiver) -> None:
    hook = Webhook(Params(receiver.url, secret="S3CRET", headers={"Authorization": "Bearer x"}))
    assert isinstance(await hook.send(notice(attempts=1)), Sent)
    await hook.close()
    (post,) = receiver.posted
    assert post.path == "/hook"
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["Authorization"] == "Bearer x"
    assert post.headers["Idempotency-Key"] == post.json["key"] == notice().key
    expected = hmac.new(b"S3CRET", post.raw, hashlib.sha256).hexdigest()
    assert post.headers["X-Healthmon-Signature"] == f"sha256={expected}"
    assert (post.json["why"], post.json["repeat"], post.json["incident"]["id"]) == ("opened", False, "inc-1")


async def test_without_a_secret_there_is_no_signature(receiver: Receiver) -> None:
    hook = Webhook(Params(receiver.url))
    await hook.send(notice())
    await hook.close()
    assert "X-Healthmon-Signature" not in receiver.posted[0].headers


@pytest.mark.parametrize(
    ("header", "after_s"), [({"Retry-After": "7"}, 7.0), ({"Retry-After": "soon"}, None), ({}, None)]
)
async def test_retry_after_is_read(receiver: Receiver, header: dict[str, str], after_s: float | None) -> None:
    receiver.answer = lambda number: Answer(503, header)
    hook = Webhook(Params(receiver.url))
    assert await hook.send(notice()) == Retry("HTTP 503", after_s)
    await hook.close()


async def test_a_redirect_is_not_followed_with_the_secret(receiver: Receiver) -> None:
    elsewhere = Receiver()
    receiver.answer = lambda number: Answer(307, {"Location": elsewhere.url})
    hook = Webhook(Params(receiver.url, secret="S3CRET"))
    assert isinstance(await hook.send(notice()), Retry)
    await hook.close()
    await asyncio.to_thread(elsewhere.stop)
    assert elsewhere.posted == []


async def test_the_same_channel_works_again_after_the_receiver_was_away(receiver: Receiver) -> None:
    hook = Webhook(Params(receiver.url))
    receiver.answer = lambda number: Answer(drop=number == 2)
    answers = [type(await hook.send(notice())) for _ in range(3)]
    await hook.close()
    assert answers == [Sent, Retry, Sent]


async def test_errors_name_no_part_of_the_url(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hook = Webhook(Params("https://127.0.0.1:1/T0KEN?sig=T0KEN", timeout_s=5.0))
    answer = await hook.send(notice())
    await hook.close()
    assert isinstance(answer, Retry)
    assert "T0KEN" not in answer.detail + caplog.text
    assert "efused" in answer.detail
