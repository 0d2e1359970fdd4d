"""A child process in a box: its own process group, no environment, no descriptors of ours, an end that is sure."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from healthmon.model.ports import Clock
from healthmon.model.sample import Reason
from healthmon.probes.reasons import Finding
from healthmon.runtime.deadline import within
from healthmon.runtime.supervise import spawn

#: All that a child finds in its environment unless the config gives it more.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
Child = asyncio.subprocess.Process
_READ_BYTES = 16 * 1024
_MOST_FILE_BYTES = 16 * 1024 * 1024
_MOST_OPEN_FILES = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use; `cpu_s` and `memory_bytes` are kept by the kernel, `output_bytes` by us."""

    cpu_s: int
    memory_bytes: int
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How it went. `code` is negative for the signal that ended it; `over`: it said more than it may."""

    code: int
    output: bytes
    over: bool = False


def find_command(name: str, directories: Sequence[str]) -> str:
    """The program of this name in the first directory that has it. Raises Finding(bad_params, not_allowed).

    Refused: a link that leads out of the directories, and files or folders that anybody may write to.
    """
    roots = [Path(directory).resolve() for directory in directories]
    for root in roots:
        written = root / name
        if not written.is_file():
            continue
        real = written.resolve()
        if not any(real.is_relative_to(allowed) for allowed in roots):
            raise Finding(Reason.NOT_ALLOWED, f"{name} is a link out of the directories that are named")
        for path in (real, *_up_to(real, roots)):
            if _open_to_all(path):
                raise Finding(Reason.NOT_ALLOWED, f"anybody may write to {path}")
        if not os.access(written, os.X_OK):
            raise Finding(Reason.NO_PERMISSION, f"{name} may not be run by this user")
        return str(written)
    raise Finding(Reason.BAD_PARAMS, f"{name} is in none of the directories that are named")


def _up_to(path: Path, roots: Sequence[Path]) -> list[Path]:
    """The folders from the file up to the named directory, that one included."""
    return [folder for folder in path.parents if any(folder.is_relative_to(root) for root in roots)]


def _open_to_all(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IWOTH)


async def run_boxed(
    argv: Sequence[str], *, environment: Mapping[str, str], limits: Limits, timeout_s: float, clock: Clock
) -> Ended:
    """Run to its end or to `timeout_s`; whatever it started in its group ends with it. Raises TimeoutError, Finding."""
    if sys.platform == "win32":
        raise Finding(Reason.NO_PERMISSION, "plugins run on Linux and other POSIX systems only")
    folder = tempfile.mkdtemp(prefix="healthmon-exec-")
    ours, theirs = os.pipe()  # not asyncio's own pipe: with that, `wait` would wait for every holder of the other end
    try:
        try:
            child = await _start(_limited(argv, limits), {**ENVIRONMENT, **environment}, folder, theirs)
        finally:
            os.close(theirs)
        try:
            async with within(timeout_s, clock):
                return await _listen(child, ours, limits)
        finally:
            end_group(child.pid)
            await child.wait()
    finally:
        os.close(ours)
        shutil.rmtree(folder, ignore_errors=True)


async def _start(argv: Sequence[str], environment: Mapping[str, str], folder: str, stdout: int) -> Child:
    """`start_new_session`: a group of its own; descriptors other than the three are closed."""
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        cwd=folder,
        start_new_session=True,
        close_fds=True,
    )


async def _listen(child: Child, ours: int, limits: Limits) -> Ended:
    """Output until the child itself has ended: a grandchild that holds the pipe delays nothing."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    pipe = os.fdopen(os.dup(ours), "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
    output = bytearray()
    try:
        async with asyncio.TaskGroup() as group:
            reading = spawn(group, "plugin output", _read(reader, output, limits.output_bytes, child.pid))
            code = await child.wait()
            end_group(child.pid)
            await reading
    finally:
        transport.close()
    return Ended(code, bytes(output[: limits.output_bytes]), over=len(output) > limits.output_bytes)


async def _read(reader: asyncio.StreamReader, output: bytearray, most_bytes: int, pid: int) -> None:
    while data := await reader.read(_READ_BYTES):
        output += data
        if len(output) > most_bytes:
            end_group(pid)
            return


def end_group(pid: int) -> None:
    """SIGKILL to the child and all that it started in its group; nothing if they are gone."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _limited(argv: Sequence[str], limits: Limits) -> list[str]:
    """The command behind prlimit(1), which sets the limits and becomes the command: no code of ours after the fork."""
    prlimit = _prlimit()
    if prlimit is None:
        raise Finding(Reason.NO_LIBRARY, "the program prlimit (util-linux) is not installed")
    return [
        prlimit,
        f"--cpu={limits.cpu_s}:{limits.cpu_s + 1}",
        f"--as={limits.memory_bytes}",
        f"--fsize={_MOST_FILE_BYTES}",
        f"--nofile={_MOST_OPEN_FILES}",
        "--core=0",
        "--",
        *argv,
    ]


@cache
def _prlimit() -> str | None:
    return shutil.which("prlimit", path="/usr/bin:/bin:/usr/sbin:/sbin")
