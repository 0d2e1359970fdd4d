"""A hospital of network namespaces: routed wards, a server side, a monitor; links are veth pairs that can be cut.

Needs root. Every name starts with the lab's prefix, which carries the process id: what a killed run has left behind
is removed by the next one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000
NAME = "hmlab-"
NAMESPACES = Path("/run/netns")


def need_lab() -> None:
    """Skip, with the reason, where namespaces cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    for program in ("ip", "nft"):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            pytest.skip(f"{program} is not installed")
    made = subprocess.run(["ip", "netns", "add", f"{NAME}{os.getpid()}-try"], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"network namespaces cannot be made: {made.stderr.strip()}")
    ip("netns", "del", f"{NAME}{os.getpid()}-try")


def ip(*arguments: str, check: bool = True) -> None:
    """Run `ip`."""
    _run(["ip", *arguments], check=check)


def _run(argv: list[str], *, check: bool = True) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Sockets that this thread opens meanwhile belong to the namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(NAMESPACES / namespace, os.O_RDONLY)
    try:
        if libc.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(there)


@contextlib.contextmanager
def new_lab() -> Iterator[Lab]:
    """An empty lab with a prefix of its own; everything in it is gone afterwards."""
    sweep()
    lab = Lab(f"{NAME}{os.getpid()}-{os.urandom(2).hex()}-")
    try:
        yield lab
    finally:
        lab.tear_down()


def sweep() -> None:
    """Remove the namespaces of runs that are dead."""
    for path in sorted(NAMESPACES.glob(f"{NAME}*")):
        pid = path.name.removeprefix(NAME).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            ip("netns", "del", path.name, check=False)


@dataclass
class Lab:
    """Namespaces by short name, and their links to the core."""

    prefix: str
    names: list[str] = field(default_factory=list)
    _routes: dict[tuple[str, str], list[tuple[str, ...]]] = field(default_factory=dict)

    def full(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def add(self, name: str) -> str:
        """A namespace with loopback up."""
        full = self.full(name)
        ip("netns", "add", full)
        self.names.append(full)
        ip("-n", full, "link", "set", "lo", "up")
        return full

    def router(self, name: str) -> None:
        """A namespace that forwards."""
        self.add(name)
        self.run(name, "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def link(self, one: str, other: str, *, one_address: str, other_address: str) -> None:
        """A veth pair; each end is named after the other side, and `other`'s default route goes to `one`."""
        self._pair(one, other)
        for where, device, address in ((one, other, one_address), (other, one, other_address)):
            ip("-n", self.full(where), "addr", "add", address, "dev", device)
        self._keep_route(other, one, "default", "via", one_address.split("/")[0])

    def own_address(self, name: str, address: str) -> None:
        """An address that belongs to no link; routes over a link without carrier are not used."""
        ip("-n", self.full(name), "addr", "add", f"{address}/32", "dev", "lo")
        self.run(name, "sysctl", "-qw", "net.ipv4.conf.all.ignore_routes_with_linkdown=1")
        self.run(name, "sysctl", "-qw", "net.ipv4.conf.default.ignore_routes_with_linkdown=1")

    def uplink(self, name: str, core: str, *, net: str, own: str, far: str, metric: int) -> None:
        """One of several links of `name` to a core: a default route by metric, and the core's own address over it."""
        self._pair(core, name)
        ip("-n", self.full(core), "addr", "add", f"{net}.1/30", "dev", name)
        ip("-n", self.full(name), "addr", "add", f"{net}.2/30", "dev", core)
        self._keep_route(name, core, "default", "via", f"{net}.1", "src", own, "metric", str(metric))
        self._keep_route(name, core, f"{far}/32", "via", f"{net}.1", "src", own)
        self._keep_route(core, name, f"{own}/32", "via", f"{net}.2", "src", far)

    def bridge(self, name: str, address: str) -> None:
        """A switch in a ward's router, with its address."""
        full = self.full(name)
        ip("-n", full, "link", "add", "br0", "type", "bridge")
        ip("-n", full, "addr", "add", address, "dev", "br0")
        ip("-n", full, "link", "set", "br0", "up")

    def plug(self, switch: str, host: str, address: str, *, gateway: str) -> None:
        """A host on a port of that switch."""
        self.add(host)
        self._pair(switch, host)
        ip("-n", self.full(switch), "link", "set", host, "master", "br0")
        ip("-n", self.full(host), "addr", "add", address, "dev", switch)
        ip("-n", self.full(host), "route", "add", "default", "via", gateway)

    def _pair(self, one: str, other: str) -> None:
        near, far = self.full(one), self.full(other)
        ip("link", "add", other, "netns", near, "type", "veth", "peer", "name", one, "netns", far)
        for where, device in ((one, other), (other, one)):
            ip("-n", self.full(where), "link", "set", device, "up")

    def route(self, where: str, network: str, via: str) -> None:
        """A route over the link to whichever namespace has `via`; a mended link gets it back."""
        self._keep_route(where, self._towards(where, via), network, "via", via)

    def _towards(self, where: str, via: str) -> str:
        found = subprocess.run(self.argv(where, "ip", "route", "get", via), capture_output=True, text=True, check=True)
        return found.stdout.split(" dev ")[1].split()[0]

    def _keep_route(self, where: str, device: str, *route: str) -> None:
        self._routes.setdefault((where, device), []).append(route)
        ip("-n", self.full(where), "route", "replace", *route)

    def cut(self, one: str, other: str) -> None:
        """Take the link down on `one`'s side: both see that it has gone."""
        ip("-n", self.full(one), "link", "set", other, "down")

    def mend(self, one: str, other: str) -> None:
        """Up again, with the routes that went with it."""
        ip("-n", self.full(one), "link", "set", other, "up")
        for where, device in ((one, other), (other, one)):
            for route in self._routes.get((where, device), ()):
                ip("-n", self.full(where), "route", "replace", *route)

    def swallow(self, one: str, other: str) -> None:
        """Drop everything on the link, silently: neither side sees it go."""
        rules = (
            "table inet swallow { "
            f'chain arriving {{ type filter hook prerouting priority -500; iifname "{other}" drop; }}; '
            f'chain leaving {{ type filter hook postrouting priority -500; oifname "{other}" drop; }}; }}'
        )
        self.run(one, "nft", rules)

    def gag(self, name: str) -> None:
        """The namespace's own packet filter drops everything that it sends; loopback and what arrives pass."""
        rules = 'table inet gag { chain out { type filter hook output priority 0; oifname != "lo" drop; }; }'
        self.run(name, "nft", rules)

    def ungag(self, name: str) -> None:
        self.run(name, "nft", "delete table inet gag")

    def spit_out(self, one: str) -> None:
        self.run(one, "nft", "delete table inet swallow")

    def argv(self, name: str, *command: str) -> list[str]:
        """The command line that runs inside."""
        return ["ip", "netns", "exec", self.full(name), *command]

    def run(self, name: str, *command: str) -> None:
        _run(self.argv(name, *command))

    def tear_down(self) -> None:
        """Remove every namespace; the links go with them."""
        for full in reversed(self.names):
            ip("netns", "del", full, check=False)
        self.names.clear()
