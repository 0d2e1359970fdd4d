"""The schemas of the tools."""

from __future__ import annotations

from healthmon.web.openapi_forms import BOOL, NAME, TEXT, Json, arr, obj

TOOL_SCHEMAS: dict[str, Json] = {
    "Reload": obj(by=NAME),
    "Reloaded": obj(
        "reloaded",
        "changes",
        reloaded=BOOL,
        changes={"type": "object", "description": "by block: added, removed, changed"},
        needs_restart=arr(TEXT),
    ),
}
