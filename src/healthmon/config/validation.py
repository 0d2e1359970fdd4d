"""Plain data to forms, and pydantic's errors to lines that name the place, the value and what is allowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from healthmon.config.document import Document
from healthmon.config.problems import Problems, Spot, allowed, did_you_mean
from healthmon.config.yamlnodes import DataPath, PathStep

FormType = TypeVar("FormType")

_WORDS = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dataclass_type": "must be a mapping",
    "string_pattern_mismatch": "does not have the form {pattern}",
    "too_short": "must have at least {min_length} item",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Placed(Generic[FormType]):
    """A form and the path of the data it was made of."""

    form: FormType
    path: DataPath


def path_text(data: Any, path: DataPath) -> str:
    """`areas[ward-7].staffed`: list items by their id where they have one."""
    text = ""
    for step in path:
        data = _child(data, step)
        if isinstance(step, int):
            name = data.get("id") or data.get("kind") if isinstance(data, dict) else None
            text += f"[{name if isinstance(name, str) else step}]"
        else:
            text += f".{step}" if text else str(step)
    return text


def _child(data: Any, step: PathStep) -> Any:
    if isinstance(data, dict):
        return data.get(step)
    if isinstance(data, list) and isinstance(step, int) and step < len(data):
        return data[step]
    return None


def known_path(data: Any, path: Sequence[PathStep]) -> DataPath:
    """The path without the steps that pydantic adds for unions; a missing last step stays."""
    known: list[PathStep] = []
    for number, step in enumerate(path):
        last = number == len(path) - 1
        if isinstance(data, dict) and (step in data or last):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            continue
        known.append(step)
    return tuple(known)


class Validator:
    """Validates parts of one document and notes what is wrong at its place."""

    def __init__(self, document: Document, problems: Problems) -> None:
        self.document = document
        self.problems = problems
        self._adapters: dict[Any, TypeAdapter[Any]] = {}

    def one(self, form: Any, path: DataPath, data: Any) -> Any:
        """The form, or None after noting every problem."""
        adapter = self._adapters.get(form)
        if adapter is None:
            adapter = self._adapters[form] = TypeAdapter(form)
        try:
            return adapter.validate_python(data)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self._note(form, path, detail)
            return None

    def each(self, form: type[FormType], path: DataPath) -> list[Placed[FormType]]:
        """Every good item of a list; a bad one is noted and left out."""
        items = self.document.data.get(str(path[0]), [])
        if items is None:
            return []
        if not isinstance(items, list):
            self.problem(path, "must be a list")
            return []
        placed = ((self.one(form, (*path, number), item), (*path, number)) for number, item in enumerate(items))
        return [Placed(good, where) for good, where in placed if good is not None]

    def problem(self, path: DataPath, message: str, *, key: bool = False) -> None:
        """Note a problem with the value at `path` (or its key)."""
        text = path_text(self.document.data, path)
        self.problems.add(self.document.spot(path, key=key), f"{text}: {message}" if text else message)

    def spot(self, path: DataPath) -> Spot:
        return self.document.spot(path)

    def _note(self, form: Any, path: DataPath, detail: ErrorDetails) -> None:
        loc = detail["loc"]
        full = known_path(self.document.data, (*path, *loc))
        note_detail(detail, full, lambda: allowed_keys(form, loc[:-1]), self.document, self.problem)


def note_detail(
    detail: ErrorDetails,
    path: DataPath,
    names: Callable[[], set[str]],
    document: Document,
    problem: Callable[..., None],
) -> None:
    """Tell one pydantic error through `problem`; `names` gives the keys that are allowed beside the wrong one."""
    kind = detail["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        known = names()
        word = str(path[-1])
        problem((*path[:-1], word), f"unknown key{did_you_mean(word, known)}{allowed(known)}", key=True)
    elif kind in ("missing", "missing_argument"):
        problem(path[:-1], f"key '{path[-1]}' is missing")
    else:
        raw = document.written(path)
        shown = f"'{raw}' " if raw is not None else ""
        problem(path, shown + describe(detail, raw))


def describe(detail: ErrorDetails, raw: str | None) -> str:
    """pydantic's message in our words, never with the value itself (it may be a secret)."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in ("literal_error", "enum"):
        names = [name.strip("'") for name in str(context["expected"]).replace(" or ", ", ").split(", ")]
        return f"is not known{did_you_mean(raw or '', names)}{allowed(names)}"
    if kind in _WORDS:
        return _WORDS[kind].format(**context)
    message = detail["msg"]
    for prefix in ("Value error, ", "Input should be ", "Assertion failed, "):
        if message.startswith(prefix):
            message = message.removeprefix(prefix)
            return f"must be {message}" if prefix.startswith("Input") else message
    return message[:1].lower() + message[1:]


def allowed_keys(form: Any, loc: Sequence[PathStep]) -> set[str]:
    """The keys that the mapping at `loc` of a form may have."""
    forms = list(_mappings(form))
    for step in loc:
        following = [inner for outer in forms for inner in _step(outer, step)]
        forms = following or forms
    return {name for found in forms for name in _keys(found)}


def _keys(form: Any) -> set[str]:
    if isinstance(form, type) and issubclass(form, BaseModel):
        return {field.alias or name for name, field in form.model_fields.items()}
    if dataclasses.is_dataclass(form):
        return {field.name for field in dataclasses.fields(form)}
    return set()


def _mappings(form: Any) -> Iterator[Any]:
    """The models and dataclasses inside an annotation, and the containers themselves."""
    origin = get_origin(form)
    if origin is Annotated:
        yield from _mappings(get_args(form)[0])
    elif origin in (list, dict, tuple):
        yield form
    elif origin is not None:
        for part in get_args(form):
            yield from _mappings(part)
    elif isinstance(form, type) and (issubclass(form, BaseModel) or dataclasses.is_dataclass(form)):
        yield form


def _step(form: Any, step: PathStep) -> Iterator[Any]:
    origin = get_origin(form)
    if origin in (list, dict, tuple):
        yield from _mappings(get_args(form)[-1 if origin is dict else 0])
    elif isinstance(form, type) and issubclass(form, BaseModel):
        for name, field in form.model_fields.items():
            if step in (name, field.alias):
                yield from _mappings(field.annotation)
    elif dataclasses.is_dataclass(form):
        hint = get_type_hints(form).get(str(step))
        yield from _mappings(hint)
