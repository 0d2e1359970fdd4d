"""A hospital of network namespaces: routed wards, a server side, a monitor; links are veth pairs that can be cut.

Needs root. Every name starts with the lab's prefix, and `tear_down` removes what was made.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

CLONE_NEWNET = 0x40000000


def need_lab() -> None:
    """Skip, with the reason, where namespaces cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if not shutil.which("ip", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        pytest.skip("iproute2 is not installed")


def ip(*arguments: str, check: bool = True) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *arguments], check=check, capture_output=not check)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Sockets that this thread opens meanwhile belong to the namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(there)


@dataclass
class Lab:
    """Namespaces by short name, and their links to the core."""

    prefix: str
    names: list[str] = field(default_factory=list)

    def full(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def add(self, name: str) -> str:
        """A namespace with loopback up."""
        full = self.full(name)
        ip("netns", "add", full)
        self.names.append(full)
        ip("-n", full, "link", "set", "lo", "up")
        return full

    def router(self, name: str) -> str:
        """A namespace that forwards."""
        full = self.add(name)
        self.run(name, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        return full

    def link(self, one: str, other: str, *, one_address: str, other_address: str, gateway: bool = True) -> None:
        """A veth pair; each end is named after the other side. `gateway`: other's default route goes to one."""
        near, far = other[:12], one[:12]
        ip("link", "add", near, "netns", self.full(one), "type", "veth", "peer", "name", far, "netns", self.full(other))
        for where, device, address in ((one, near, one_address), (other, far, other_address)):
            ip("-n", self.full(where), "addr", "add", address, "dev", device)
            ip("-n", self.full(where), "link", "set", device, "up")
        if gateway:
            ip("-n", self.full(other), "route", "add", "default", "via", one_address.split("/")[0])

    def route(self, where: str, network: str, via: str) -> None:
        ip("-n", self.full(where), "route", "add", network, "via", via)

    def cut(self, one: str, other: str) -> None:
        """Take the link down on `one`'s side."""
        ip("-n", self.full(one), "link", "set", other[:12], "down")

    def mend(self, one: str, other: str) -> None:
        ip("-n", self.full(one), "link", "set", other[:12], "up")

    def argv(self, name: str, *command: str) -> list[str]:
        """The command line that runs inside."""
        return ["ip", "netns", "exec", self.full(name), *command]

    def run(self, name: str, *command: str) -> None:
        subprocess.run(self.argv(name, *command), check=True, capture_output=True)

    def tear_down(self) -> None:
        """Remove every namespace; the links go with them."""
        for full in reversed(self.names):
            ip("netns", "del", full, check=False)
        self.names.clear()
