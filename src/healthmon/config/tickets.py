"""Exports of a service desk, read by a small map file: rows to reports by people. Names and free text are not read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from healthmon.config.forms import Form, Names
from healthmon.config.packs import read_pack, stock_root
from healthmon.config.problems import Problems, allowed
from healthmon.config.validation import Validator
from healthmon.model.errors import ConfigError
from healthmon.model.topology import Estate
from healthmon.reports.tickets import Ticket

MAPS = Path("configs") / "ticket-maps"
_ENCODINGS = ("utf-8-sig", "cp1252")


class WordForm(Form):
    """One column turned into an id of ours: by its whole value, else by a part of it (in any case)."""

    column: str
    values: dict[str, str] = Field(default={})
    contains: dict[str, str] = Field(default={})


class TicketMapForm(Form):
    """configs/ticket-maps/*.yaml"""

    source: str
    format: Literal["csv", "json"] = "csv"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    rows: str = Field(default="", alias="list", description="JSON: where the list is, e.g. `result`")
    timezone: str | None = Field(default=None, description="Of times without an offset; default: the organisation's")
    times: Names = Field(default=[], description="How times are written (strptime); ISO 8601 is always read")
    id: str
    opened: str
    owned: str | None = Field(default=None, description="When a named person took it")
    closed: str | None = None
    reopened: str | None = Field(default=None, description="A column that is not 0, no, false or empty when it was")
    channel: WordForm | None = Field(default=None, description="phone, portal, chatbot, email, walk-in, ward")
    area: WordForm | None = None
    service: WordForm | None = None
    target: str | None = None
    priority: WordForm | None = Field(default=None, description="1 (worst) to 5")
    skip: dict[str, Names] = Field(default={}, description="Rows with one of these values are left out")


def read_ticket_map(name: str) -> TicketMapForm:
    """A map by the name of a shipped one or by its file. Raises ConfigError."""
    shipped = stock_root() / MAPS
    file = Path(name) if Path(name).suffix else shipped / f"{name}.yaml"
    if not file.is_file():
        names = sorted(one.stem for one in shipped.glob("*.yaml"))
        raise ConfigError([f"--map {name}: is neither a file nor a map that is shipped{allowed(names)}"])
    problems = Problems()
    document = read_pack(file, problems)
    form: TicketMapForm | None = (
        Validator(document, problems).one(TicketMapForm, (), document.data) if document else None
    )
    problems.raise_if_any()
    assert form is not None
    return form


def read_tickets(file: Path, form: TicketMapForm, estate: Estate) -> tuple[list[Ticket], list[str]]:
    """The reports of an export, and what could not be read, as `file:line: message`. Raises ConfigError."""
    found: dict[str, Ticket] = {}
    problems: list[str] = []
    zone = ZoneInfo(form.timezone or estate.organisation.timezone)
    for line, row in _rows(file, form):
        if any(_text(row, column).casefold() in {v.casefold() for v in values} for column, values in form.skip.items()):
            continue
        try:
            ticket = _ticket(row, form, estate, zone)
        except ValueError as error:
            problems.append(f"{file}:{line}: {error}")
            continue
        if ticket.id in found:
            problems.append(f"{file}:{line}: '{ticket.id}' is there already")
            continue
        found[ticket.id] = ticket
    return list(found.values()), problems


def _ticket(row: Mapping[str, Any], form: TicketMapForm, estate: Estate, zone: ZoneInfo) -> Ticket:
    id_, opened = _text(row, form.id), _time(row, form.opened, form, zone)
    if not id_ or opened is None:
        raise ValueError(f"needs `{form.id}` and `{form.opened}`")
    target, priority = _text(row, form.target), _word(row, form.priority)
    return Ticket(
        id_,
        opened,
        channel=_word(row, form.channel) or "",
        area=_known(_word(row, form.area), {one: area.name for one, area in estate.areas.items()}),
        service=_known(_word(row, form.service), {one: service.name for one, service in estate.services.items()}),
        target=_known(target, {one: found.name for one, found in estate.targets.items()}),
        priority=int(priority) if priority and priority.isdigit() and 1 <= int(priority) <= 5 else None,
        owned_at=_time(row, form.owned, form, zone),
        closed_at=_time(row, form.closed, form, zone),
        reopened=_text(row, form.reopened).casefold() not in ("", "0", "no", "false"),
        source=form.source,
    )


def _known(word: str | None, names: Mapping[str, str]) -> str | None:
    """An id of ours by itself or by its name; what we do not know is nothing."""
    if not word:
        return None
    if word in names:
        return word
    folded = word.casefold()
    return next((id_ for id_, name in names.items() if folded in (id_.casefold(), name.casefold())), None)


def _word(row: Mapping[str, Any], form: WordForm | None) -> str | None:
    if form is None:
        return None
    text = _text(row, form.column)
    folded = {value.casefold(): word for value, word in form.values.items()}
    if text.casefold() in folded:
        return folded[text.casefold()]
    return next((word for part, word in form.contains.items() if part.casefold() in text.casefold()), text or None)


def _time(row: Mapping[str, Any], column: str | None, form: TicketMapForm, zone: ZoneInfo) -> float | None:
    text = _text(row, column)
    if not text:
        return None
    for pattern in (None, *form.times):
        try:
            found = datetime.fromisoformat(text) if pattern is None else datetime.strptime(text, pattern)
        except ValueError:
            continue
        return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()
    raise ValueError(f"`{column}` is no time that the map knows (give `times`)")


def _text(row: Mapping[str, Any], column: str | None) -> str:
    value: Any = row
    for part in column.split(".") if column and column not in row else [column] if column else []:
        value = value.get(part) if isinstance(value, Mapping) else None
    return "" if value is None or isinstance(value, (Mapping, list)) or column is None else str(value).strip()


def _rows(file: Path, form: TicketMapForm) -> Iterator[tuple[int, Mapping[str, Any]]]:
    text = _decoded(file)
    if form.format == "csv":
        reader = csv.DictReader(text.splitlines(keepends=True), delimiter=form.delimiter)
        wanted = [form.id, form.opened]
        missing = [name for name in wanted if name not in (reader.fieldnames or ())]
        if missing:
            raise ConfigError([f"{file}:1: has no column {', '.join(missing)}{allowed(reader.fieldnames or ())}"])
        for row in reader:
            yield reader.line_num, row
        return
    try:
        found: Any = json.loads(text)
        for part in filter(None, form.rows.split(".")):
            found = found[part]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError([f"{file}: is not the JSON that the map describes ({type(error).__name__})"]) from None
    if not isinstance(found, list):
        raise ConfigError([f"{file}: has no list at `{form.rows or 'the top'}`"])
    for number, row in enumerate(found, 1):
        if isinstance(row, Mapping):
            yield number, row


def _decoded(file: Path) -> str:
    content = file.read_bytes()
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")
