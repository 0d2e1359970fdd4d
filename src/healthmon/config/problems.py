"""Where in which file something is wrong, and the list of everything that is."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from healthmon.model.errors import ConfigError


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    col: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}"


class Problems:
    """Collects what is wrong so that a person sees everything at once."""

    def __init__(self) -> None:
        self._found: dict[tuple[Spot, str], None] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, spot: Spot, message: str) -> None:
        """Note one problem; the same one twice counts once."""
        self._found[(spot, message)] = None

    def lines(self) -> list[str]:
        """`file:line:col: message`, by file in the order first met, then by line."""
        order = {spot.file: number for number, (spot, _) in reversed(list(enumerate(self._found)))}
        ranked = sorted(self._found, key=lambda found: (order[found[0].file], found[0], found[1]))
        return [f"{spot}: {message}" for spot, message in ranked]

    def raise_if_any(self) -> None:
        """ConfigError with every line, if there is one."""
        if self._found:
            raise ConfigError(self.lines())


def allowed(names: Iterable[str]) -> str:
    """` (allowed: a, b, c)`, or that there is none."""
    known = sorted(names)
    return f" (allowed: {', '.join(known)})" if known else " (none is declared)"


def did_you_mean(word: str, names: Collection[str]) -> str:
    """`, did you mean 'x'?` when something known is close, else nothing."""
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f", did you mean '{close[0]}'?" if close else ""
