"""Counters to rates: wrap, reboot and gaps, never a negative rate. Pure."""

from __future__ import annotations

from collections.abc import Hashable

#: sysUpTime counts hundredths of a second in 32 bits (RFC 3418), so it wraps after 497.1 days.
UPTIME_WRAP_TICKS = 2**32
#: How far a device's clock and ours may differ between two polls before a smaller uptime means a restart.
UPTIME_SLACK_S = 10.0
UPTIME_SLACK_RATIO = 0.02


def counter_rate(
    before: int, after: int, *, elapsed_s: float, bits: int, most_per_s: float | None = None
) -> float | None:
    """Increase per second, or None when it cannot be known (no time passed, or the counter was set back).

    A smaller value is a wrap when the wrapped step is believable: at most `most_per_s`, or without that
    at most half of the counter's range; otherwise the counter was reset.
    """
    if elapsed_s <= 0.0 or after < 0 or before < 0:
        return None
    step = after - before
    if step < 0:
        step += 2**bits
        most = most_per_s * elapsed_s if most_per_s is not None else 2.0 ** (bits - 1)
        if step < 0 or step > most:
            return None
    return step / elapsed_s


def restarted(before_ticks: int, after_ticks: int, *, elapsed_s: float) -> bool:
    """Whether the device started anew between two readings of sysUpTime (its 497-day wrap is no restart)."""
    slack_ticks = 100.0 * (UPTIME_SLACK_S + UPTIME_SLACK_RATIO * elapsed_s)
    passed = after_ticks - before_ticks
    if passed < 0:
        passed += UPTIME_WRAP_TICKS
    return abs(passed - 100.0 * elapsed_s) > slack_ticks


class Counters:
    """The last value of every counter of one source; `begin` a poll, then ask `rate` for each counter.

    Times are monotonic seconds. A counter not seen for `forget_s` is forgotten.
    """

    def __init__(self, *, forget_s: float = 3600.0) -> None:
        self._forget_s = forget_s
        self._last: dict[Hashable, tuple[int, float]] = {}
        self._uptime: tuple[int, float] | None = None

    def __len__(self) -> int:
        return len(self._last)

    def begin(self, mono: float, *, uptime_ticks: int | None = None) -> bool:
        """Start a poll; True when the source has restarted, and then every counter starts anew."""
        anew = False
        if uptime_ticks is not None:
            if self._uptime is not None:
                ticks, at = self._uptime
                anew = restarted(ticks, uptime_ticks, elapsed_s=mono - at)
            self._uptime = (uptime_ticks, mono)
        if anew:
            self._last.clear()
        else:
            self._last = {k: v for k, v in self._last.items() if mono - v[1] <= self._forget_s}
        return anew

    def rate(
        self, key: Hashable, value: int, mono: float, *, bits: int = 64, most_per_s: float | None = None
    ) -> float | None:
        """Per second since the last poll of this counter; None on the first one and after a reset."""
        before = self._last.get(key)
        self._last[key] = (value, mono)
        if before is None:
            return None
        return counter_rate(before[0], value, elapsed_s=mono - before[1], bits=bits, most_per_s=most_per_s)

    def changed(self, key: Hashable, value: int, mono: float) -> bool:
        """Whether a marker (such as a discontinuity time) is another one than at the last poll."""
        before = self._last.get(key)
        self._last[key] = (value, mono)
        return before is not None and before[0] != value

    def forget(self, key: Hashable) -> None:
        """The next value of this counter is a first one."""
        self._last.pop(key, None)
