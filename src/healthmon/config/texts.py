"""The words of incidents and ward pages: one catalogue a language, with single messages overwritten by packs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Formatter

from healthmon.alerting.incidents.text import DEFAULT_TEXT
from healthmon.config.forms import Form
from healthmon.config.packs import Packs, read_pack
from healthmon.config.problems import Problems, allowed, did_you_mean
from healthmon.config.validation import Validator
from healthmon.config.yamlnodes import DataPath

_FOLDER = "alerting/text"
#: Languages that come with healthmon; a test holds them against the reference.
STOCK = frozenset({"de"})
#: The language that says which messages there are, and with which placeholders.
REFERENCE = "en"


class TextPackForm(Form):
    """alerting/text/LANGUAGE.yaml"""

    language: str = "en"
    name: str = ""
    messages: dict[str, str]


def catalogues_of(packs: Packs, problems: Problems) -> Mapping[str, Mapping[str, str]]:
    """Messages by language; every root may add a language or overwrite some messages of one."""
    found: dict[str, dict[str, str]] = {REFERENCE: dict(DEFAULT_TEXT)}
    places: dict[str, Validator] = {}
    files = [file for root in packs.roots for file in sorted((root / _FOLDER).glob("*.yaml"))]
    for file in sorted(files, key=lambda file: file.stem != REFERENCE):
        _read(file, file.parents[2] == packs.roots[0], found, places, problems)
    for language in STOCK - places.keys():
        found[language] = {**found[REFERENCE], **found.get(language, {})}  # a gap of ours is no mistake of the hospital
    for language, validator in places.items():
        for name in sorted(found[REFERENCE].keys() - found[language].keys()):
            message = f"message '{name}' is missing: without it nobody can read {language}"
            validator.problem(("messages",), message, key=True)
    return found


def _read(
    file: Path, stock: bool, found: dict[str, dict[str, str]], places: dict[str, Validator], problems: Problems
) -> None:
    document = read_pack(file, problems)
    if document is None:
        return
    validator = Validator(document, problems)
    form: TextPackForm | None = validator.one(TextPackForm, (), document.data)
    if form is None:
        return
    if form.language != file.stem:
        validator.problem(("language",), f"'{form.language}' stands in {file.name} (allowed: {file.stem})")
    messages = found.setdefault(file.stem, {})
    if file.stem not in STOCK | {REFERENCE}:
        places.setdefault(file.stem, validator)
    for name, message in form.messages.items():
        if stock and file.stem == REFERENCE:
            found[REFERENCE].setdefault(name, message)  # the stock reference defines what there is
        _check(name, message, ("messages", name), validator, found[REFERENCE])
        messages[name] = message


def _check(name: str, message: str, path: DataPath, validator: Validator, reference: Mapping[str, str]) -> None:
    if name not in reference:
        validator.problem(path, f"unknown message{did_you_mean(name, reference)}", key=True)
        return
    try:
        unknown = placeholders(message) - placeholders(reference[name])
    except ValueError as error:
        validator.problem(path, f"is not a text with {{placeholders}}: {error}")
        return
    for placeholder in sorted(unknown):
        validator.problem(path, f"unknown placeholder {{{placeholder}}}{allowed(placeholders(reference[name]))}")


def placeholders(message: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in Formatter().parse(message) if name is not None}
