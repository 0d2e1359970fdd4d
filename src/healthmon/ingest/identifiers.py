"""What looks like a patient: identity numbers with check digits, names with titles, birth dates, addresses."""

from __future__ import annotations

import re

_NHS = re.compile(r"(?<![\w.:/-])(\d{3})[ -]?(\d{3})[ -]?(\d{4})(?![\w:/-]|\.\d)")


def suspicious(text: str) -> str | None:
    """The name of the first pattern that looks like a person's identifier, or None."""
    for match in _NHS.finditer(text):
        if _mod11("".join(match.groups())):
            return "nhs_number"
    return None


def scrub(text: str) -> str:
    """The text with everything suspicious replaced by `[removed]`."""
    return "[removed]" if suspicious(text) else text


def _mod11(digits: str) -> bool:
    total = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False))
    check = 11 - total % 11
    return (0 if check == 11 else check) == int(digits[9])
