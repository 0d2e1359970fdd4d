"""How the API's description is written: a few words for JSON Schema, and for one GET or POST."""

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


ID: Json = {"name": "id", "in": "path", "required": True, "schema": TEXT}
TOKEN: Json = {"name": "token", "in": "path", "required": True, "schema": TEXT}
KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "a repeat within a day gets the first answer and acts once",
    "schema": {"type": "string", "maxLength": 200},
}


def param(name: str, schema: Json, description: str = "") -> Json:
    found: Json = {"name": name, "in": "query", "schema": schema}
    return found | ({"description": description} if description else {})


PAGING = (
    param("limit", INT, "at most so many items; default 100, at most 1,000"),
    param("cursor", TEXT, "`next` of the page before"),
)


def answer(schema: Json, description: str = "the answer") -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def problem(description: str) -> Json:
    return {"description": description, "content": {"application/problem+json": {"schema": ref("Problem")}}}


def read(summary: str, schema: Json, *parameters: Json, security: bool = True, **responses: Json) -> Json:
    """One GET."""
    found: Json = {"summary": summary, "responses": {"200": answer(schema)} | responses}
    if parameters:
        found["parameters"] = list(parameters)
    if security:
        found["responses"]["401"] = problem("not signed in")
    else:
        found["security"] = []
    if any(p in (ID, TOKEN) for p in parameters):
        found["responses"]["404"] = problem("no such thing")
    return found


def listing(summary: str, items: str, *parameters: Json) -> Json:
    """One GET of a list."""
    shape = obj("items", "next", items=arr(ref(items)), next=nullable(TEXT))
    return read(summary, shape, *parameters, *PAGING) | {}


def act(summary: str, body: str, result: str, *parameters: Json, security: bool = True) -> Json:
    """One POST."""
    found: Json = {
        "summary": summary,
        "parameters": [*parameters, KEY],
        "requestBody": {"content": {"application/json": {"schema": ref(body)}}},
        "responses": {
            "200": answer(ref(result)),
            "400": problem("the body is wrong, or a text looks like patient data"),
            "401": problem("not signed in"),
            "403": problem("not allowed"),
            "404": problem("no such thing"),
            "409": problem("does not fit the present state"),
            "422": problem("the Idempotency-Key was used for another request"),
        },
    }
    if not security:
        found["security"] = []
        del found["responses"]["401"]
    return found


def made(summary: str, body: str, result: str) -> Json:
    """One POST that makes a thing, or with `preview` only says what it would hide."""
    found = act(summary, body, result, param("preview", BOOL, "true: make nothing, answer {preview}"))
    found["responses"]["201"] = found["responses"].pop("200")
    found["responses"]["202"] = answer(
        obj("approval", approval=ref("Approval")), "it waits for a second person, where people have logins"
    )
    found["responses"]["200"] = answer(
        obj("preview", preview=ref("MutePreview")), "the preview, where it was asked for"
    )
    return found


def created(summary: str, body: str, result: str, *parameters: Json) -> Json:
    """One POST that makes a thing."""
    found = act(summary, body, result, *parameters)
    found["responses"]["201"] = found["responses"].pop("200")
    return found
