"""Which values a store keeps: finite floats, truth and text; other numbers as the float nearest to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from healthmon.model.sample import Value
from healthmon.store.lineproto import Unwritable


def storable(names: Sequence[str], values: tuple[Value, ...]) -> tuple[Value, ...]:
    """The values as they are kept; raises Unwritable."""
    for value in values:
        kind = type(value)
        if kind is float:
            if value - value != 0.0:  # type: ignore[operator]  # NaN and infinity
                return tuple(map(_storable, names, values))
        elif kind is not str and kind is not bool:
            return tuple(map(_storable, names, values))
    return values


def _storable(name: str, value: Value) -> Value:
    if isinstance(value, (str, bool)):
        return str(value) if isinstance(value, str) else value
    try:
        number = float(value)
    except OverflowError as error:
        raise Unwritable(f"field {name}: number too large") from error
    if not math.isfinite(number):
        raise Unwritable(f"field {name}: {number} is not a number")
    return number
