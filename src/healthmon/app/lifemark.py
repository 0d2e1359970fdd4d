"""What an agent says of its own life: since when it and its host run, how long they slept, how the last run ended."""

from __future__ import annotations

from collections.abc import Callable

from healthmon.model.about import Ended
from healthmon.runtime.uptime import asleep_s, up_s

FIELDS = frozenset({"host_uptime_seconds", "running_seconds", "asleep_seconds_total", "last_stop_clean"})


class LifeMark:
    """Fields of the agent's reading about itself. `ended`: how the run before this one ended."""

    def __init__(
        self, ended: Ended, *, up: Callable[[], float | None] = up_s, asleep: Callable[[], float | None] = asleep_s
    ) -> None:
        self._ended, self._up, self._asleep = ended, up, asleep
        self._began = up()

    def values(self) -> dict[str, float]:
        """What is known now; the rest is left out."""
        up = self._up()
        found = {
            "host_uptime_seconds": up,
            "running_seconds": up - self._began if up is not None and self._began is not None else None,
            "asleep_seconds_total": self._asleep(),
            "last_stop_clean": None if self._ended is Ended.FIRST else float(self._ended is Ended.CLEAN),
        }
        return {name: value for name, value in found.items() if value is not None}
