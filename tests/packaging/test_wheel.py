"""The wheel, built and installed in an empty environment, is pure Python, finds its packs and runs the demo."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from daemons.process import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ROOT = Path(__file__).parents[2]


def run(*argv: str, cwd: Path, timeout_s: float = 300.0) -> str:
    """Run a command; its output, or a failure that shows it."""
    result = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=timeout_s)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build", reason="`build` comes with the dev extra")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT), cwd=folder)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_is_pure_and_carries_the_packs(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for pack in ("probes/snmp/if-mib.yaml", "collectors/roles/linux-server.yaml", "alerting/severity/default.yaml"):
        assert f"healthmon/_packs/{pack}" in names


def test_installed_in_an_empty_environment_it_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"), cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    install = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*install, f"healthmon[server] @ {wheel.as_uri()}", cwd=tmp_path)
    healthmon = str(tmp_path / "venv" / "bin" / "healthmon")
    where = "from healthmon.config import stock_root; print(stock_root())"
    assert "_packs" in run(str(python), "-c", where, cwd=tmp_path)
    story = run(healthmon, "demo", "--minutes", "0", "--port", str(free_port()), cwd=tmp_path)
    assert "root: sw-ward7" in story


def test_the_thin_agent_installs_alone(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"), cwd=tmp_path)
    python = str(tmp_path / "venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel), cwd=tmp_path)
    listed = run(python, "-m", "pip", "list", "--format=freeze", cwd=tmp_path).lower()
    assert "pydantic" not in listed
    assert "aiohttp" not in listed
    assert "usage: healthmon agent" in run(python, "-m", "healthmon", "agent", "--help", cwd=tmp_path)
