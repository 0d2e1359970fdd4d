"""Moments by name that outlive a restart: rows for the journal, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from healthmon.model.alert import AlertKey

_SEPARATOR = "\x1f"
Name = tuple[str, ...]


class Moments:
    """When something began, by name. kind: the first word of its rows, "*" and a word of one owner."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._at: dict[Name, float] = {}
        self._changed: set[Name] = set()

    def get(self, name: Name) -> float | None:
        return self._at.get(name)

    def names(self) -> Iterable[Name]:
        return self._at.keys()

    def put(self, name: Name, at: float) -> None:
        if self._at.get(name) != at:
            self._at[name] = at
            self._changed.add(name)

    def pop(self, name: Name) -> None:
        if self._at.pop(name, None) is not None:
            self._changed.add(name)

    def written(self) -> dict[str, bytes]:
        """Rows that have changed since the last call; an empty one forgets."""
        rows = {}
        for name in sorted(self._changed):
            at = self._at.get(name)
            rows[_SEPARATOR.join((self._kind, *name))] = b"" if at is None else repr(at).encode()
        self._changed.clear()
        return rows

    def restore(
        self, memory: Mapping[str, bytes], keep: Callable[[Name], bool] = lambda _name: True
    ) -> dict[str, bytes]:
        """Take up what a run before has written, but for what is not to be kept; the rest is handed back."""
        rest = {}
        for key, body in memory.items():
            kind, *name = key.split(_SEPARATOR)
            if kind != self._kind:
                rest[key] = body
            elif keep(tuple(name)):
                self._at[tuple(name)] = float(body)
            else:
                self._changed.add(tuple(name))
        return rest


def named(key: AlertKey) -> Name:
    """An alert's key as a name."""
    return (key.rule, key.target, key.check, key.vantage, *(text for pair in key.labels for text in pair))
