"""The words of incidents: the stock catalogue with single messages overwritten by a hospital's packs."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter

from healthmon.alerting.incidents.text import DEFAULT_TEXT
from healthmon.config.forms import Form
from healthmon.config.packs import Packs, read_pack
from healthmon.config.problems import Problems, allowed, did_you_mean
from healthmon.config.validation import Validator
from healthmon.config.yamlnodes import DataPath

_CATALOGUE = "alerting/text/en.yaml"


class TextPackForm(Form):
    """alerting/text/en.yaml"""

    language: str = "en"
    messages: dict[str, str]


def text_of(packs: Packs, problems: Problems) -> Mapping[str, str]:
    """Messages by name; every root may overwrite some."""
    text: dict[str, str] = {}
    for root in packs.roots:
        file = root / _CATALOGUE
        document = read_pack(file, problems) if file.is_file() else None
        if document is None:
            continue
        validator = Validator(document, problems)
        form: TextPackForm | None = validator.one(TextPackForm, (), document.data)
        for name, message in form.messages.items() if form else ():
            _check(name, message, ("messages", name), validator)
            text[name] = message
    return text


def _check(name: str, message: str, path: DataPath, validator: Validator) -> None:
    if name not in DEFAULT_TEXT:
        validator.problem(path, f"unknown message{did_you_mean(name, DEFAULT_TEXT)}", key=True)
        return
    try:
        unknown = placeholders(message) - placeholders(DEFAULT_TEXT[name])
    except ValueError as error:
        validator.problem(path, f"is not a text with {{placeholders}}: {error}")
        return
    for placeholder in sorted(unknown):
        validator.problem(path, f"unknown placeholder {{{placeholder}}}{allowed(placeholders(DEFAULT_TEXT[name]))}")


def placeholders(message: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in Formatter().parse(message) if name is not None}
