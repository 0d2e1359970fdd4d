"""JSON Schema of packs, for editors: what rules, their tests, policies and roles look like in a file of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthmon.config.forms import Form
from healthmon.config.rulepacks import PolicyPackForm, RolePackForm, RulePackForm
from healthmon.config.ruletests import RuleTestFileForm
from healthmon.config.schema import json_schema

#: Kind of pack -> (its form, the files that it is about).
PACK_FORMS: Mapping[str, tuple[type[Form], str]] = {
    "rules": (RulePackForm, "alerting/rules/*.yaml"),
    "rule-tests": (RuleTestFileForm, "alerting/rules/*.test.yaml"),
    "policies": (PolicyPackForm, "alerting/policies/*.yaml"),
    "roles": (RolePackForm, "collectors/roles/*.yaml"),
}


def pack_schema(kind: str) -> dict[str, Any]:
    """The schema (draft 2020-12) of one kind of pack. Raises KeyError for an unknown kind."""
    form, files = PACK_FORMS[kind]
    schema = form.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    parts = schema.setdefault("$defs", {})
    if kind == "rules":
        _flap_word(parts)
    if kind == "rule-tests":
        _site(schema, parts)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": f"healthmon {files}"}


def _flap_word(parts: dict[str, Any]) -> None:
    """`flap: true` is the short form of the stock marks."""
    flap = parts["RuleForm"]["properties"]["flap"]
    flap["anyOf"] = [{"type": "boolean"}, *flap.pop("anyOf")]


def _site(schema: dict[str, Any], parts: dict[str, Any]) -> None:
    """The site of a test is a configuration without its organisation."""
    site = json_schema()
    parts.update(site.pop("$defs"))
    parts["SiteOfATest"] = {key: site[key] for key in ("type", "properties", "additionalProperties") if key in site}
    schema["properties"]["site"] = {"$ref": "#/$defs/SiteOfATest"}
