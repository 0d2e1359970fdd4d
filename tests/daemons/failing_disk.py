"""sqlite's own file layer with one effect that fails: a shim in front of its VFS, below everything of ours.

Every write, truncation and sync of a database, its log and its copies counts. One of them is refused as the kernel
would refuse it, half written or not at all; what comes after works again. Nothing is really synced: a test that wants
a power cut copies the files.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Callable, Iterator
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

import pytest

_IO, _FULL = 10, 13
_WRITE, _SYNC, _TRUNCATE = _IO | 3 << 8, _IO | 4 << 8, _IO | 6 << 8
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)  # the name as it lies: sqlite keeps it
_WRITES = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATES = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNCS = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(ctypes.Structure):
    """sqlite3_vfs; what we do not touch is one field."""

    _fields_ = [
        ("iVersion", c_int), ("szOsFile", c_int), ("mxPathname", c_int), ("pNext", c_void_p), ("zName", c_char_p),
        ("pAppData", c_void_p), ("xOpen", c_void_p), ("rest", c_void_p * 15),
    ]  # fmt: skip


class _Methods(ctypes.Structure):
    """sqlite3_io_methods."""

    _fields_ = [
        ("iVersion", c_int), ("xClose", c_void_p), ("xRead", c_void_p), ("xWrite", c_void_p), ("xTruncate", c_void_p),
        ("xSync", c_void_p), ("rest", c_void_p * 13),
    ]  # fmt: skip


class _File(ctypes.Structure):
    _fields_ = [("pMethods", POINTER(_Methods))]


class Disk:
    """`fail(n, ...)` arms the n-th effect from then on; `effects` counts them."""

    def __init__(self) -> None:
        self.effects = 0
        self.failed = ""  # what the effect was that failed
        self._at = 0
        self._torn = False
        self._cut: Callable[[], None] = lambda: None
        self._kept: list[Any] = []  # what sqlite points at lives as long as the process
        self._methods: dict[int, Any] = {}

    def fail(self, at: int, *, torn: bool = False, cut: Callable[[], None] = lambda: None) -> None:
        """torn: half of a write is there; else there is no room for any of it. cut: runs at that moment."""
        self.effects, self._at, self._torn, self._cut, self.failed = 0, at, torn, cut, ""

    def _fails(self, what: str) -> bool:
        self.effects += 1
        if self.effects != self._at:
            return False
        self.failed = what
        return True

    def vfs(self, default: Any) -> _Vfs:
        """The default one with our `xOpen`."""
        made = _Vfs.from_buffer_copy(default.contents)
        opens = _OPEN(default.contents.xOpen)

        def opened(vfs: int, name: int, file: int, flags: int, out: int) -> int:
            code = int(opens(vfs, name, file, flags, out))
            found = ctypes.cast(file, POINTER(_File)).contents
            if code == 0 and found.pMethods:
                found.pMethods = ctypes.pointer(self._shimmed(found.pMethods))
            return code

        ours = _OPEN(opened)
        made.zName, made.pNext, made.xOpen = b"failing", None, ctypes.cast(ours, c_void_p)
        self._kept += [made, ours, opens]
        return made

    def _shimmed(self, methods: Any) -> _Methods:
        key = ctypes.addressof(methods.contents)
        if key not in self._methods:
            self._methods[key] = self._wrapped(methods.contents)
        return self._methods[key]  # type: ignore[no-any-return]

    def _wrapped(self, of: _Methods) -> _Methods:
        made = _Methods.from_buffer_copy(of)
        writes, truncates = _WRITES(of.xWrite), _TRUNCATES(of.xTruncate)

        def write(file: int, data: int, size: int, offset: int) -> int:
            if not self._fails("write"):
                return int(writes(file, data, size, offset))
            if self._torn:
                writes(file, data, size // 2, offset)
            self._cut()
            return _WRITE if self._torn else _FULL

        def truncate(file: int, size: int) -> int:
            if not self._fails("truncate"):
                return int(truncates(file, size))
            self._cut()
            return _TRUNCATE

        def sync(_: int, __: int) -> int:
            if not self._fails("sync"):
                return 0
            self._cut()
            return _SYNC

        ours = (_WRITES(write), _TRUNCATES(truncate), _SYNCS(sync))
        made.xWrite, made.xTruncate, made.xSync = (ctypes.cast(one, c_void_p) for one in ours)
        self._kept += [made, *ours, writes, truncates]
        return made


def _library() -> Any:
    """The sqlite that this interpreter uses."""
    import _sqlite3

    mapped = re.findall(r"\S*/libsqlite3\.so\S*", Path("/proc/self/maps").read_text())
    library: Any = ctypes.CDLL(mapped[0] if mapped else _sqlite3.__file__)
    try:
        library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    except AttributeError:
        pytest.skip("this interpreter keeps its sqlite to itself")
    library.sqlite3_vfs_find.argtypes = [c_char_p]
    library.sqlite3_vfs_register.argtypes = [POINTER(_Vfs), c_int]
    library.sqlite3_vfs_unregister.argtypes = [POINTER(_Vfs)]
    return library


@contextlib.contextmanager
def failing_disk() -> Iterator[Disk]:
    """Every database that is opened within the block is on it."""
    library, disk = _library(), Disk()
    default = library.sqlite3_vfs_find(None)
    ours = disk.vfs(default)
    assert library.sqlite3_vfs_register(ours, 1) == 0
    try:
        yield disk
    finally:
        disk.fail(0)
        library.sqlite3_vfs_unregister(ours)
        library.sqlite3_vfs_register(default, 1)
        _forever.append(disk)


#: A connection that is closed late still finds its methods.
_forever: list[Disk] = []
