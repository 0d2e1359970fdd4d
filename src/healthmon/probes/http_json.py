"""Values inside a JSON document by path, and comparisons with what they should be. Never repeats a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any

import msgspec

from healthmon.model.sample import Reason
from healthmon.probes.reasons import Fault

Scalar = str | int | float | bool | None

#: `entry`, `[0]`, `[-1]`, `[*]`, `['a.b']`
_STEP = re.compile(r"""\.?([^.\[\]'"]+)|\[(-?\d+|\*)\]|\['([^']*)'\]|\["([^"]*)"\]""")
_COMPARISON = re.compile(r"(==|!=|<=|>=|<|>|!~|~)\s*(.+)", re.DOTALL)
_ORDER: dict[str, Callable[[Any, Any], Any]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_ALLOWED = "allowed: exists, absent, or one of == != < <= > >= ~ !~ and a value"

Step = str | int
#: `[*]`: any item of the list
EVERY = "*"


@dataclass(frozen=True, slots=True)
class Path:
    """`length` when written `len(...)`: the number of items, members or characters is compared."""

    steps: tuple[tuple[str, Step], ...]  # ("name", key) or ("item", index) or ("every", "*")
    length: bool = False


def decode(body: bytes) -> Any:
    """The document. Raises ValueError when the body is not JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("the body is not JSON") from None


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Path:
    """`entry[0].resource.id`, `$.entry.0`, `names['a.b']`, `len(entry)`. Raises ValueError."""
    length = text.startswith("len(") and text.endswith(")")
    rest = text[4:-1] if length else text
    rest = rest.removeprefix("$")
    steps: list[tuple[str, Step]] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None:
            raise ValueError(f"json path {text!r} (allowed: a.b[0]['c.d'], [*] for any item, len(...))")
        name, index, single, double = found.groups()
        if index == EVERY:
            steps.append(("every", EVERY))
        elif index is not None:
            steps.append(("item", int(index)))
        else:
            steps.append(("name", next(part for part in (name, single, double) if part is not None)))
        at = found.end()
    return Path(tuple(steps), length)


def find(document: Any, path: Path) -> list[Any]:
    """Every value at the path; more than one only with `[*]`, none when there is no such place."""
    found = [document]
    for kind, step in path.steps:
        found = [inner for outer in found for inner in _inside(outer, kind, step)]
    if path.length:
        found = [len(value) for value in found if isinstance(value, list | dict | str)]
    return found


def _inside(value: Any, kind: str, step: Step) -> list[Any]:
    if kind == "every":
        return value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    if isinstance(value, dict):
        return [value[step]] if step in value else []
    if isinstance(value, list):
        index = int(step) if isinstance(step, int) or step.isdigit() else None
        return [value[index]] if index is not None and -len(value) <= index < len(value) else []
    return []


@lru_cache(maxsize=4096)
def parse_comparison(text: str) -> tuple[str, Any]:
    """Operator and operand of `>= 3`, `== "ok"`, `~ ^up`, `exists`, `absent`. Raises ValueError."""
    if text in ("exists", "absent"):
        return text, None
    found = _COMPARISON.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a comparison ({_ALLOWED})")
    operator, operand = found.groups()
    if operator in ("~", "!~"):
        try:
            return operator, re.compile(operand)
        except re.error as error:
            raise ValueError(f"{text!r}: {error}") from None
    try:
        value: Any = msgspec.json.decode(operand.encode())
    except msgspec.DecodeError:
        value = operand  # a word without quotes
    if operator in _ORDER and not isinstance(value, int | float | str):
        raise ValueError(f"{text!r} is not a comparison ({_ALLOWED})")
    return operator, value


def check_json(equal: Mapping[str, Scalar], compare: Mapping[str, str]) -> None:
    """Raises ValueError for a path or a comparison that cannot be read."""
    for path in (*equal, *compare):
        parse_path(path)
    for text in compare.values():
        parse_comparison(text)


def judge_json(body: bytes, equal: Mapping[str, Scalar], compare: Mapping[str, str]) -> Fault | None:
    """The first value that is not as it should be; the detail names the path, never the value."""
    try:
        document = decode(body)
    except ValueError as error:
        return Fault(Reason.BAD_BODY, str(error))
    for text, expected in equal.items():
        found = find(document, parse_path(text))
        if not found:
            return Fault(Reason.BAD_BODY, f"json_path {text} is missing")
        if not any(same(value, expected) for value in found):
            return Fault(Reason.BAD_BODY, f"json_path {text} is not as expected")
    for text, comparison in compare.items():
        found = find(document, parse_path(text))
        operator, operand = parse_comparison(comparison)
        if not found and operator not in ("exists", "absent"):
            return Fault(Reason.BAD_BODY, f"json_path {text} is missing")
        if not _holds(found, operator, operand):
            return Fault(Reason.BAD_BODY, f"json_path {text} is not {comparison}")
    return None


def same(found: Any, expected: Any) -> bool:
    """1 equals 1.0, but true does not equal 1."""
    return isinstance(found, bool) == isinstance(expected, bool) and bool(found == expected)


def _holds(found: list[Any], operator: str, operand: Any) -> bool:
    """Of several values one must fit; the negative operators must hold for all."""
    match operator:
        case "exists":
            return bool(found)
        case "absent":
            return not found
        case "==":
            return any(same(value, operand) for value in found)
        case "!=":
            return not any(same(value, operand) for value in found)
        case "~":
            return any(isinstance(value, str) and operand.search(value) for value in found)
        case "!~":
            return not any(isinstance(value, str) and operand.search(value) for value in found)
    return any(_orders(value, operator, operand) for value in found)


def _orders(value: Any, operator: str, operand: Any) -> bool:
    """Numbers with numbers and texts with texts (an ISO date sorts as text); anything else does not hold."""
    numbers = not isinstance(value, bool) and isinstance(value, int | float) and isinstance(operand, int | float)
    if not numbers and not (isinstance(value, str) and isinstance(operand, str)):
        return False
    return bool(_ORDER[operator](value, operand))
