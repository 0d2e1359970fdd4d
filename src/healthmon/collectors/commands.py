"""A program of the operating system asked for its output: a list of arguments, no shell, an end, a cap."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Collection, Sequence

from healthmon.collectors.look import Unseen
from healthmon.model.sample import Reason

_SEARCH = None if sys.platform == "win32" else "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin"
#: What Windows programs cannot do without.
_KEPT = ("SYSTEMROOT", "SYSTEMDRIVE", "PATH", "PATHEXT", "TEMP")
MOST_BYTES = 2 * 1024 * 1024
TIMEOUT_S = 20.0


def run(
    argv: Sequence[str],
    *,
    codes: Collection[int] | None = (0,),
    timeout_s: float = TIMEOUT_S,
    environment: dict[str, str] | None = None,
) -> str:
    """What it prints; `codes` are the exit codes that are good (None: all). Raises Unseen."""
    path = shutil.which(argv[0], path=_SEARCH)
    if path is None:
        raise Unseen(Reason.NO_LIBRARY, f"the program {argv[0]} is not installed")
    child = subprocess.Popen(
        [path, *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment() | (environment or {}),
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    timer = threading.Timer(timeout_s, child.kill)
    timer.daemon = True
    timer.start()
    try:
        assert child.stdout is not None
        output = child.stdout.read(MOST_BYTES + 1)
        if len(output) > MOST_BYTES:
            raise Unseen(Reason.NO_ANSWER, f"{argv[0]} said more than {MOST_BYTES} bytes")
        code = child.wait()
    finally:
        late = not timer.is_alive()
        timer.cancel()
        _end(child)
    if late:
        raise Unseen(Reason.NO_ANSWER, f"{argv[0]} did not end in {timeout_s:g} s")
    if codes is not None and code not in codes:
        raise Unseen(Reason.NO_ANSWER, f"{argv[0]} ended with {code}")
    return output.decode("utf-8", "replace")


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _environment() -> dict[str, str]:
    if sys.platform == "win32":
        return {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {"PATH": str(_SEARCH), "LC_ALL": "C"}
