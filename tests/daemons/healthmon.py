"""healthmon's own roles as real processes, and its API as a user calls it."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemons.process import Daemon


def role(*arguments: str, log: Path, ready: Callable[[], bool], inside: list[str] | None = None) -> Daemon:
    """`healthmon ARGUMENTS` as a child; `inside` is a prefix such as `ip netns exec NAME`."""
    argv = [*(inside or []), sys.executable, "-m", "healthmon", *arguments]
    return Daemon(argv, ready=ready, log=log, timeout_s=60.0)


def api(base: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> Any:
    """One call of /api/v1; raises urllib's errors."""
    request = urllib.request.Request(f"{base}/api/v1/{path}")
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data, timeout=10) as answer:
        return json.loads(answer.read())


def answers(base: str) -> Callable[[], bool]:
    """Ready when the API says how it is."""

    def ready() -> bool:
        try:
            return bool(api(base, "health"))
        except OSError:
            return False

    return ready


def until(condition: Callable[[], Any], *, timeout_s: float, every_s: float = 0.1, what: str = "") -> Any:
    """The first true value of `condition`; a failure that says what was waited for."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(every_s)
    raise AssertionError(f"not within {timeout_s} s: {what or condition}")
