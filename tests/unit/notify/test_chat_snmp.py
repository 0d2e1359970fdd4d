"""What apprise and SNMP get to see, and what their parameters refuse."""

from __future__ import annotations

import re
from typing import Any

import pytest

from daemons.paging import notice
from healthmon.alerting.notify import make_channel
from healthmon.alerting.notify.chat import refused
from healthmon.alerting.notify.snmptrap import ENTERPRISE, NOTIFICATIONS, cut
from healthmon.config.packs import stock_root
from healthmon.model.incident import Why
from healthmon.model.ports import Dead, Retry

MIB = (stock_root() / "alerting" / "mibs" / "HEALTHMON-MIB.txt").read_text()


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (["Failed to send JSON POST notification: Unauthorized, error=401."], Dead),
        (["Failed to send Slack notification: error=429."], Retry),
        (["error=404", "error=503"], Retry),
        (["A Connection error occurred sending JSON notification to 192.0.2.1"], Retry),
        (["error=200"], Retry),
        ([], Retry),
    ],
)
def test_what_apprise_says_of_a_refusal(log: list[str], expected: type) -> None:
    answer = refused(log)
    assert isinstance(answer, expected)
    assert "192.0.2.1" not in answer.detail


@pytest.mark.parametrize(
    ("kind", "params", "words"),
    [
        ("apprise", {"url": "not a url"}, "apprise URL"),
        ("apprise", {"url": "ntfy://ntfy.example/a", "timeout_s": 600}, "timeout_s"),
        ("snmptrap", {"host": "nms.example"}, "community"),
        ("snmptrap", {"host": "nms.example", "version": "3", "user": "u"}, "auth_protocol"),
        ("snmptrap", {"host": "nms.example", "community": "c", "port": 0}, "port"),
        ("snmptrap", {"host": "nms.example", "community": "c", "priv_protocol": "ROT13"}, "allowed: DES"),
        ("snmptrap", {"host": "nms.example", "community": "c", "engine_id": "8000"}, "octets"),
    ],
)
def test_params_refuse(kind: str, params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        make_channel(kind, params)


def test_secrets_are_not_printed() -> None:
    for kind, params in (
        ("apprise", {"url": "ntfys://hidden@ntfy.example/a"}),
        ("snmptrap", {"host": "nms.example", "community": "hidden"}),
        ("snmptrap", {"host": "nms.example", "version": "3", "user": "u", "auth_protocol": "SHA",
                      "auth_password": "hidden123", "priv_protocol": "AES", "priv_password": "hidden456"}),
    ):  # fmt: skip
        assert "hidden" not in repr(vars_of(make_channel(kind, params)))


def vars_of(channel: Any) -> str:
    return repr(channel._params)


async def test_a_url_that_apprise_does_not_know_is_dead() -> None:
    answer = await make_channel("apprise", {"url": "nothing-of-the-kind://x"}).send(notice())
    assert isinstance(answer, Dead)


def test_the_mib_names_what_is_sent() -> None:
    assert "enterprises 32473 470" in MIB
    assert ENTERPRISE.endswith("4.1.32473.470")
    assert {int(n) for n in re.findall(r"healthmonNotifications (\d+) \}", MIB)} == set(NOTIFICATIONS.values())
    assert [int(n) for n in re.findall(r"healthmonNotice (\d+) \}", MIB)] == list(range(1, 8))


def test_every_reason_has_a_notification() -> None:
    elsewhere = {Why.CHANGED, Why.WARD}  # only records and wards hear these
    assert {why.value for why in Why if why not in elsewhere} <= set(NOTIFICATIONS)


def test_a_cut_leaves_whole_characters() -> None:
    assert cut("aüb", 2) == b"a"
    assert cut("aüb", 3).decode() == "aü"
