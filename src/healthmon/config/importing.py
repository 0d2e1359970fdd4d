"""Exports of other inventories, read by a small map file: rows to proposed targets, each with its line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from healthmon.config.forms import Form, Names
from healthmon.config.jsonrows import json_items
from healthmon.config.packs import read_pack, stock_root
from healthmon.config.problems import Problems, Spot, allowed
from healthmon.config.validation import Validator
from healthmon.model.errors import ConfigError
from healthmon.model.topology import Estate, Target

MAPS = Path("configs") / "import-maps"
#: Progress is told every so many rows.
PROGRESS_ROWS = 5_000
#: What exports are written in, the strict ones first; the last takes anything.
_ENCODINGS = ("utf-8-sig", "cp1252")
_ID_MOST = 63


class ChoiceForm(Form):
    """One column turned into a word of ours: by its whole value, else by a part of it, else the default."""

    column: str
    values: dict[str, str] = Field(default={})
    contains: dict[str, str] = Field(default={}, description="The first part found (in any case) wins")
    default: str | None = None


class MapForm(Form):
    """configs/import-maps/*.yaml"""

    source: str
    format: Literal["csv", "json"]
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    rows: str = Field(default="", alias="list", description="JSON: where the list is, e.g. `data.items`")
    id: Names
    name: str | None = None
    address: Names
    kind: ChoiceForm
    area: ChoiceForm | None = None
    labels: dict[str, str] = Field(default={})
    skip: dict[str, Names] = Field(default={}, description="Rows with one of these values are left out")


@dataclass(frozen=True, slots=True)
class Found:
    """One row as a target of ours."""

    id: str
    name: str
    kind: str
    address: str
    area: str | None
    labels: Mapping[str, str]
    line: int

    def as_target(self) -> dict[str, Any]:
        target = {"id": self.id, "name": self.name, "kind": self.kind, "address": self.address, "area": self.area}
        target["labels"] = dict(self.labels)  # type: ignore[assignment]
        return {key: value for key, value in target.items() if value and not (key == "name" and value == self.id)}


@dataclass(slots=True)
class Imported:
    """What differs from the inventory. Nothing is merged; `problems` are `file:line:col: message` lines."""

    rows: int = 0
    skipped: int = 0
    present: list[str] = field(default_factory=list)
    new: list[Found] = field(default_factory=list)
    changed: list[tuple[str, str, str, str, int]] = field(default_factory=list)  # target, field, was, now, line
    unknown_areas: dict[str, int] = field(default_factory=dict)  # as written there, with its first line
    problems: list[str] = field(default_factory=list)


def read_map(name: str) -> MapForm:
    """A map by the name of a shipped one or by its file. Raises ConfigError."""
    shipped = stock_root() / MAPS
    file = Path(name) if Path(name).suffix else shipped / f"{name}.yaml"
    if not file.is_file():
        names = (one.stem for one in shipped.glob("*.yaml"))
        raise ConfigError([f"--map {name}: is neither a file nor a map that is shipped{allowed(names)}"])
    problems = Problems()
    document = read_pack(file, problems)
    form: MapForm | None = Validator(document, problems).one(MapForm, (), document.data) if document else None
    problems.raise_if_any()
    assert form is not None
    return form


def imported(file: Path, form: MapForm, estate: Estate, progress: Callable[[int], None]) -> Imported:
    """The difference between an export and the inventory. Raises ConfigError for a file that cannot be read at all."""
    done, taken = Imported(), dict[str, int]()
    known = _Known(estate)
    for spot, row in _rows(file, form):
        done.rows += 1
        if done.rows % PROGRESS_ROWS == 0:
            progress(done.rows)
        if not isinstance(row, Mapping):
            done.problems.append(f"{spot}: is no mapping of columns; left out")
            continue
        if any(_text(row, column).casefold() in {v.casefold() for v in values} for column, values in form.skip.items()):
            done.skipped += 1
            continue
        found = _found(row, form, spot, done)
        if found is None:
            continue
        if found.id in taken:
            done.problems.append(f"{spot}: '{found.id}' stands in line {taken[found.id]} already")
            continue
        taken[found.id] = spot.line
        _compare(found, known, done)
    return done


class _Known:
    """The inventory by id and by address."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self._by_address = {target.address.casefold(): target for target in estate.targets.values()}
        self.areas = {area.id: area.id for area in estate.areas.values()}
        self.areas |= {area.name.casefold(): area.id for area in estate.areas.values()}

    def target(self, found: Found) -> Target | None:
        """The same id, else the same address: a target that was given another id here stays itself."""
        return self.estate.targets.get(found.id) or self._by_address.get(found.address.casefold())


def _compare(found: Found, known: _Known, done: Imported) -> None:
    area = known.areas.get((found.area or "").casefold())
    if found.area and area is None:
        done.unknown_areas.setdefault(found.area, found.line)
    target = known.target(found)
    if target is None:
        done.new.append(Found(found.id, found.name, found.kind, found.address, area, found.labels, found.line))
        return
    done.present.append(target.id)
    pairs = [("address", target.address, found.address)]
    pairs += [("area", target.area or "", area)] if area else []
    for name, was, now in pairs:
        if was.casefold() != now.casefold():
            done.changed.append((target.id, name, was, now, found.line))


def _found(row: Mapping[str, Any], form: MapForm, spot: Spot, done: Imported) -> Found | None:
    raw = next((text for column in form.id if (text := _text(row, column))), "")
    address = next((text for column in form.address if (text := _text(row, column))), "")
    id_ = re.sub(r"[^a-z0-9]+", "-", raw.casefold()).strip("-")[:_ID_MOST].rstrip("-")
    if not id_ or not address:
        missing = (
            f"no id in {', '.join(form.id)}" if not id_ else f"'{id_}' has no address in {', '.join(form.address)}"
        )
        done.problems.append(f"{spot}: {missing}; left out")
        return None
    labels = {label: text for label, column in form.labels.items() if (text := _text(row, column))}
    name = (_text(row, form.name) if form.name else "") or raw
    kind = _chosen(row, form.kind) or "device"
    return Found(id_, name, kind, address.partition("/")[0], _chosen(row, form.area), labels, spot.line)


def _chosen(row: Mapping[str, Any], choice: ChoiceForm | None) -> str | None:
    if choice is None:
        return None
    text = _text(row, choice.column)
    if text in choice.values:
        return choice.values[text]
    part = next((word for part, word in choice.contains.items() if part.casefold() in text.casefold()), None)
    plain = text if not choice.contains else None
    return part or choice.default or plain or None


def _text(row: Mapping[str, Any], path: str) -> str:
    """A column, or `a.0.b` inside nested JSON; what is not there is empty."""
    value: Any = row.get(path)
    if value is None and "." in path:
        value = row
        for step in path.split("."):
            inside = isinstance(value, list) and step.isdigit() and int(step) < len(value)
            value = value[int(step)] if inside else value.get(step) if isinstance(value, dict) else None
    if isinstance(value, dict):  # an export that gives {value, display_value} or {id, name}
        value = value.get("display_value") or value.get("name") or value.get("value")
    if value is None or isinstance(value, list):
        return ""
    return str(value).encode("utf-8", "replace").decode().strip()  # half a surrogate pair is no character


def _rows(file: Path, form: MapForm) -> Iterator[tuple[Spot, Any]]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    yield from _csv(file, content, form) if form.format == "csv" else _json(file, content, form)


def _csv(file: Path, content: bytes, form: MapForm) -> Iterator[tuple[Spot, Any]]:
    reader = csv.DictReader(io.StringIO(_decoded(content), newline=""), delimiter=form.delimiter)
    try:
        yield from _csv_rows(file, reader, form)
    except csv.Error as error:
        raise ConfigError([f"{file}:{reader.reader.line_num}:1: {error}; is a quote missing?"]) from None


def _csv_rows(file: Path, reader: csv.DictReader[str], form: MapForm) -> Iterator[tuple[Spot, Any]]:
    heads = reader.fieldnames or []
    wanted = [*form.id, *form.address]
    if not any(column in heads for column in form.id) or not any(column in heads for column in form.address):
        message = f"none of the columns {', '.join(wanted)} is there{allowed(heads)}"
        raise ConfigError([f"{file}:1:1: {message}; is it the right map?"])
    for row in reader:
        if None in row:
            raise ConfigError([f"{file}:{reader.line_num}:1: has more cells than the heading"])
        yield Spot(str(file), reader.line_num, 1), row


def _json(file: Path, content: bytes, form: MapForm) -> Iterator[tuple[Spot, Any]]:
    try:
        items = json_items(_decoded(content), [step for step in form.rows.split(".") if step])
    except json.JSONDecodeError as error:
        raise ConfigError([f"{file}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}"]) from None
    except ValueError as error:
        raise ConfigError([f"{file}:1:1: not valid JSON: {error}"]) from None
    if items is None:
        raise ConfigError([f"{file}:1:1: there is no list at '{form.rows or 'the top'}'; is it the right map?"])
    for line, column, row in items:
        yield Spot(str(file), line, column), row


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    for encoding in _ENCODINGS[:-1]:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode(_ENCODINGS[-1], errors="replace")
