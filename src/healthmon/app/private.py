"""The data folder, and the secrets in it that only their owner may read."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

from healthmon.model.errors import ConfigError
from healthmon.runtime.privatefile import write_private


def token_of(path: Path) -> str:
    """The API token, made at first start (mode 0600)."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32) + "\n")
    return path.read_text().strip()


def secret_of(path: Path) -> bytes:
    """A random secret of this installation, made at first start (mode 0600)."""
    return token_of(path).encode()


def usable(data_dir: Path) -> None:
    """Make the folder and write in it once; raises ConfigError in words."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        raise ConfigError([f"data_dir {data_dir}: {error.strerror} (it must be a folder that we may write)"]) from error
