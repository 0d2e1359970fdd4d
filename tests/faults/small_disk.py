"""A spool on a real disk that is full, read-only, or full of its own batches; run inside a mount namespace.

Usage: unshare -m python small_disk.py SCENARIO FOLDER. Prints one JSON object; a failed promise is an exception.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from healthmon.model.sample import Outcome, Reading
from healthmon.runtime.clock import ManualClock
from healthmon.transport import codec, spool
from healthmon.transport.codec import Ack
from healthmon.transport.spool import Spool


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def attempt(*argv: str) -> None:
    subprocess.run(argv, capture_output=True, check=False)


def reading(number: int, pad: int = 3000) -> Reading:
    return Reading(f"t{number}", "c", "pc-1", 0.0, 0.0, Outcome.OK, None, "x" * pad)


async def names(kept: Spool) -> set[str]:
    """The readings that it would send."""
    return {one.target for batch in await kept.stored(10_000) for one in codec.decode_readings(batch.body)}


class Disk:
    """A spool on a disk of 1 MiB (tmpfs) or 8 MiB (ext4 on a loop device) under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "disk"
        self.folder.mkdir()
        self.clock = ManualClock()
        self.path = self.folder / "spool.sqlite"

    def open(self) -> Spool:
        return Spool(self.path, agent="pc-1", max_bytes=1 << 28, clock=self.clock)

    async def retry(self, kept: Spool, number: int) -> None:
        await self.clock.advance(spool.DISK_RETRY_S + 1)
        await kept.append([reading(number, 10)], live=False)


async def full_by_others(folder: Path) -> dict[str, Any]:
    """Something else fills the disk, and goes away again."""
    disk = Disk(folder)
    run("mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk.folder))
    kept = disk.open()
    for number in range(20):
        await kept.append([reading(number)], live=False)
    run("dd", "if=/dev/zero", f"of={disk.folder}/ballast", "bs=1k", "count=100", "status=none")
    with (disk.folder / "ballast").open("ab", buffering=0) as file:
        try:
            while file.write(b"\0" * 1024):
                pass
        except OSError:
            pass
    for number in range(20, 40):
        await kept.append([reading(number)], live=False)
    meanwhile = kept.stats()
    assert await names(kept) == {f"t{n}" for n in range(40)}, "on disk and in memory, all of it is sent"
    (disk.folder / "ballast").unlink()
    await disk.retry(kept, 40)
    assert await names(kept) == {f"t{n}" for n in range(41)}
    after = kept.stats()
    await kept.close()
    again = disk.open()
    assert await names(again) == {f"t{n}" for n in range(41)}, "durable again"
    await again.close()
    return {"meanwhile": [meanwhile.state, meanwhile.why], "after": [after.state, after.why, after.dropped_readings]}


async def full_of_itself(folder: Path) -> dict[str, Any]:
    """A disk smaller than the cap: the spool fills it, the broker is away, then everything is taken."""
    disk = Disk(folder)
    run("mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk.folder))
    spool.MEMORY_MAX_BYTES = 200_000
    kept = disk.open()
    first = kept.epoch
    for number in range(600):
        await kept.append([reading(number)], live=False)
    stats = kept.stats()
    held = await names(kept)
    declared = sum(high - low + 1 for low, high in kept.dropped(kept.epoch)) + len(kept.dropped(first))
    assert len(held) + stats.dropped_readings == 600, "every reading is there or counted"
    assert declared == stats.dropped_readings, "and declared"
    assert {f"t{n}" for n in range(560, 600)} <= held, "the newest stayed"
    for batch in await kept.stored(10_000):
        await kept.acknowledge(Ack(batch.epoch, 0, ((batch.seq, batch.seq),)))
    assert kept.batches == 0
    await disk.retry(kept, 600)
    after = kept.stats()
    for number in range(601, 701):  # the disk is of use again, beyond what memory would hold
        await kept.append([reading(number)], live=False)
    assert await names(kept) == {f"t{n}" for n in range(600, 701)}
    await kept.close()
    return {"meanwhile": [stats.state, stats.why], "dropped": stats.dropped_readings, "after": [after.state, after.why]}


async def read_only(folder: Path) -> dict[str, Any]:
    """The kernel makes a damaged file system read-only; it is checked and mounted again."""
    disk = Disk(folder)
    image, repaired = folder / "image", folder / "repaired"
    run("truncate", "-s", "8M", str(image))
    run("mkfs.ext4", "-q", str(image))
    loop = run("losetup", "-f", "--show", str(image))
    second = ""
    try:
        run("mount", "-o", "errors=remount-ro", loop, str(disk.folder))
        kept = disk.open()
        for number in range(20):
            await kept.append([reading(number)], live=False)
        Path("/sys/fs/ext4", Path(loop).name, "trigger_fs_error").write_text("1")
        for number in range(20, 40):
            await kept.append([reading(number)], live=False)
        meanwhile = kept.stats()
        assert await names(kept) == {f"t{n}" for n in range(40)}
        await disk.retry(kept, 40)
        assert kept.stats().state == "memory", "still read-only"
        run("cp", str(image), str(repaired))
        attempt("e2fsck", "-fy", str(repaired))  # 1: errors mended
        second = run("losetup", "-f", "--show", str(repaired))
        run("mount", second, str(disk.folder))
        await disk.retry(kept, 41)
        after = kept.stats()
        assert await names(kept) == {f"t{n}" for n in range(42)}
        await kept.close()
    finally:
        for device in filter(None, (second, loop)):
            attempt("umount", "-l", str(disk.folder))
            attempt("losetup", "-d", device)
    return {"meanwhile": [meanwhile.state, meanwhile.why], "after": [after.state, after.why, after.dropped_readings]}


async def read_only_at_start(folder: Path) -> dict[str, Any]:
    """The disk is read-only when the agent starts."""
    disk = Disk(folder)
    run("mount", "-t", "tmpfs", "-o", "size=1m,ro", "none", str(disk.folder))
    kept = disk.open()
    await kept.append([reading(1)], live=False)
    meanwhile = kept.stats()
    run("mount", "-o", "remount,rw", str(disk.folder))
    await disk.retry(kept, 2)
    after = kept.stats()
    assert await names(kept) == {"t1", "t2"}
    await kept.close()
    return {"meanwhile": [meanwhile.state, meanwhile.why], "after": [after.state, after.why, after.dropped_readings]}


SCENARIOS: dict[str, Callable[[Path], Awaitable[dict[str, Any]]]] = {
    one.__name__: one for one in (full_by_others, full_of_itself, read_only, read_only_at_start)
}

if __name__ == "__main__":
    print(json.dumps(asyncio.run(SCENARIOS[sys.argv[1]](Path(sys.argv[2])))))  # type: ignore[arg-type]
