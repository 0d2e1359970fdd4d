"""Files, includes, places."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthmon.config import load
from healthmon.config.document import read_document
from healthmon.config.problems import Problems, Spot
from healthmon.config.yamlnodes import Builder, parse_nodes
from healthmon.model.errors import ConfigError

HEAD = "organisation: {id: x, name: X}\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / "main.yaml"


def test_includes_of_includes_and_circles_of_includes(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        main=HEAD + "include: a.yaml\n",
        a="include: [b.yaml, main.yaml]\ntargets: [{id: a, kind: k}]\n",
        b="include: a.yaml\ntargets: [{id: b, kind: k}]\n",
    )

    assert list(load(path, env={}).estate.targets) == ["a", "b"]


def test_a_glob_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", here="include: more-*.yaml\n", **{"more-1": "targets: [{id: a, kind: k}]\n"})

    assert list(load(write(tmp_path, main=HEAD + "include: deep/here.yaml\n"), env={}).estate.targets) == ["a"]


def test_problems_name_the_file_they_are_in(tmp_path: Path) -> None:
    path = write(
        tmp_path, main=HEAD + "include: a.yaml\ntargets: [{id: one, kind: k}]\n", a="targets:\n  - {id: two}\n"
    )

    with pytest.raises(ConfigError) as caught:
        load(path, env={})

    assert caught.value.problems == [f"{tmp_path}/a.yaml:2:5: targets[two]: key 'kind' is missing"]


def test_an_include_must_be_a_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="include must be a file name"):
        load(write(tmp_path, main=HEAD + "include: [{a: b}]\n"), env={})


def test_secret_files_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "url").write_text("https://pager.example/x\n", encoding="utf-8")
    write(tmp_path / "deep", notify="notify: {channels: {pager: {kind: webhook, url_file: url}}}\n")
    site = load(write(tmp_path, main=HEAD + "include: deep/*.yaml\n"), env={})

    assert site.channels["pager"].params == {"url": "https://pager.example/x"}


def test_an_absolute_windows_path_stays_as_it_is(tmp_path: Path) -> None:
    text = HEAD + r"broker: {url: mqtts://broker.example, ca_file: 'C:\healthmon\ca.pem'}"
    site = load(write(tmp_path, main=text), env={})

    assert site.broker is not None
    assert site.broker.ca_file == r"C:\healthmon\ca.pem"


def test_spots_of_values_keys_and_missing_things(tmp_path: Path) -> None:
    path = write(tmp_path, main="a:\n  b: [1, {c: 2}]\n")
    document = read_document(path, env={}, problems=Problems())

    assert document.spot(("a", "b", 1, "c")) == Spot(str(path), 2, 14)
    assert document.spot(("a", "b"), key=True) == Spot(str(path), 2, 3)
    assert document.spot(("a", "z")) == Spot(str(path), 2, 3)
    assert document.written(("a", "b", 0)) == "1"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("true", True), ("False", False), ("~", None), ("", None), ("null", None),
        ("0", 0), ("-7", -7), ("007", "007"), ("0x10", "0x10"), ("1.5", 1.5), ("1.50", 1.5), ("1e3", "1e3"),
        ("12:30", "12:30"), ("2026-11-01", "2026-11-01"), ("'1'", "1"), (".5", ".5"), ("1_000", "1_000"),
        ("=", "="), ("<<", "<<"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    problems = Problems()
    node = parse_nodes(f"a: {text}".encode(), name="f", problems=problems)

    assert node is not None
    assert Builder(problems, {}).build(node) == {"a": value}
    assert not len(problems)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{text: one, then two, by: x}", {"text": "one, then two", "by": "x"}),
        ("{text: one, then two, and three}", {"text": "one, then two, and three"}),
        ("{text: 'one', then two}", {"text": "one, then two"}),
        ("{text: one, two}", {"text": "one", "two": None}),
        ("{text: one, then two: 3}", {"text": "one", "then two": 3}),
        ("{then two, text: one}", {"then two": None, "text": "one"}),
    ],
)
def test_text_with_commas_inside_braces_is_put_together(text: str, value: object) -> None:
    node = parse_nodes(text.encode(), name="f", problems=Problems())

    assert node is not None
    assert Builder(Problems(), {}).build(node) == value


def test_more_than_one_document_in_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(write(tmp_path, main=HEAD + "---\n" + HEAD), env={})
