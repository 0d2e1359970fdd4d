"""Every bad configuration gives exactly the lines that stand beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from healthmon.config import load
from healthmon.model.errors import ConfigError

BAD = Path(__file__).parents[2] / "config" / "bad"
EXPECTED = sorted(BAD.glob("*.txt"))


def problems_of(expected: Path) -> list[str]:
    """What `load` says of the file (or of the folder's healthmon.yaml) that the expectation is about."""
    before = Path.cwd()
    os.chdir(BAD)
    try:
        single = Path(f"{expected.stem}.yaml")
        with pytest.raises(ConfigError) as caught:
            load(single if single.exists() else Path(expected.stem) / "healthmon.yaml", env={})
    finally:
        os.chdir(before)
    return caught.value.problems


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda path: path.stem)
def test_bad_config_gives_exactly_its_lines(expected: Path) -> None:
    assert problems_of(expected) == expected.read_text(encoding="utf-8").splitlines()


def test_every_bad_config_has_its_lines_beside_it() -> None:
    files = {path.stem for path in BAD.glob("*.yaml")} | {path.name for path in BAD.iterdir() if path.is_dir()}

    assert files == {path.stem for path in EXPECTED}
    assert len(files) >= 18


def test_the_message_is_all_problems() -> None:
    with pytest.raises(ConfigError) as caught:
        load(BAD / "changes.yaml", env={})

    assert str(caught.value) == "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 4


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.yaml", env={})

    assert caught.value.problems == [f"{tmp_path}/none.yaml:1:1: cannot be read: No such file or directory"]


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the directory holds no \*\.yaml file"):
        load(tmp_path, env={})


def test_binary_rubbish_is_a_line_and_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "rubbish.yaml"
    file.write_bytes(b"a: \xff\xfe\x00\x01\nb: [")

    with pytest.raises(ConfigError, match=r"rubbish\.yaml:1:\d+: not valid YAML"):
        load(file, env={})
