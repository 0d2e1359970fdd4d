"""The short form of a message: one SMS of at most 160 characters of the GSM alphabet, with what decides first."""

from __future__ import annotations

import unicodedata

from healthmon.alerting.notify.digest import FOLDED
from healthmon.model.incident import Notice, Why

#: One SMS (3GPP TS 23.038, 7-bit default alphabet).
SMS_CHARACTERS = 160
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ENDED = (Why.MITIGATED, Why.RESOLVED, Why.MUTE, Why.DUTY, Why.WARD)


def short_text(notice: Notice, most: int = SMS_CHARACTERS) -> str:
    """The subject, and for what must be answered how: `1` accepts, `2` is not mine; the code tells incidents apart."""
    asked = str(notice.body.get("reply") or f" Reply 1 {notice.incident[-4:]}=I have it 2=not mine")
    tail = "" if notice.why in _ENDED or FOLDED in notice.body else gsm(asked)
    head = gsm(("REPEAT " if notice.repeat and notice.why is not Why.WARD else "") + " ".join(notice.subject.split()))
    room = most - len(tail)
    return (head if len(head) <= room else head[: max(0, room - 3)].rstrip() + "...") + tail


def gsm(text: str) -> str:
    """Only characters that a 7-bit SMS can carry: letters lose what it has no sign for, the rest becomes `?`."""
    return "".join(map(_one, text))


def _one(char: str) -> str:
    if char in _BASIC:
        return char
    plain = unicodedata.normalize("NFKD", char)[0]
    return plain if plain in _BASIC else {"–": "-", "—": "-", "’": "'", "[": "(", "]": ")"}.get(char, "?")
