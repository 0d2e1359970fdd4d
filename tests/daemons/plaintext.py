"""What ward texts may not say, and how easy they are to read: published measures, no library."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Words of IT, promises and figures that a ward cannot use. Whole words, any case.
FORBIDDEN = re.compile(
    r"\b(resolved|gelöst|behoben|ETA|voraussichtlich|expected|shortly|soon|bald|server|switch(?:es)?|router|timeout|TLS|DNS|"
    r"DHCP|SNMP|ICMP|HTTPS?|TCP|VLAN|ping|host(?:name)?|node|database|Datenbank|API|packet|latency|certificate|Zertifikat|"
    r"degraded|mitigated|suppressed|incident|Vorfall|alert|probe|agent|engine|affected|patient name)\b",
    re.IGNORECASE,
)
#: A ratio, an address, a raw figure of confidence.
FIGURES = re.compile(r"\d+\s*%|\b\d{1,3}(?:\.\d{1,3}){3}\b|\b0\.\d+\b")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-ZÄÖÜ0-9])")
_WORD = re.compile(r"[A-Za-zÄÖÜäöüß'-]{2,}")


def sentences(text: str) -> list[str]:
    return [one for one in _SENTENCE.split(text) if _WORD.search(one)]


def words(text: str) -> list[str]:
    return _WORD.findall(text)


def without(text: str, names: Iterable[str]) -> str:
    """The text with the hospital's own names made short: it chose them, we do not measure them."""
    for name in sorted(filter(None, set(names)), key=len, reverse=True):
        text = text.replace(name, "Xy")
    return text


def lix(text: str) -> float:
    """Läsbarhetsindex (Björnsson, 1968): words a sentence + percent of words over six letters. Below 40 is easy."""
    all_words = words(text)
    return len(all_words) / len(sentences(text)) + 100.0 * sum(len(w) > 6 for w in all_words) / len(all_words)


def flesch(text: str, language: str) -> float:
    """Flesch (1948) for English, Amstad (1978) for German: above 60 is plain language."""
    all_words = words(text)
    length, syllables = len(all_words) / len(sentences(text)), sum(map(_syllables, all_words)) / len(all_words)
    return 206.835 - 1.015 * length - 84.6 * syllables if language == "en" else 180.0 - length - 58.5 * syllables


def _syllables(word: str) -> int:
    groups = len(re.findall(r"[aeiouyäöü]+", word.lower()))
    silent = word.lower().endswith("e") and not word.lower().endswith(("le", "ie", "ee")) and groups > 1
    return max(1, groups - (1 if silent else 0))
