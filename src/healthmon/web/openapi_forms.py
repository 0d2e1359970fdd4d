"""How schemas of the API's description are written: a few words for JSON Schema."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

TIME: Json = {"type": "string", "format": "date-time"}
TEXT: Json = {"type": "string"}
NAME: Json = {"type": "string", "minLength": 1, "maxLength": 80}
NOTE: Json = {"type": "string", "minLength": 1, "maxLength": 2000}
BOOL: Json = {"type": "boolean"}
INT: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}


def nullable(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def obj(*required: str, extra: bool = False, **properties: Json) -> Json:
    """An object; closed unless `extra`."""
    shape: Json = {"type": "object", "properties": properties}
    if required:
        shape["required"] = list(required)
    if not extra:
        shape["additionalProperties"] = False
    return shape


def arr(items: Json) -> Json:
    return {"type": "array", "items": items}


def enum(*words: str) -> Json:
    return {"type": "string", "enum": list(words)}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
