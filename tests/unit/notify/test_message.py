"""The message itself, and how HTTP answers and waits are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.paging import notice
from healthmon.alerting.notify.mail import Params as MailParams
from healthmon.alerting.notify.mail import compose
from healthmon.alerting.notify.message import payload, read_status, seconds_of
from healthmon.alerting.notify.webhook import Params as WebhookParams
from healthmon.alerting.notify.webhook import signature
from healthmon.model.ports import Dead, Retry, Sent

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
DATE = format_datetime(NOON, usegmt=True)


def test_the_payload_says_what_and_why_and_whether_again() -> None:
    found = payload(notice(repeat=True, attempts=2))
    assert (found["key"], found["why"], found["repeat"], found["attempt"]) == ("0123456789abcdef", "opened", True, 2)
    assert found["incident"] == {"id": "inc-1", "severity": 2}
    assert found["incident_id"] == "inc-1"
    assert found["due"] == "2027-01-15T10:00:00.000Z"


@given(st.integers(100, 599))
def test_every_status_means_one_of_three(status: int) -> None:
    answer = read_status(status)
    if 200 <= status < 300:
        assert isinstance(answer, Sent)
    elif 400 <= status < 500 and status not in (408, 425, 429):
        assert isinstance(answer, Dead)
    else:
        assert isinstance(answer, Retry)
    assert str(status) in answer.detail


@pytest.mark.parametrize(
    ("header", "date", "seconds"),
    [
        (None, DATE, None),
        ("", DATE, None),
        ("120", DATE, 120.0),
        ("-5", DATE, 0.0),
        ("soon", DATE, None),
        (format_datetime(NOON + timedelta(seconds=90), usegmt=True), DATE, 90.0),
        (format_datetime(NOON - timedelta(seconds=90), usegmt=True), DATE, 0.0),
        (format_datetime(NOON, usegmt=True), None, None),
        (DATE, "2027-01-15", None),
    ],
)
def test_retry_after(header: str | None, date: str | None, seconds: float | None) -> None:
    assert seconds_of(header, date) == seconds


def test_the_signature_is_the_one_that_receivers_compute() -> None:
    # RFC 4231, test case 2
    expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert signature("Jefe", b"what do ya want for nothing?") == expected


def test_a_mail_is_plain_threaded_and_cannot_be_bent_by_a_subject() -> None:
    bent = notice(subject="[sev 2] Ward 7\r\nBcc: everyone@hospital.example", repeat=True)
    mail = compose(bent, sender="healthmon@hospital.example", to=("a@hospital.example", "b@hospital.example"))
    assert mail["Subject"] == "[sev 2] Ward 7 Bcc: everyone@hospital.example (repeat)"
    assert mail["Bcc"] is None
    assert mail["Message-ID"] == "<0123456789abcdef@hospital.example>"
    assert mail["References"] == "<incident-inc-1@hospital.example>"
    assert mail["To"] == "a@hospital.example, b@hospital.example"
    assert mail["Date"].datetime == datetime(2027, 1, 15, 10, 0, tzinfo=UTC)
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().startswith("Ward 7: Patient record not available")


MAIL = {"host": "smtp.hospital.example", "sender": "healthmon@hospital.example", "to": ("a@hospital.example",)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"to": ()}, "at least one"),
        ({"sender": "healthmon"}, "plain address"),
        ({"to": ("A <a@hospital.example>",)}, "plain address"),
        ({"port": 70000}, "65535"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"username": "u"}, "together"),
    ],
)
def test_mail_params_refuse(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MailParams(**{**MAIL, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "ftp://hook.example"}, "http"),
        ({"timeout_s": 61}, "timeout_s"),
        ({"headers": {"X": "a\r\nB: c"}}, "line breaks"),
    ],
)
def test_webhook_params_refuse(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        WebhookParams(**{"url": "https://hook.example", **change})  # type: ignore[arg-type]


def test_secrets_are_not_printed() -> None:
    told = repr(WebhookParams("https://hook.example/T0KEN", secret="S3CRET", headers={"Authorization": "B3ARER"}))
    told += repr(MailParams(**MAIL, username="u", password="P4SS"))  # type: ignore[arg-type]
    assert not any(word in told for word in ("T0KEN", "S3CRET", "B3ARER", "P4SS"))
