"""The messages of one language, and how their placeholders are filled."""

from __future__ import annotations

from collections.abc import Mapping


class Catalogue:
    """The messages of one language."""

    def __init__(self, language: str, messages: Mapping[str, str]) -> None:
        self.language = language
        self.messages = messages

    def say(self, key: str, **values: object) -> str:
        """One message with its placeholders filled; an unknown placeholder stays as it is."""
        return filled(self.messages[key], values)

    def __contains__(self, key: str) -> bool:
        return key in self.messages


def filled(template: str, values: Mapping[str, object]) -> str:
    """A text with what is known put in; what is not known stays readable. Raises what `str.format` raises."""
    return template.format_map(_Kept(values))


class _Kept(dict[str, object]):
    """Placeholders that the caller does not fill stay readable."""

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"
