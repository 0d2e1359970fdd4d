"""The written form of `line_protocol`: which measurements of other tools are taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from healthmon.config.forms import Form
from healthmon.model.sample import Family

#: Before the name of a measurement, so that no tool speaks for a family of ours.
PREFIX = "lp_"
_RESERVED = frozenset({"site", "area", "target", "kind", "check", "vantage", "host"})
_WORD = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,119}")


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError("is not a name (allowed: a-z, A-Z, 0-9, _)")
    return text


def _label(text: str) -> str:
    if text in _RESERVED:
        raise ValueError("is a tag that healthmon gives itself")
    return _word(text)


Word = Annotated[str, AfterValidator(_word)]
Label = Annotated[str, AfterValidator(_label)]


class MeasurementForm(Form):
    """What is kept of one measurement; a field or tag that is not listed is refused and counted."""

    fields: list[Word] = Field(min_length=1, description="For rules `lp_MEASUREMENT.FIELD`")
    tags: list[Label] = Field(default=[], description="Kept beside target and vantage; `host` says which target")


class LinesForm(Form):
    """Line protocol of other tools (Telegraf) on the MQTT topic `lp`."""

    measurements: dict[Word, MeasurementForm] = Field(default={}, description="By name; nothing else is taken")
    hosts: dict[str, str] = Field(default={}, description="Value of the tag `host` -> target, where they differ")
    drop_tags: list[str] = Field(default=[], description="Tags that every line may carry and that are left out")


def families_of(measurements: Mapping[str, MeasurementForm]) -> dict[str, Family]:
    """What ingest admits, by name."""
    return {
        f"{PREFIX}{name}": Family(f"{PREFIX}{name}", frozenset(form.fields), frozenset(form.tags))
        for name, form in measurements.items()
    }


def measurements_of(families: Mapping[str, Family]) -> dict[str, MeasurementForm]:
    """The written form again."""
    return {
        name.removeprefix(PREFIX): MeasurementForm(fields=sorted(family.fields), tags=sorted(family.labels))
        for name, family in families.items()
    }
