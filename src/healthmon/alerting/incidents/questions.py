"""What has been asked and is not answered yet, within a budget; kept in the journal, so that nothing is asked twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from healthmon.alerting.incidents.reach import Series

_SEPARATOR = "\x1f"
_ASKED, _BACK, _SPENT = "*asked", "*back", "*spent"


class Questions:
    """Open looks by series with their deadlines, and when the last ones went out.

    budget_per_s: looks per second, counted over settle_s seconds; `returned`: when a vantage point was heard again.
    """

    def __init__(self, *, budget_per_s: float, settle_s: float, returned: dict[str, float]) -> None:
        self.asked: dict[Series, float] = {}
        self._spent: deque[float] = deque()
        self._returned = returned
        self._settle_s = settle_s
        self._most = int(budget_per_s * settle_s)
        self._on_disk: dict[str, bytes] = {}
        self._back: dict[str, float] = {}  # `returned` as it is on disk: after an outage that is the whole fleet

    def answered(self, series: Series) -> None:
        self.asked.pop(series, None)

    def room(self, now: float) -> int:
        """How many may be asked now; what was not answered in time may be asked again."""
        self.asked = {series: until for series, until in self.asked.items() if until > now}
        while self._spent and self._spent[0] <= now - self._settle_s:
            self._spent.popleft()
        return self._most - len(self._spent)

    def went_out(self, count: int, now: float) -> None:
        self._spent.extend([now] * count)

    def deadlines(self) -> list[float]:
        """When a look may be asked for that may not be now: an answer is overdue, or the budget has room again."""
        times = list(self.asked.values())
        return [*times, self._spent[0] + self._settle_s] if len(self._spent) >= self._most else times

    def written(self) -> dict[str, bytes]:
        """Rows for the journal that differ from those on disk; an empty one forgets."""
        rows = self._rows()
        fresh = {key: body for key, body in rows.items() if self._on_disk.get(key) != body}
        gone = self._on_disk.keys() - rows.keys()
        self._on_disk = rows
        back = {vantage: at for vantage, at in self._returned.items() if self._back.get(vantage) != at}
        self._back |= back
        fresh |= {_SEPARATOR.join((_BACK, vantage)): _packed([at]) for vantage, at in back.items()}
        return fresh | dict.fromkeys(sorted(gone), b"")

    def restore(self, memory: Mapping[str, bytes]) -> dict[str, bytes]:
        """Take up what a run before has written; what is not ours is handed back."""
        mine = {key: body for key, body in memory.items() if key.split(_SEPARATOR)[0] in (_ASKED, _BACK, _SPENT)}
        for key, body in mine.items():
            kind, *names = key.split(_SEPARATOR)
            times = [float(one) for one in body.decode().split()]
            if kind == _ASKED and len(names) == 3:
                self.asked[(names[0], names[1], names[2])] = times[0]
            elif kind == _BACK:
                self._returned[names[0]] = self._back[names[0]] = times[0]
            elif kind == _SPENT:
                self._spent.extend(times)
        self._on_disk = {key: body for key, body in mine.items() if key.split(_SEPARATOR)[0] != _BACK}
        return {key: body for key, body in memory.items() if key not in mine}

    def _rows(self) -> dict[str, bytes]:
        rows = {_SEPARATOR.join((_ASKED, *series)): _packed([until]) for series, until in self.asked.items()}
        return rows | ({_SPENT: _packed(self._spent)} if self._spent else {})


def _packed(times: Iterable[float]) -> bytes:
    return " ".join(map(repr, times)).encode()
