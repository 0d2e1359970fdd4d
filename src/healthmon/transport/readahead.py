"""A socket that is read in large pieces: paho asks for a packet in four small ones, each a system call of its own.

Each such call gives the interpreter away as well, and beside a thread that computes it comes back late. And an event
loop that reads one packet a round has as many rounds a second as messages.
"""

from __future__ import annotations

import socket
from typing import Any

PIECE_BYTES = 64 << 10


class ReadAhead:
    """Stands for a connected socket; `pending` is what `ssl.SSLSocket` calls what can be read without the kernel."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held = memoryview(b"")

    def recv(self, most: int) -> bytes:
        """As `socket.recv`; raises what that raises."""
        if not self._held:
            self._held = memoryview(self._sock.recv(max(most, PIECE_BYTES)))
        piece, self._held = self._held[:most], self._held[most:]
        return bytes(piece)

    def pending(self) -> int:
        """Bytes that wait here, or decrypted below."""
        below = getattr(self._sock, "pending", None)
        return len(self._held) + (int(below()) if below else 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)
