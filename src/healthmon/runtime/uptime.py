"""How long this machine has run since its boot, and how much of that it was asleep."""

from __future__ import annotations

import sys
import time


def up_s() -> float | None:
    """Seconds since boot, sleep included; None where the system does not say."""
    if sys.platform == "win32":
        return _windows("GetTickCount64", 1e-3)
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return None


def asleep_s() -> float | None:
    """Seconds since boot in which the machine slept (suspended or hibernated); None where the system does not say."""
    up = up_s()
    awake = _awake_s()
    return max(0.0, up - awake) if up is not None and awake is not None else None


def _awake_s() -> float | None:
    if sys.platform == "win32":
        return _unbiased()
    return time.clock_gettime(time.CLOCK_MONOTONIC) if hasattr(time, "CLOCK_BOOTTIME") else None


def _windows(function: str, scale: float) -> float | None:  # pragma: no cover - Windows only
    import ctypes

    call = getattr(ctypes.WinDLL("kernel32"), function)  # type: ignore[attr-defined,unused-ignore]
    call.restype = ctypes.c_uint64
    return float(call()) * scale


def _unbiased() -> float | None:  # pragma: no cover - Windows only
    import ctypes

    value = ctypes.c_uint64(0)
    ok = ctypes.WinDLL("kernel32").QueryUnbiasedInterruptTime(ctypes.byref(value))  # type: ignore[attr-defined,unused-ignore]
    return value.value * 1e-7 if ok else None
