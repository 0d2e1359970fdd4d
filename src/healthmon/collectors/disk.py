"""host_disk: room on every real file system; one that hangs is reported and delays nobody."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import psutil

from healthmon.collectors.look import look, params_of
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Sample

FAMILIES = (
    Family(
        "host_disk",
        frozenset({"total_bytes", "free_bytes", "used_bytes", "used_ratio", "inodes_used_ratio", "answers"})
        | {"growth_bytes_per_second", "full_in_seconds"},
        frozenset({"mount"}),
    ),
)

#: File systems without room of their own: kernel tables, read-only images, overlays of something else.
PSEUDO = frozenset(
    "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devfs devpts devtmpfs efivarfs fusectl hugetlbfs "
    "iso9660 mqueue nsfs overlay proc pstore ramfs rpc_pipefs securityfs selinuxfs squashfs sysfs tmpfs tracefs".split()
)


@dataclass(frozen=True, slots=True)
class Params:
    """`mounts`: only these (default: every real one); `skip`: never these; `each_s`: patience with one mount."""

    mounts: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    each_s: float = 2.0

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not 0.05 <= self.each_s <= 60.0:
            raise ValueError("each_s must be 0.05 to 60")
        if any(not mount for mount in (*self.mounts, *self.skip)):
            raise ValueError("a mount must not be empty")


@dataclass(frozen=True, slots=True)
class Room:
    """Space of one file system, as a user who is not root has it."""

    total_bytes: float
    free_bytes: float
    used_bytes: float
    used_ratio: float
    inodes_used_ratio: float | None = None


class Growth:
    """How fast one file system fills: a straight line through the last six hours, a point each five minutes."""

    SPACING_S, WINDOW_S, LEAST_S = 300.0, 6 * 3600.0, 1800.0
    #: No end in sight: ten years, and not a missing figure, so that a rule which fires can clear.
    MOST_S = 3650 * 86400.0

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._total_bytes = 0.0

    def forecast(self, room: Room, mono: float) -> dict[str, float]:
        """Nothing before half an hour has been seen."""
        if room.total_bytes != self._total_bytes:  # enlarged: another curve
            self._points, self._total_bytes = [], room.total_bytes
        if not self._points or mono - self._points[-1][0] >= self.SPACING_S:
            self._points = [point for point in self._points if mono - point[0] <= self.WINDOW_S]
            self._points.append((mono, room.used_bytes))
        if mono - self._points[0][0] < self.LEAST_S:
            return {}
        slope = _slope([*self._points, (mono, room.used_bytes)])
        full_in_s = room.free_bytes / slope if slope > 0.0 else self.MOST_S
        return {"growth_bytes_per_second": slope, "full_in_seconds": min(full_in_s, self.MOST_S)}


def _slope(points: list[tuple[float, float]]) -> float:
    """Least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


class DiskCollector:
    """Each mount is measured in a thread of its own.

    A thread that hangs (a dead file server) is left alone, its mount says `answers` 0, and no second one is
    started for that mount until the first has ended; it is a daemon thread, so it cannot keep the agent alive.
    """

    def __init__(self, measure: Callable[[str], Room] | None = None) -> None:
        self._measure = measure or measure_room
        self._hung: dict[str, threading.Thread] = {}
        self._growth: dict[str, Growth] = {}

    async def probe(self, job: Job, sight: Sight) -> Reading:
        return await look(job, sight, lambda: self._see(job, sight.clock.mono()))

    def _see(self, job: Job, mono: float) -> list[Sample]:
        params = params_of(job, Params)
        mounts = chosen_mounts(params, _partitions(everything=bool(params.mounts)))
        rooms = self._measure_all(mounts, params.each_s)
        samples = [sample for mount in mounts for sample in _samples(mount, rooms.get(mount))]
        for mount, room in rooms.items():
            if isinstance(room, Room):
                forecast = self._growth.setdefault(mount, Growth()).forecast(room, mono)
                samples += [Sample("host_disk", name, value, {"mount": mount}) for name, value in forecast.items()]
        return samples

    def _measure_all(self, mounts: Iterable[str], patience_s: float) -> dict[str, Room | OSError]:
        rooms: dict[str, Room | OSError] = {}
        started: dict[str, threading.Thread] = {}
        for mount in mounts:
            if mount in self._hung and self._hung[mount].is_alive():
                continue
            thread = threading.Thread(target=self._into, args=(rooms, mount), name=f"disk {mount}", daemon=True)
            thread.start()
            started[mount] = thread
        gate = threading.Event()
        for waited in _steps(patience_s):
            if not any(thread.is_alive() for thread in started.values()):
                break
            gate.wait(waited)
        self._hung.update(started)
        self._hung = {mount: thread for mount, thread in self._hung.items() if thread.is_alive()}
        return dict(rooms)

    def _into(self, rooms: dict[str, Room | OSError], mount: str) -> None:
        try:
            rooms[mount] = self._measure(mount)
        except OSError as error:
            rooms[mount] = error


def _steps(total_s: float) -> Iterable[float]:
    """Waits that add up to `total_s`: short ones first, for the usual case of microseconds."""
    step_s = 0.001
    while total_s > 0.0:
        yield min(step_s, total_s)
        total_s -= step_s
        step_s = min(2 * step_s, 0.05)


@dataclass(frozen=True, slots=True)
class Partition:
    device: str
    mount: str
    fstype: str


def _partitions(*, everything: bool) -> list[Partition]:
    return [Partition(p.device, p.mountpoint, p.fstype) for p in psutil.disk_partitions(all=everything)]


def chosen_mounts(params: Params, partitions: Iterable[Partition]) -> list[str]:
    """Named mounts as they are named; else every real file system once (bind mounts share a device)."""
    if params.mounts:
        return [mount for mount in params.mounts if mount not in params.skip]
    by_device: dict[str, str] = {}
    for part in sorted(partitions, key=lambda p: (len(p.mount), p.mount)):
        if part.fstype not in PSEUDO and part.mount not in params.skip:
            by_device.setdefault(part.device, part.mount)
    found = list(by_device.values())
    if sys.platform != "win32" and "/" not in found and "/" not in params.skip:
        found.insert(0, "/")  # in a container the root is an overlay, and it can be full all the same
    return found


def measure_room(mount: str) -> Room:
    """Blocking. Raises OSError."""
    usage = psutil.disk_usage(mount)
    usable = usage.used + usage.free
    inodes: float | None = None
    if hasattr(os, "statvfs"):
        stats = os.statvfs(mount)
        if stats.f_files:  # btrfs and vfat have no fixed number of inodes
            inodes = 1.0 - stats.f_ffree / stats.f_files
    used_ratio = usage.used / usable if usable else 0.0
    return Room(float(usage.total), float(usage.free), float(usage.used), used_ratio, inodes)


def _samples(mount: str, room: Room | OSError | None) -> list[Sample]:
    labels = {"mount": mount}
    if not isinstance(room, Room):
        return [Sample("host_disk", "answers", 0.0, labels)]
    found = {
        "answers": 1.0,
        "total_bytes": room.total_bytes,
        "free_bytes": room.free_bytes,
        "used_bytes": room.used_bytes,
        "used_ratio": room.used_ratio,
    }
    if room.inodes_used_ratio is not None:
        found["inodes_used_ratio"] = room.inodes_used_ratio
    return [Sample("host_disk", name, value, labels) for name, value in found.items()]
