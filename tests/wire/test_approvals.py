"""Two people below the clinical floor: each under a login of their own, where people have logins."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from daemons.signedin import SITE, House, get, house, own, post, sign_in
from healthmon.model.approval import WAITS_S
from healthmon.model.mute import Match, Silence, When
from healthmon.runtime.clock import ManualClock
from healthmon.web.approvals import Approvals
from healthmon.web.people import Person
from healthmon.web.permissions import Role

ASKED = {
    "match": {"area": "ed"}, "owner": "Net", "reason": "The core is replaced", "floor": "two_people",
    "ends_at": "2026-11-22T16:00:00Z",
}  # fmt: skip


def floors(here: House) -> list[tuple[str, str, str | None]]:
    """(floor, made by, approved by) of every silence."""
    mutes = [one.mute for one in here.hospital.view().mutes if isinstance(one.mute, Silence)]
    return [(one.floor.value, one.created_by, one.approved_by) for one in mutes]


async def test_two_people_who_are_signed_in_lift_the_floor_and_one_does_not(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as dana, here.browser() as kim, here.browser() as robin:
        for user, role in (("dana", Role.SILENCE), ("kim", Role.SILENCE), ("robin", Role.ACT)):
            here.add(user, role)
        for session, user in ((dana, "dana"), (kim, "kim"), (robin, "robin")):
            assert await sign_in(session, user) == 303
        before = floors(here)
        status, said = await post(dana, "silences", ASKED | {"approved_by": "Kim Example"})
        assert (status, said["type"]) == (403, "urn:healthmon:problem:approve-signed-in")
        status, said = await post(dana, "silences", ASKED)
        assert (status, said["approval"]["asked_by"]) == (202, "Dana Example")
        id_ = said["approval"]["id"]
        assert floors(here) == before
        status, said = await post(dana, f"approvals/{id_}/approve", {})
        assert (status, said["type"]) == (403, "urn:healthmon:problem:second-person")
        assert (await post(robin, f"approvals/{id_}/approve", {}))[0] == 403
        status, said = await post(kim, f"approvals/{id_}/approve", {}, **SITE)
        assert (status, said["type"]) == (403, "urn:healthmon:problem:not-a-person")
        assert floors(here) == before
        status, made = await post(kim, f"approvals/{id_}/approve", {})
        assert (status, made["approved_by"], made["created_by"]) == (201, "Kim Example", "Dana Example")
        assert floors(here) == [*before, ("two_people", "Dana Example", "Kim Example")]
        assert (await post(kim, f"approvals/{id_}/approve", {}))[0] == 404


async def test_two_who_approve_at_once_make_one(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as dana, here.browser() as kim, here.browser() as robin:
        for session, user in ((dana, "dana"), (kim, "kim"), (robin, "robin")):
            here.add(user, Role.SILENCE)
            await sign_in(session, user)
        before = floors(here)
        id_ = (await post(dana, "silences", ASKED))[1]["approval"]["id"]
        path = f"approvals/{id_}/approve"
        both = await asyncio.gather(post(kim, path, {}), post(robin, path, {}))
        assert sorted(status for status, _ in both) == [201, 404]
        assert len(floors(here)) == len(before) + 1


async def test_what_cannot_be_made_waits_on(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as dana, here.browser() as kim:
        for session, user in ((dana, "dana"), (kim, "kim")):
            here.add(user, Role.SILENCE)
            await sign_in(session, user)
        too_long = ASKED | {"ends_at": "2026-11-22T23:00:00Z"}
        id_ = (await post(dana, "silences", too_long))[1]["approval"]["id"]
        for _ in range(2):
            assert (await post(kim, f"approvals/{id_}/approve", {}))[0] == 403
        assert [one["id"] for one in (await get(kim, "approvals"))[1]["items"]] == [id_]


async def test_a_shared_token_is_not_two_people(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as session:
        here.add("dana", Role.SILENCE)
        body = ASKED | {"by": "Dana Example", "approved_by": "Kim Example"}
        assert (await post(session, "silences", body, **SITE))[0] == 403
        status, said = await post(session, "silences", ASKED | {"by": "Dana Example"}, **SITE)
        assert (status, said["type"]) == (403, "urn:healthmon:problem:not-a-person")
        assert (await get(session, "approvals", **SITE))[1]["items"] == []


async def test_where_nobody_has_a_login_two_names_are_taken_on_trust(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as session:
        body = ASKED | {"by": "Dana Example", "approved_by": "Kim Example"}
        assert (await post(session, "silences", body, **SITE))[0] == 201


async def test_the_board_asks_and_the_other_person_presses_the_button(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as dana, here.browser() as kim:
        for session, user in ((dana, "dana"), (kim, "kim")):
            here.add(user, Role.SILENCE)
            assert await sign_in(session, user) == 303
        async with dana.get("/mutes?area=ed") as answer:
            token = re.search(r'name="form_token" value="([0-9a-f]+)"', await answer.text())
        assert token
        form = {"form_token": token[1], "area": "ed", "reason": "Core", "hours": "1", "floor": "two_people"}
        async with dana.post("/mutes", data=form, headers=own(dana), allow_redirects=False) as answer:
            assert answer.status == 303
        async with dana.get("/mutes") as answer:
            text = await answer.text()
            assert ("Waits for a second person" in text, "Approve as" in text) == (True, False)
        async with kim.get("/mutes") as answer:
            text = await answer.text()
        path = re.search(r'action="(/mutes/approvals/\w+)"', text)
        token = re.search(r'name="form_token" value="([0-9a-f]+)"', text)
        assert path
        assert token
        async with kim.post(path[1], data={"form_token": token[1]}, headers=own(kim), allow_redirects=False) as answer:
            assert answer.status == 303
        assert floors(here)[-1] == ("two_people", "Dana Example", "Kim Example")


async def test_a_broken_glass_is_reviewed_by_a_person(tmp_path: Path) -> None:
    async with house(tmp_path) as here, here.browser() as dana, here.browser() as kim:
        for session, user in ((dana, "dana"), (kim, "kim")):
            here.add(user, Role.SILENCE)
            assert await sign_in(session, user) == 303
        alone = ASKED | {"floor": "break_glass", "ends_at": "2026-11-22T14:35:00Z"}
        status, made = await post(dana, "silences", alone)
        assert status == 201
        status, said = await post(kim, f"silences/{made['id']}/review", {"by": "Kim Example"}, **SITE)
        assert (status, said["type"]) == (403, "urn:healthmon:problem:not-a-person")
        assert (await post(dana, f"silences/{made['id']}/review", {}))[0] in (403, 409)
        assert (await post(kim, f"silences/{made['id']}/review", {}))[0] == 200


async def test_what_nobody_approves_is_forgotten() -> None:
    clock = ManualClock()
    approvals = Approvals(clock)
    draft = Silence("", Match(area="ed"), "Net", "Core", When(clock.now(), clock.now() + 60.0))
    await approvals.ask(draft, Person("session", "Dana Example", Role.SILENCE, "dana"))
    await clock.advance(WAITS_S)
    assert len(approvals.all()) == 1
    await clock.advance(1)
    assert approvals.all() == []
