"""docs/config.md from the models: `python -m healthmon.config.reference docs/config.md` writes it."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from healthmon.config.fileforms import SiteFileForm
from healthmon.config.kinds import Kind, channel_kind, channel_names, check_kind, collector_names, probe_names
from healthmon.config.rulepacks import PolicyPackForm, RolePackForm, RulePackForm
from healthmon.config.scalars import DURATION_SCHEMA, ID_PATTERN, RATE_SCHEMA

_REF = "#/$defs/"
_HEAD = "| key | form | default | meaning |\n|---|---|---|---|"
_INTRO = """# Configuration reference

Generated from the models by `python -m healthmon.config.reference docs/config.md`; do not edit. A complete example is
in `configs/st-elsewhere/`, the smallest useful one is `configs/minimal.yaml`.

- A configuration is one YAML file or a folder (every `*.yaml` in it). `include:` takes file names and globs, relative
  to the file they stand in. Over several files lists grow and mappings unite; a value may be set once only.
- `healthmon check` prints every problem as `file:line:col: message`, and warnings that stop nothing.
- Unknown keys, duplicate keys and ids, unknown references and circles in `needs` are errors.
- `${NAME}` in a value is the environment variable, `${NAME:-text}` gives a default, `$${` is a plain `${`.
- Secrets: wherever a key holds one, `KEY_file` names a file whose content (without the line end) is taken instead.
  File names are relative to the file they stand in.
- An **id** is `a-z`, `0-9`, `-` and `_`, first a letter or digit, at most 63 long. A **duration** is `500ms`, `30s`,
  `5m`, `1h30m`, `7d`. A **rate** is `2/s`, `100/min`, `10/h`. A **need** is the id of a target or a service, or
  `{at_least: 1, of: [a, b]}`.
- YAML words are those of YAML 1.2: `true` and `false` only; `on`, `no`, `0417` and `12:30` are text.
"""


def reference() -> str:
    """The whole page."""
    parts = [_INTRO, "## The file\n"]
    parts += _blocks(SiteFileForm.model_json_schema(by_alias=True))
    parts += ["## Parameters of checks\n", "Keys of a check beside those of [Check](#check).\n"]
    parts += [_kind(check_kind(name)) for name in sorted(probe_names())]
    parts += ["### Collectors\n", "They look at the host they run on; role packs (collectors/roles/) list them.\n"]
    parts += [_kind(check_kind(name)) for name in sorted(collector_names())]
    parts += ["## Parameters of channels\n"]
    parts += [_kind(channel_kind(name)) for name in sorted(channel_names())]
    parts += ["## Packs\n"]
    for form in (RulePackForm, PolicyPackForm, RolePackForm):
        parts += _blocks(form.model_json_schema(by_alias=True), skip=("PolicyForm", "StepForm", "CheckForm"))
    return "\n".join(parts).rstrip() + "\n"


def _blocks(schema: Mapping[str, Any], skip: tuple[str, ...] = ()) -> Iterator[str]:
    """The top block, then every block it leads to, in the order they are met."""
    parts = schema.get("$defs", {})
    waiting, told = [(schema["title"], schema)], set(skip)
    while waiting:
        name, block = waiting.pop(0)
        if name in told or "properties" not in block:
            continue
        told.add(name)
        required = block.get("required", ())
        rows = [_row(key, field, key in required, parts) for key, field in block["properties"].items()]
        yield f"### {_title(name)}\n\n{block.get('description', '')}\n\n{_HEAD}\n" + "\n".join(rows) + "\n"
        waiting += [(ref, parts[ref]) for field in block["properties"].values() for ref in _refs(field)]


def _title(name: str) -> str:
    return name.removesuffix("Form")


def _refs(field: Any) -> Iterator[str]:
    if isinstance(field, dict):
        if "$ref" in field:
            yield str(field["$ref"]).removeprefix(_REF)
        for value in field.values():
            yield from _refs(value)
    elif isinstance(field, list):
        for value in field:
            yield from _refs(value)


def _row(key: str, field: Mapping[str, Any], required: bool, parts: Mapping[str, Any]) -> str:
    default = "required" if required else _default(field)
    return f"| `{key}` | {_form(field, parts)} | {default} | {field.get('description', '')} |"


def _default(field: Mapping[str, Any]) -> str:
    value = field.get("default")
    if value in (None, "", [], {}) or isinstance(value, dict):
        return ""
    if field_is_duration(field) and isinstance(value, int | float):
        return f"`{_seconds(value)}`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def field_is_duration(field: Mapping[str, Any]) -> bool:
    """Whether this is a duration or an optional one."""
    options = field.get("anyOf", [])
    return options == DURATION_SCHEMA["anyOf"] or DURATION_SCHEMA in options


def _seconds(value: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if value >= size and value % size == 0:
            return f"{int(value // size)}{unit}"
    return f"{value:g}s"


def _form(field: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """A schema in words."""
    if field_is_duration(field):
        return "duration"
    if field.get("pattern") == RATE_SCHEMA["pattern"]:
        return "rate"
    if field.get("anyOf", [{}])[0].get("pattern") == ID_PATTERN:
        return "id"
    if "$ref" in field:
        name = str(field["$ref"]).removeprefix(_REF)
        block, title = parts[name], _title(name)
        return _form(block, parts) if "enum" in block else f"[{title}](#{title.lower()})"
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    for key in ("anyOf", "oneOf"):
        if key in field:
            forms = [_form(option, parts) for option in field[key] if option.get("type") != "null"]
            return " or ".join(dict.fromkeys(forms))
    return _plain(field, parts)


def _plain(field: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    match field.get("type"):
        case "array" if "prefixItems" not in field:
            return f"list of {_form(field.get('items', {}), parts)}"
        case "object" if isinstance(field.get("additionalProperties"), dict):
            return f"mapping to {_form(field['additionalProperties'], parts)}"
        case "string":
            return "text" if field.get("format") != "date-time" else "time, RFC 3339"
        case "integer":
            return "whole number"
        case "number":
            return "number"
        case "boolean":
            return "`true`, `false`"
        case "object":
            return "mapping"
    return "any"


def _kind(kind: Kind) -> str:
    """One kind of check or channel with its parameters."""
    schema = kind.adapter.json_schema()
    parts, required = schema.get("$defs", {}), schema.get("required", ())
    said = " ".join((kind.params.__doc__ or "").split())
    fields = {name: field for name, field in schema.get("properties", {}).items() if name != "pack"}
    if dataclasses.is_dataclass(kind.params) and not fields:
        return f"#### {kind.name}\n\n{said}\n\nNo parameters.\n"
    rows = [_row(name, field, name in required, parts) for name, field in fields.items()]
    inner = [_inner(name, block, parts) for name, block in parts.items() if "properties" in block]
    return "\n".join([f"#### {kind.name}\n\n{said}\n\n{_HEAD}\n" + "\n".join(rows) + "\n", *inner])


def _inner(name: str, block: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """A block inside the parameters of one kind."""
    rows = [_row(key, field, key in block.get("required", ()), parts) for key, field in block["properties"].items()]
    return f"##### {_title(name)}\n\n{_HEAD}\n" + "\n".join(rows) + "\n"


def main() -> None:
    """Write the page to the file that is named, or print it."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
    else:
        sys.stdout.write(reference())


if __name__ == "__main__":
    main()
