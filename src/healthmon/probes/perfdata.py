"""Performance data of monitoring plugins: `'label'=value[unit];warn;crit;min;max`, read into base units. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Unit as written -> (field, factor). Bytes by 1024, as the plugins themselves count.
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_BYTE_PREFIXES = "kmgtpe"
_OTHERS = {
    "": ("value", 1.0),
    "%": ("ratio", 0.01),
    "c": ("counter", 1.0),
    "b": ("bytes", 1.0),
    "hz": ("hertz", 1.0),
    "w": ("watts", 1.0),
    "v": ("volts", 1.0),
    "a": ("amperes", 1.0),
    "°c": ("celsius", 1.0),
}
#: A bare C is degrees where it is a capital, a counter where it is small.
_CELSIUS = ("celsius", 1.0)

FIELDS = frozenset({"seconds", "bytes", "celsius", *(field for field, _ in _OTHERS.values())})

_SPACE = re.compile(r"\s")
_VALUE = re.compile(r"([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)([^0-9]*)")
_MOST_VALUE_CHARS = 64
_MOST_ITEMS = 2000


@dataclass(frozen=True, slots=True)
class Perf:
    """One figure in a base unit; `warn` and `crit` are ranges as the plugin wrote them."""

    label: str
    field: str
    value: float
    warn: str = ""
    crit: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """What a plugin said: its first line, and figures. `unread`: items that are no figure or have an unknown unit."""

    text: str
    perfs: tuple[Perf, ...]
    unread: int


def parse_output(output: str) -> Output:
    """Text before the first `|` of the first line; figures after it, and after a second `|` in the lines below."""
    first, _, rest = output.partition("\n")
    text, _, perfdata = first.partition("|")
    more = rest.partition("|")[2]
    perfs: list[Perf] = []
    unread = 0
    for perf in _items(f"{perfdata} {more}"):
        if perf is None:
            unread += 1
        else:
            perfs.append(perf)
    return Output(text.strip(), tuple(perfs), unread)


def _items(text: str) -> Iterator[Perf | None]:
    """Each item; None for what cannot be read. A label that comes twice counts once: the first."""
    seen: set[tuple[str, str]] = set()
    at = 0
    for _ in range(_MOST_ITEMS):
        while at < len(text) and text[at].isspace():
            at += 1
        if at >= len(text):
            return
        label, value, at = _split(text, at)
        perf = _perf(label, value)
        if perf is None or (perf.label, perf.field) not in seen:
            yield perf
        if perf is not None:
            seen.add((perf.label, perf.field))


def _split(text: str, at: int) -> tuple[str, str, int]:
    """Label, value and where the next item may begin; every character is looked at a few times at most."""
    quoted = text[at] == "'"
    equal = _closing_quote(text, at + 1) + 1 if quoted else at
    space = _SPACE.search(text, equal)
    end = space.start() if space else len(text)
    if not quoted:
        equal = text.find("=", at, end)
    if equal <= 0 or text[equal : equal + 1] != "=":
        return "", "", end
    label = text[at + 1 : equal - 1].replace("''", "'") if quoted else text[at:equal]
    return label.strip(), text[equal + 1 : end], end


def _closing_quote(text: str, at: int) -> int:
    """The place of the quote that ends a label (two in a row stand for one); the end of the text without one."""
    while (found := text.find("'", at)) >= 0:
        if text[found + 1 : found + 2] != "'":
            return found
        at = found + 2
    return len(text) - 1


def _perf(label: str, written: str) -> Perf | None:
    value, *ranges = written.split(";", 3)
    match = _VALUE.fullmatch(value) if len(value) <= _MOST_VALUE_CHARS else None
    found = base_unit(match.group(2)) if match else None
    if not label or match is None or found is None:
        return None
    number = _number(match.group(1)) * found[1]
    if not math.isfinite(number):
        return None
    warn, crit = [*ranges[:2], "", ""][:2]
    return Perf(label, found[0], number, warn, crit)


def _number(text: str) -> float:
    """Some plugins write the decimal comma of their locale."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan


def base_unit(unit: str) -> tuple[str, float] | None:
    """The field and the factor of a unit; None for one that is not known."""
    if unit == "C":
        return _CELSIUS
    small = unit.lower()
    if small in _SECONDS:
        return "seconds", _SECONDS[small]
    if small in _OTHERS:
        return _OTHERS[small]
    prefix, binary = small[:1], small.removesuffix("ib").removesuffix("b")
    if small.endswith("b") and len(binary) == 1 and prefix in _BYTE_PREFIXES:
        return "bytes", 1024.0 ** (_BYTE_PREFIXES.index(prefix) + 1)
    return None
