"""Role packs: every line names a collector with parameters that it takes."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from healthmon.collectors import COLLECTORS

FOLDER = Path(__file__).parents[3] / "collectors" / "roles"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
OF_THE_CHECK = {"id", "kind", "every", "timeout", "recheck"}


def test_the_roles_are_there() -> None:
    assert {"ward-workstation", "windows-server", "linux-server"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_role_is_sound(name: str) -> None:
    data: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    assert set(data) == {"description", "collect"}
    ids = [check["id"] for check in data["collect"]]
    assert len(ids) == len(set(ids))
    for check in data["collect"]:
        module = importlib.import_module(COLLECTORS[check["kind"]].partition(":")[0])
        own = {key: value for key, value in check.items() if key not in OF_THE_CHECK}
        if "pack" in own:
            own["pack"] = yaml.safe_load((FOLDER.parent / check["kind"] / f"{own['pack']}.yaml").read_text("utf-8"))
        made = msgspec.convert(own, module.Params)
        assert set(own) <= set(module.Params.__dataclass_fields__), made
