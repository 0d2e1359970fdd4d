"""JSON Schema (draft 2020-12) of a configuration file, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthmon.config.fileforms import SiteFileForm
from healthmon.config.kinds import Kind, channel_kind, channel_names, check_kind, check_names
from healthmon.config.scalars import DURATION_SCHEMA

_REF = "#/$defs/{model}"


def json_schema() -> dict[str, Any]:
    """What a file may hold; references between ids are checked by `healthmon check` only."""
    schema = SiteFileForm.model_json_schema(by_alias=True, ref_template=_REF)
    parts = schema["$defs"]
    _by_kind(parts, "CheckForm", [check_kind(name) for name in sorted(check_names())])
    _by_kind(parts, "ChannelForm", [channel_kind(name) for name in sorted(channel_names())])
    _also_word(parts, "CheckForm", sorted(check_names()))
    for form in ("PlaceOverrideForm", "RuleOverrideForm"):
        _also_word(parts, form, ["shadow", "live"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "healthmon configuration",
    }


def _by_kind(parts: dict[str, Any], form: str, kinds: list[Kind]) -> None:
    """Parameters depend on `kind`: one branch for each, and nothing beside them."""
    block = parts[form]
    block["properties"]["kind"] = {**block["properties"]["kind"], "enum": [kind.name for kind in kinds]}
    block.pop("additionalProperties", None)
    block["unevaluatedProperties"] = False
    block["allOf"] = [
        {
            "if": {"properties": {"kind": {"const": kind.name}}, "required": ["kind"]},
            "then": {"properties": params_schema(kind, parts)},
        }
        for kind in kinds
    ]


def params_schema(kind: Kind, parts: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a kind as they may be written: `X_file` for text, `X` with a unit for `X_s`."""
    schema = kind.adapter.json_schema(ref_template=_REF)
    parts.update(schema.pop("$defs", {}))
    written: dict[str, Any] = {}
    for name, field in schema.get("properties", {}).items():
        if name == "pack":
            continue  # written as a name, in CheckForm
        written[name] = field
        if name.endswith("_s"):
            written[name.removesuffix("_s")] = {**DURATION_SCHEMA, **_described(field)}
        elif _is_text(field) and not name.endswith("_file"):
            written.setdefault(f"{name}_file", {"type": "string"})
    return written


def _described(field: Mapping[str, Any]) -> dict[str, Any]:
    return {key: field[key] for key in ("title", "description") if key in field}


def _is_text(field: Mapping[str, Any]) -> bool:
    return field.get("type") == "string" or any(part.get("type") == "string" for part in field.get("anyOf", ()))


def _also_word(parts: dict[str, Any], form: str, words: list[str]) -> None:
    """The short form of a block is a plain word."""
    parts[f"{form}Full"] = parts[form]
    parts[form] = {"anyOf": [{"enum": words}, {"$ref": f"#/$defs/{form}Full"}]}
