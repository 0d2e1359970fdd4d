"""The debug transcript of `healthmon probe`: what happened, with milliseconds since the start."""

from __future__ import annotations

from healthmon.model.ports import Clock


class Transcript:
    """Call it with a line; `str()` gives the text. Keeps at most `most` lines."""

    def __init__(self, clock: Clock, *, most: int = 1000) -> None:
        self._clock = clock
        self._begun = clock.mono()
        self._most = most
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        if len(self.lines) < self._most:
            self.lines.append(f"{(self._clock.mono() - self._begun) * 1000.0:+9.1f} ms  {line}")

    def __str__(self) -> str:
        return "\n".join(self.lines)
