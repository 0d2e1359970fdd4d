"""What is wrong with a pack of the HTTP probe, and with packs of its kin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from healthmon.probes.http import Params


def lint_pack(data: Mapping[str, Any]) -> list[str]:
    """Problems as `place: message`; packs read, they never send."""
    problems = lint_params(Params, data)
    method = data.get("method", "GET")
    if method not in ("GET", "HEAD", "OPTIONS"):
        problems.append(f"method: {method} does not belong in a pack (allowed: GET, HEAD, OPTIONS)")
    return problems


def lint_params(params: type, data: Mapping[str, Any], *, given: Mapping[str, Any] | None = None) -> list[str]:
    """A description, no addresses, and parameters that hold once the site has added what is `given`."""
    from pydantic import TypeAdapter, ValidationError

    problems: list[str] = []
    description = data.get("description")
    if not isinstance(description, str) or not description.rstrip().endswith("."):
        problems.append("description: is missing (one sentence: what is asked, and what a good answer proves)")
    if "://" in json.dumps(data, default=str):
        problems.append("packs know no addresses: `://` belongs in the site's configuration")
    settings = {key: value for key, value in data.items() if key != "description"}
    try:
        TypeAdapter(params).validate_python({**settings, **(given or {})})
    except ValidationError as error:
        problems += [f"{_place(detail['loc'])}{_message(detail)}" for detail in error.errors(include_url=False)]
    return problems


def _place(loc: tuple[int | str, ...]) -> str:
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return f"{text}: " if text else ""


def _message(detail: Any) -> str:
    if detail["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return "unknown key"
    return str(detail["msg"]).removeprefix("Value error, ")
