"""Traps from anybody: noise ends in Malformed and nothing else; packs say what is wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from daemons.snmpd import message
from healthmon.config.packs import stock_root
from healthmon.probes.trap_pack import IF_DESCR, IF_INDEX, IF_NAME, Meaning, Port, lint_pack, meaning_of, port_of
from healthmon.probes.trap_wire import (
    Malformed,
    Notification,
    notification_of,
    read_message,
    read_signed,
    version_of,
)

GOOD = message("c", 0xA6, 5, 0, 0, [("1.3.6.1.2.1.1.3.0", ("timeticks", 1)), ("1.3.6.1.6.3.1.1.4.1.0", ("oid", "1.3.6.1.6.3.1.1.5.3"))])  # fmt: skip # noqa: E501


def test_an_inform_is_read_and_its_answer_is_a_response() -> None:
    heard = read_message(GOOD)

    assert (heard.community, heard.notification.oid, heard.notification.request_id) == (b"c", "1.3.6.1.6.3.1.1.5.3", 5)
    assert heard.answer == GOOD.replace(b"\xa6", b"\xa2", 1)


@given(some.binary(max_size=300))
def test_noise_is_malformed(data: bytes) -> None:
    for read in (version_of, read_message, read_signed):
        try:
            read(data)
        except Malformed:
            continue


@given(some.integers(0, len(GOOD) - 1), some.integers(0, 255))
def test_one_wrong_octet_is_read_or_malformed(at: int, octet: int) -> None:
    broken = GOOD[:at] + bytes([octet]) + GOOD[at + 1 :]
    for read in (version_of, read_message, read_signed):
        try:
            read(broken)
        except Malformed:
            continue


@pytest.mark.parametrize("at", range(len(GOOD)))
def test_a_message_that_is_cut_short_is_malformed(at: int) -> None:
    with pytest.raises(Malformed):
        read_message(GOOD[:at])


def test_without_a_trap_oid_it_is_no_notification() -> None:
    with pytest.raises(Malformed):
        notification_of((("1.3.6.1.2.1.1.3.0", 1),))


@pytest.mark.parametrize(
    ("binds", "port"),
    [
        ((), None),
        (((f"{IF_INDEX}7", 7),), Port(7)),
        ((("1.3.6.1.2.1.2.2.1.8.9", 2),), Port(9)),
        (((f"{IF_INDEX}0", 12), (f"{IF_DESCR}12", b"Gi1/0/12\x00")), Port(12, "Gi1/0/12")),
        (((f"{IF_DESCR}3", b"long"), (f"{IF_NAME}3", b"short")), Port(3, "short")),
        (((f"{IF_INDEX}7", -1),), None),
    ],
)
def test_the_port_of_a_trap(binds: tuple[tuple[str, int | bytes], ...], port: Port | None) -> None:
    assert port_of(Notification("1.3", binds)) == port


def test_a_version_1_number_finds_the_version_2_form() -> None:
    known = {"1.3.6.1.2.1.33.2.1": Meaning("on_battery")}

    assert meaning_of(known, "1.3.6.1.2.1.33.2.0.1").event == "on_battery"
    assert meaning_of(known, "1.3.6.1.2.1.33.2.2").event == "other"


def test_every_stock_pack_is_sound_and_a_bad_one_is_told() -> None:
    import yaml

    files = sorted((stock_root() / "probes" / "snmp-traps").glob("*.yaml"))
    assert len(files) >= 3
    assert [wrong for file in files for wrong in lint_pack(yaml.safe_load(file.read_text()))] == []
    bad = {"slug": "x", "traps": {"nonsense": {"event": "Bad Word", "effect": "fatal", "clears": "what", "more": 1}}}
    told = "\n".join(lint_pack(bad))
    for part in ("key 'source' is missing", "verified must be", "is not an OID", "must be a mapping of"):
        assert part in told
