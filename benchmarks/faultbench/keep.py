"""Results kept on disk as they come, so that a long run can be stopped, gone on with, and reported half-way."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")
_ROOT = Path(__file__).parents[2]
#: What the figures depend on.
_CODE = ("src/healthmon/alerting", "src/healthmon/impact", "src/healthmon/model", "src/healthmon/simulation",
         "benchmarks/faultbench", "alerting")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of results. `compute`: False to take only what is there."""

    folder: Path
    compute: bool = True

    def have(self, name: str) -> bool:
        return self._file(name).exists()

    def get(self, name: str, work: Callable[[], Result]) -> Result:
        """The result of this name: from disk, else worked out and written down."""
        file = self._file(name)
        if file.exists():
            known: Result = pickle.loads(file.read_bytes())
            return known
        found = work()
        self.put(name, found)
        return found

    def put(self, name: str, found: object) -> None:
        """Write a result down: whole, or not at all."""
        file = self._file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(pickle.dumps(found))
        fresh.replace(file)

    def _file(self, name: str) -> Path:
        return self.folder / code() / f"{name}.pickle"


@cache
def code() -> str:
    """A word for the code that results belong to: others do not count."""
    found = hashlib.sha256()
    for file in sorted(one for place in _CODE for one in (_ROOT / place).rglob("*") if one.suffix in (".py", ".yaml")):
        found.update(file.read_bytes())
    return found.hexdigest()[:12]


def named(kind: str, number: int, **part: Any) -> str:
    """A file's name for one piece of a part."""
    return "/".join([*(f"{name}={value}" for name, value in sorted(part.items())), f"{kind}-{number}"])
