"""The image is built from the Dockerfile, serves health as process 1 without any right, and stops when told to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.image import Builder, Container, Image, need_image_tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    need_image_tools()
    builder = Builder(tmp_path_factory.mktemp("image"))
    try:
        yield builder.build()
    finally:
        builder.remove()


@pytest.fixture
def volume(image: Image, tmp_path: Path) -> Path:
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o750)
    os.chown(folder, *image.owner())
    return folder


def status(container: Container, name: str) -> str:
    text = Path(f"/proc/{container.first()}/status").read_text()
    return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith(f"{name}:"))


def api(container: Container, path: str) -> Any:
    """What its API answers to somebody inside."""
    read = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8470/api/v1/{path}').read().decode())"
    return json.loads(container.enter(["python3", "-c", read]).stdout)


def test_it_is_healthy_without_any_right_and_stops_when_told_to(image: Image, volume: Path, tmp_path: Path) -> None:
    with image.running(volume, log=tmp_path / "log") as container:
        container.wait()
        assert status(container, "NSpid").split()[1] == "1"
        assert status(container, "Uid").split()[0] == "10001"
        assert {int(status(container, name), 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
        assert api(container, "health")["status"] == "ok"
        ping = container.enter(["healthmon", "probe", "icmp", "127.0.0.1"])
        assert ping.returncode == 0, ping.stdout + ping.stderr
        assert container.enter(["touch", "/opt/healthmon/here"]).returncode == 1
        assert container.stop() == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_another_container_goes_on_with_the_volume_of_the_last(image: Image, volume: Path, tmp_path: Path) -> None:
    secrets = []
    for number in range(2):
        with image.running(volume, log=tmp_path / f"log-{number}") as container:
            container.wait()
            secrets.append([(volume / name).read_text() for name in ("token", "ack-secret")])
            assert api(container, "incidents")["items"] == []
            assert container.stop() == 0
    assert secrets[0] == secrets[1]


def test_nothing_of_the_source_tree_or_of_a_secret_is_in_it(image: Image) -> None:
    assert not (image.root / "src").exists()
    assert not list((image.root / "opt/healthmon").rglob("*.key"))
    assert image.config["ExposedPorts"] == {"8470/tcp": {}}
    assert set(image.config["Volumes"]) == {"/var/lib/healthmon"}
