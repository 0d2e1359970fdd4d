"""The container image, built with buildah on a Debian root made here, and started as a container engine would start it.

No registry of images is asked: the base is Debian's own packages (mmdebstrap), the wheels come from the package index
that `pip` uses. It runs in namespaces of its own as process 1, on a root that is read-only, without any capability.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemons.process import need

ROOT = Path(__file__).parents[2]
TOOLS = ("buildah", "mmdebstrap", "unshare", "nsenter")
BASE = "localhost/debian-python"
#: Where the kernel lets groups ping; container engines set it in each container.
PING = "/proc/sys/net/ipv4/ping_group_range"

INSIDE = """set -e
root=$1 volume=$2; shift 2
ip link set lo up
echo "0 2147483647" > @PING@
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind /dev "$root/dev"
mount --bind "$volume" "$root/var/lib/healthmon"
mount -o remount,ro,bind "$root"
exec "$@"
""".replace("@PING@", PING)


def need_image_tools() -> None:
    """Skip, with the reason, where no image is to be built or can be."""
    if os.environ.get("HEALTHMON_TEST_IMAGE") != "1":
        pytest.skip("the image takes minutes to build: `make test-all` does it (HEALTHMON_TEST_IMAGE=1)")
    if os.geteuid() != 0:
        pytest.skip("building without an image registry needs root")
    for name in TOOLS:
        need(name)


def run(*argv: str, env: dict[str, str] | None = None) -> str:
    """The output of a command; its errors when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=900, env=env)
    assert done.returncode == 0, f"{' '.join(argv[:6])}:\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
    return done.stdout.strip()


class Builder:
    """buildah with a storage of its own, gone with the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings = folder / "storage.conf"
        settings.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n')
        self.env = os.environ | {"CONTAINERS_STORAGE_CONF": str(settings)}

    def buildah(self, *words: str) -> str:
        """One buildah command."""
        return run("buildah", *words, env=self.env)

    def base(self) -> None:
        """Debian with Python, and nothing else: what BASE may be."""
        made = self.buildah("from", "scratch")
        run("mmdebstrap", "--quiet", "--variant=essential", "--include=python3,python3-venv,ca-certificates,passwd",
            "bookworm", self.buildah("mount", made))  # fmt: skip
        self.buildah("commit", "--quiet", made, BASE)
        self.buildah("rm", made)

    def context(self) -> Path:
        """The checkout without what .dockerignore leaves out, with a wheelhouse for the Python of the base."""
        context = self.folder / "context"
        ignored = [line for line in (ROOT / ".dockerignore").read_text().split() if line]
        leave = shutil.ignore_patterns(*(name.removeprefix("**/") for name in ignored), "build", "wheelhouse")
        shutil.copytree(ROOT, context, ignore=leave, symlinks=True)
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        extras = project["project"]["optional-dependencies"]
        wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
        wanted += [
            one for name in ("snmp", "dns", "server") for one in extras[name] if not one.startswith("healthmon[")
        ]
        run(sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version=3.11",
            "-d", str(context / "wheelhouse"), *wanted)  # fmt: skip
        return context

    def build(self) -> Image:
        """The image as the Dockerfile says, mounted."""
        self.base()
        self.buildah("bud", "--quiet", "--isolation=chroot", "--format=docker", f"--build-arg=BASE={BASE}",
                     "--tag=healthmon", str(self.context()))  # fmt: skip
        config = json.loads(self.buildah("inspect", "--type=image", "healthmon"))["Docker"]["config"]
        return Image(Path(self.buildah("mount", self.buildah("from", "healthmon"))), config)

    def remove(self) -> None:
        """Unmount, so that the folder can go."""
        self.buildah("rm", "--all")
        self.buildah("rmi", "--all", "--force")


@dataclass(frozen=True)
class Image:
    """Its files and what it says about itself."""

    root: Path
    config: dict[str, Any]

    def owner(self) -> tuple[int, int]:
        """Who the folder of the volume belongs to; a new volume is made so."""
        state = (self.root / "var/lib/healthmon").stat()
        return state.st_uid, state.st_gid

    def command(self, words: list[str]) -> list[str]:
        """As its user, in its environment, with no capability."""
        who = self.config["User"]
        free = ["setpriv", "--reuid", who, "--regid", who, "--clear-groups", "--bounding-set", "-all", "--no-new-privs"]
        there = ["env", "-i", "-C", self.config["WorkingDir"], *self.config["Env"]]
        return ["chroot", str(self.root), *free, *there, *words]

    @contextmanager
    def running(self, volume: Path, *, log: Path) -> Iterator[Container]:
        """Its entry point with its default words, as process 1."""
        words = self.command([*self.config["Entrypoint"], *self.config["Cmd"]])
        own = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private", "--"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*own, "sh", "-c", INSIDE, "sh", str(self.root), str(volume), *words],
                stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            yield Container(self, process, log)
        finally:
            process.kill()
            process.wait(timeout=60)


@dataclass(frozen=True)
class Container:
    """A started image."""

    image: Image
    process: subprocess.Popen[bytes]
    log: Path

    def first(self) -> int:
        """Process 1 of the container, by its number outside."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def enter(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        """As `docker exec` does."""
        there = ["nsenter", "--target", str(self.first()), "--net", "--mount", "--pid"]
        argv = [*there, *self.image.command(words)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=120)

    def healthy(self) -> bool:
        """What the image's own health check says."""
        kind, text = self.image.config["Healthcheck"]["Test"]
        assert kind == "CMD-SHELL"
        return self.enter(["sh", "-c", text]).returncode == 0

    def wait(self, timeout_s: float = 180.0) -> None:
        """Until it is healthy; its output is shown when it is not."""
        deadline = time.monotonic() + timeout_s
        while not (self.process.poll() is None and self.first_is_there() and self.healthy()):
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.5)

    def first_is_there(self) -> bool:
        """Whether the entry point has been started."""
        return bool(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())

    def stop(self) -> int:
        """SIGTERM to process 1, as `docker stop`; its exit status."""
        os.kill(self.first(), signal.SIGTERM)
        return self.process.wait(timeout=60)
