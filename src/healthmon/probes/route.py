"""Is it this machine's own network? Asks the kernel for a route and the interface for a carrier.

An EHOSTUNREACH from a router and one from our own missing route look the same to a socket, and a cable that
fell out of this machine makes every target time out. So after such a failure the runner asks here:
connecting a UDP socket sends nothing but needs a route, and its source address names the interface used.
"""

from __future__ import annotations

import socket

import psutil

from healthmon.model.ports import Address, Clock

#: Interfaces are listed at most this often; a failing sweep of thousands must not list them thousands of times.
_FRESH_S = 1.0


class RouteCheck:
    """`fault(address)` gives this machine's own trouble in words, or None when it has a way out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listed_at = float("-inf")
        self._down: dict[str, str] = {}

    def fault(self, address: Address) -> str | None:
        """Why this machine cannot reach the address at all, as far as the kernel knows."""
        try:
            with socket.socket(address.family, socket.SOCK_DGRAM) as sock:
                sock.connect((address.ip, address.port or 9))
                source = str(sock.getsockname()[0])
        except PermissionError:
            return None
        except OSError:
            return "this machine has no route there"
        interface = self._without_carrier().get(source)
        return f"interface {interface} of this machine has no link" if interface else None

    def _without_carrier(self) -> dict[str, str]:
        """Source address to interface, for interfaces that are down."""
        if self._clock.mono() - self._listed_at > _FRESH_S:
            self._listed_at = self._clock.mono()
            down = {name for name, state in psutil.net_if_stats().items() if not state.isup}
            addresses = psutil.net_if_addrs() if down else {}
            self._down = {entry.address.partition("%")[0]: name for name in down for entry in addresses.get(name, [])}
        return self._down
