"""Files that only their owner may read: written whole or not at all, read again when they have changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from healthmon.model.errors import ConfigError


def write_private(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a file of mode 0600, whole or not at all. durable: it survives a power cut from here on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    owned_like_folder(beside)
    beside.replace(path)


def owned_like_folder(path: Path) -> None:
    """What root writes beside a service's files belongs to the service, which could not read it otherwise."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)


class PrivateTable:
    """One JSON object by key in a private file, or in memory where there is no path."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._rows: dict[str, Any] = {}
        self._mark: tuple[int, int, int] | None = None

    def rows(self) -> dict[str, Any]:
        """Everything that is kept now, whoever wrote it. Raises ConfigError when the file is none of ours."""
        mark = self._present()
        if mark != self._mark:
            self._rows = self._read() if mark else {}
            self._mark = mark
        return self._rows

    def write(self, rows: dict[str, Any], *, durable: bool = True) -> None:
        self._rows = rows
        if self.path:
            write_private(self.path, json.dumps(rows, indent=1, sort_keys=True) + "\n", durable=durable)
            self._mark = self._present()

    def _present(self) -> tuple[int, int, int] | None:
        if self.path is None:
            return self._mark
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> dict[str, Any]:
        assert self.path is not None
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError) as error:
            raise ConfigError([f"{self.path}: cannot be read ({error}); restore it or move it away"]) from error
        if not isinstance(found, dict) or not all(isinstance(row, dict) for row in found.values()):
            raise ConfigError([f"{self.path}: is not a table of ours; restore it or move it away"])
        return found
