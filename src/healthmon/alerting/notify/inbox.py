"""A channel that appends to a file: the local inbox of a demonstration or a small site."""

from __future__ import annotations

import asyncio
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from healthmon.alerting.notify.message import payload
from healthmon.model.incident import Notice
from healthmon.model.ports import Dead, Retry, Sent

#: A person must look: waiting does not make a path a file or give us the right to write.
_LASTING = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)


@dataclass(frozen=True, slots=True)
class Params:
    """path: a file of JSON lines, made when it is not there."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    path: str

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path must name a file")


class Inbox:
    """One JSON line per message, on disk when `send` returns."""

    def __init__(self, params: Params) -> None:
        self._path = Path(params.path)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inbox")

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """Append and fsync, in a thread of its own."""
        line = msgspec.json.encode(payload(notice)) + b"\n"
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, append_line, self._path, line)
        except OSError as error:
            word = os.strerror(error.errno) if error.errno else type(error).__name__
            return Dead(word) if error.errno in _LASTING else Retry(word)
        return Sent(str(self._path.name))


def append_line(path: Path, line: bytes) -> None:
    """Append one whole line durably; a line torn by a crash or a full disk before it is closed off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line
        while line:
            line = line[os.write(handle, line) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def read_inbox(path: str | Path) -> list[dict[str, Any]]:
    """Every whole message in the file; torn lines are passed over."""
    file = Path(path)
    messages = []
    for line in file.read_bytes().splitlines() if file.exists() else ():
        try:
            messages.append(msgspec.json.decode(line, type=dict[str, Any]))
        except msgspec.MsgspecError:
            continue
    return messages
