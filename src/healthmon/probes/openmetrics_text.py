"""The text formats of exporters: Prometheus 0.0.4 and OpenMetrics 1.0, only as far as a pack wants them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass

from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding

#: A name, labels in braces, a value; a time stamp and an exemplar may follow and are not read.
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_LINE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*"
    rf'(?:\{{((?:[^"}}]|{_QUOTED})*)\}})?[ \t]+'
    r"([^\s#]+)(?:[ \t]+-?[0-9.eE+-]+)?[ \t]*(?:#.*)?"
)
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,|\Z)')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
_ESCAPED = re.compile(r"\\.")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|(?i:inf|infinity|nan))")
_MOST_LINE = 16 * 1024


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a page."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Page:
    """The wanted series of a page, and how many it has in all."""

    series: tuple[Series, ...]
    all_series: int


def parse_page(text: str, wanted: Set[str], *, openmetrics: bool, most_series: int) -> Page:
    """Raises Finding: bad_response for what is no page of metrics or is cut short, too_large beyond `most_series`."""
    kept: list[Series] = []
    lines = 0
    ended = False
    for number, line in enumerate(text.split("\n"), 1):
        if ended and line:
            raise Finding(Reason.BAD_RESPONSE, f"line {number} comes after the end")
        if line.startswith("#"):
            ended = openmetrics and line.rstrip() == "# EOF"
            continue
        if not line.strip():
            continue
        lines += 1
        found = _series(line.strip(), number, wanted)
        if found is not None:
            kept.append(found)
            if len(kept) > most_series:
                raise Finding(Reason.TOO_LARGE, f"more than {most_series} series of the metrics that are wanted")
    if openmetrics and not ended:
        raise Finding(Reason.BAD_RESPONSE, "the page ends without # EOF")
    return Page(tuple(kept), lines)


def _series(line: str, number: int, wanted: Set[str]) -> Series | None:
    """None for a good line that is not wanted."""
    match = _LINE.fullmatch(line) if len(line) <= _MOST_LINE else None
    if match is None or not _NUMBER.fullmatch(match.group(3)):
        raise Finding(Reason.BAD_RESPONSE, f"line {number} is not a metric")
    name, labels, value = match.groups()
    if name not in wanted:
        return None
    return Series(name, dict(_labels(labels or "", number)), float(value))


def _labels(text: str, number: int) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text.rstrip()):
        match = _LABEL.match(text, at)
        if match is None:
            raise Finding(Reason.BAD_RESPONSE, f"the labels of line {number} cannot be read")
        at = match.end()
        value = match.group(2)
        yield match.group(1), _ESCAPED.sub(_unescaped, value) if "\\" in value else value


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match.group(), match.group())
