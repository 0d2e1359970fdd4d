"""`changes import` against a served API: what is refused is said and keeps the old change, what moved is replaced."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from daemons.webboard import NOW, TOKEN, Hospital, hospital_app, served
from healthmon.cli.calendarimport import imported
from healthmon.cli.client import Client

Import = Callable[..., Awaitable[tuple[dict[str, Any], int]]]
HEAD = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n"


def event(uid: str, day: int, *, targets: str = "sw-core", sequence: int = 0) -> str:
    return (
        f"BEGIN:VEVENT\nUID:{uid}\nSUMMARY:{uid}\nSEQUENCE:{sequence}\nDESCRIPTION:targets: {targets}\n"
        f"DTSTART:202612{day:02}T220000Z\nDTEND:202612{day:02}T230000Z\nEND:VEVENT\n"
    )


PAST = event("past", 1).replace("202612", "202602")


@asynccontextmanager
async def importing(tmp_path: Path) -> AsyncIterator[tuple[Client, Import]]:
    """A server, and the command with a calendar of these events."""
    path, token = tmp_path / "changes.ics", tmp_path / "token"
    token.write_text(TOKEN)
    async with served(hospital_app(Hospital())) as url:
        client = Client(url, token)

        async def run(*events: str, preview: bool = False) -> tuple[dict[str, Any], int]:
            path.write_text(HEAD + "".join(events) + "END:VCALENDAR\n")

            def work() -> tuple[str, int]:
                return imported(
                    client, path, by="Duty engineer", timezone="Europe/London", targets=[], expected=[], now=NOW,
                    preview=preview, as_json=True,
                )  # fmt: skip

            text, code = await asyncio.to_thread(work)
            return json.loads(text), code

        yield client, run


async def in_force(client: Client) -> list[str]:
    """Titles of changes that are not over, with their day."""
    items = await asyncio.to_thread(client.items, "changes")
    return sorted(f"{one['title']} {one['starts_at'][8:10]}" for one in items if one["state"] == "pending")


async def test_a_refused_event_keeps_its_old_change_and_stops_no_other(tmp_path: Path) -> None:
    async with importing(tmp_path) as (client, run):
        assert (await run(event("core", 2), event("other", 3)))[1] == 0
        moved = (event("core", 4, targets="nowhere"), event("other", 5))
        for preview in (True, False):
            done, code = await run(*moved, preview=preview)
            assert (len(done["added"]), len(done["ended"]), code) == (1, 1, 1)
            assert "nowhere" in done["skipped"][0]
        assert await in_force(client) == ["core 02", "other 05"]


async def test_an_event_that_was_moved_back_is_in_force_again(tmp_path: Path) -> None:
    async with importing(tmp_path) as (client, run):
        await run(event("core", 2))
        await run(event("core", 4, sequence=1))
        assert await in_force(client) == ["core 04"]
        done, code = await run(event("core", 2, sequence=2))
        assert (len(done["added"]), len(done["ended"]), code) == (1, 1, 0)
        assert await in_force(client) == ["core 02"]
        assert (await run(event("core", 2, sequence=2)))[0]["unchanged"] == done["added"]


async def test_what_was_ended_is_not_called_unchanged(tmp_path: Path) -> None:
    async with importing(tmp_path) as (_, run):
        await run(event("core", 2))
        await run(event("core", 4))
        done, code = await run(event("core", 2))
        assert (done["unchanged"], code) == ([], 1)
        assert "never comes back" in done["skipped"][0]


async def test_events_of_the_past_are_counted_and_nothing_else(tmp_path: Path) -> None:
    async with importing(tmp_path) as (client, run):
        await run(event("core", 2))
        done, code = await run(PAST, event("core", 2).replace("202612", "202601"))
        assert (done["past"], done["skipped"], code) == (2, [], 0)
        assert await in_force(client) == [], "its event was moved to a day that is over"
