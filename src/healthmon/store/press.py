"""Packs blocks in a process of its own, which lives as long as one seal.

Packing is plain Python: the rows of 10,000 agents take half a minute, and a thread that packs takes half of the
interpreter from the loop that hears the agents. The process reads columns from its standard input and writes blocks to
its standard output, each behind its length; it ends when the input does, so also when its parent was killed.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any

import msgspec

from healthmon.store.blocks import Column, Pressed, pressed

_LENGTH_BYTES = 4
_END_S = 10.0
_BLOCK_S = 120.0  # for one block, which takes a second or two

_pack = msgspec.msgpack.Encoder().encode
#: Times that columns share, then of each column its series, which times, and its values.
_unpack = msgspec.msgpack.Decoder(tuple[list[list[int]], list[tuple[int, int, list[float | bool | str]]]])
_unpack_pressed = msgspec.msgpack.Decoder(tuple[int, bytes])


class Press:
    """A context: `pressed` is what `blocks.pressed` is, elsewhere. Raises OSError when the process cannot go on."""

    def __enter__(self) -> Press:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "healthmon.store.press"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # it is gone, and what was not written with it
                pass
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def pressed(self, columns: Sequence[Column]) -> Pressed:
        """The same bytes as `blocks.pressed` gives."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        times: dict[int, int] = {}
        shared: list[Sequence[int]] = []
        told: list[tuple[int, int, Sequence[Any]]] = []
        for column in columns:
            place = times.setdefault(id(column.times), len(shared))
            if place == len(shared):
                shared.append(column.times)
            told.append((column.series, place, column.values))
        deadline = threading.Timer(_BLOCK_S, self._process.kill)
        deadline.daemon = True
        deadline.start()
        try:
            _write(self._process.stdin, _pack((shared, told)))
            answer = _read(self._process.stdout)
        finally:
            deadline.cancel()
        if answer is None:
            raise OSError("the process that packs blocks has ended")
        try:
            return _unpack_pressed.decode(answer)
        except msgspec.MsgspecError as error:
            raise OSError(f"what packs blocks is something else: {error}") from None


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """The other end: until the input is over."""
    while (frame := _read(source)) is not None:
        times, told = _unpack.decode(frame)
        _write(sink, _pack(pressed([Column(series, times[place], values) for series, place, values in told])))


def _write(pipe: IO[bytes], frame: bytes) -> None:
    pipe.write(len(frame).to_bytes(_LENGTH_BYTES, "big"))
    pipe.write(frame)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes | None:
    """The next frame; None when there is no whole one any more."""
    length = pipe.read(_LENGTH_BYTES)
    if len(length) < _LENGTH_BYTES:
        return None
    frame = pipe.read(int.from_bytes(length, "big"))
    return frame if len(frame) == int.from_bytes(length, "big") else None


if __name__ == "__main__":
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:  # whoever asked is gone
        sys.stdout = None
