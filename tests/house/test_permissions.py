"""Every route of the application has its row in the table of permissions, and every row its route."""

from __future__ import annotations

from daemons.webboard import Hospital, hospital_app
from healthmon.web.openapi import document
from healthmon.web.permissions import LADDER, TABLE, Role, asked
from healthmon.web.settings import Demand, Found


async def look(demand: Demand) -> Found:
    raise AssertionError("not asked for here")


def served() -> set[str]:
    """`METHOD PATH` of every route, those that need a prober too."""
    router = hospital_app(Hospital(), prober=look).router
    return {f"{route.method} {route.resource.canonical}" for route in router.routes() if route.resource}


async def test_every_route_has_a_row() -> None:
    missing = sorted(route for route in served() if asked(*route.split(" ", 1)) is None)
    rows = "\n".join(f'    "{route}": Role.VIEW,' for route in missing if not route.startswith("HEAD "))
    assert not missing, (
        "say in TABLE of src/healthmon/web/permissions.py what each of these routes asks for "
        f"(VIEW, ACT, SILENCE, CONFIGURE; WARD, CARRIED or PUBLIC if it needs no login):\n{rows}"
    )


async def test_every_row_has_a_route() -> None:
    unserved = sorted(set(TABLE) - served())
    assert not unserved, f"src/healthmon/web/permissions.py names what nothing serves; take out: {unserved}"


def test_what_changes_something_asks_for_more_than_to_view() -> None:
    weak = {row for row, role in TABLE.items() if role is Role.VIEW and not row.startswith("GET ")}
    assert not weak


def test_the_description_names_the_role_and_the_login_of_every_route() -> None:
    for path, methods in document()["paths"].items():
        for method, found in methods.items():
            role = asked(method.upper(), f"/api/v1{path}")
            assert found["x-healthmon-role"] == role, f"{method} {path}"
            schemes = {name for one in found.get("security", document()["security"]) for name in one}
            assert ("session" in schemes) == (role in LADDER), f"{method} {path}"
