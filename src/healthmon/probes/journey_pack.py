"""What is wrong with a pack of journeys, first of all whether it could write something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healthmon.probes.http_pack import lint_params
from healthmon.probes.journey import Params

#: Names for secrets that only a site can give.
_OF_THE_SITE = ("user", "password_file", "bearer_file", "values", "login_at")


def lint_pack(data: Mapping[str, Any]) -> list[str]:
    """Problems as `place: message`; the values that the pack needs count as given."""
    problems = [f"{name}: belongs in the site's configuration, not in a pack" for name in _OF_THE_SITE if name in data]
    needs = data.get("needs")
    needed = [name for name in needs if isinstance(name, str)] if isinstance(needs, list | tuple) else []
    given: dict[str, Any] = {"values": {name: "x" for name in needed if name not in ("user", "password")}}
    if {"user", "password"} & set(needed):
        given |= {"user": "x", "password_file": "x"}
    return problems + lint_params(Params, data, given=given)
