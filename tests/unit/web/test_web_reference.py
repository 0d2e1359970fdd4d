"""What is described is what is served: OpenAPI against the routes, the docs against both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemons.webboard import Hospital, hospital_app
from healthmon.web.openapi import document
from healthmon.web.reference import api_reference, metrics_reference

DOCS = Path(__file__).parents[3] / "docs"


def served() -> set[tuple[str, str]]:
    found = set()
    for route in hospital_app(Hospital()).router.routes():
        path = route.resource.canonical if route.resource else ""
        if path.startswith("/api/v1/") and route.method != "HEAD":
            found.add((path.removeprefix("/api/v1"), route.method.lower()))
    return found


def described() -> set[tuple[str, str]]:
    return {(path, method) for path, methods in document()["paths"].items() for method in methods}


async def test_every_route_is_described_and_every_description_is_served() -> None:
    assert served() == described()


def test_every_reference_points_at_a_shape() -> None:
    shapes = document()["components"]["schemas"]
    used: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            used.update([node["$ref"].rpartition("/")[2]] if "$ref" in node else [])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document())
    assert used <= set(shapes)


def test_path_parameters_are_declared() -> None:
    for path, methods in document()["paths"].items():
        wanted = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for found in methods.values():
            declared = {p["name"] for p in found.get("parameters", ()) if p["in"] == "path"}
            assert declared == wanted, path


@pytest.mark.parametrize(("name", "make"), [("api.md", api_reference), ("metrics.md", metrics_reference)])
def test_the_docs_are_fresh(name: str, make: Any) -> None:
    assert (DOCS / name).read_text() == make(), f"run: python -m healthmon.web.reference docs (for {name})"
