"""JSON Schema (draft 2020-12) of a configuration file, for editors."""

from __future__ import annotations

from typing import Any

from healthmon.config.forms import SiteFileForm


def json_schema() -> dict[str, Any]:
    """What a file may hold; references between ids are checked by `healthmon check` only."""
    schema = SiteFileForm.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "healthmon configuration"}
