"""Forms of a page: where they lead and what they send unseen."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser

_MOST_FORMS = 50
_MOST_FIELDS = 500


@dataclass(slots=True)
class Form:
    """`fields`: every named input with the value it came with; `hidden`: the names of those nobody sees."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)

    def unseen(self) -> dict[str, str]:
        """What a browser sends without being asked to."""
        return {name: self.fields[name] for name in self.hidden}


def forms_of(page: str) -> list[Form]:
    """Every form of a page, bounded."""
    reader = _Reader()
    reader.read(page)
    return reader.forms


def form_for(page: str, names: Collection[str]) -> Form | None:
    """The form that has all these fields, else the first one."""
    forms = forms_of(page)
    return next((form for form in forms if names and form.fields.keys() >= set(names)), forms[0] if forms else None)


def field_of(page: str, name: str) -> str | None:
    """The value of the first input of this name, in a form or outside."""
    reader = _Reader()
    reader.read(page)
    return next((form.fields[name] for form in (*reader.forms, reader.loose) if name in form.fields), None)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.loose = Form()
        self._open: Form | None = None

    def read(self, page: str) -> None:
        """Feed a page. A marked section that HTML does not know (`<![x`) ends the library; what came before counts."""
        with suppress(AssertionError):
            self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if tag == "form" and len(self.forms) < _MOST_FORMS:
            self._open = Form(known.get("action", ""))
            self.forms.append(self._open)
        elif tag == "input" and known.get("name"):
            form = self._open or self.loose
            if len(form.fields) < _MOST_FIELDS:
                form.fields.setdefault(known["name"], known.get("value", ""))
                if known.get("type", "").lower() == "hidden":
                    form.hidden.add(known["name"])
        elif tag == "meta" and known.get("name") and "content" in known:
            self.loose.fields.setdefault(known["name"], known["content"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
