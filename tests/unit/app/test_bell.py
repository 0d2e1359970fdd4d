"""Who waits for something new: news goes at once, all else together after the spacing."""

from __future__ import annotations

import asyncio

from healthmon.app.bell import Bell
from healthmon.runtime.clock import settle

LONG_S = 60.0


async def test_an_incident_that_changed_is_told_within_the_spacing_and_nothing_else_is() -> None:
    bell = Bell()
    bell.ring(news=False)
    waiting = asyncio.create_task(bell.newer(bell.version, LONG_S, spacing_s=LONG_S))
    await settle()
    bell.ring(news=False)
    await settle()
    assert not waiting.done()
    bell.ring(news=True)
    await settle()
    assert waiting.done()


async def test_what_changed_before_one_asked_is_told_at_once() -> None:
    bell = Bell()
    bell.ring(news=True)
    news = asyncio.create_task(bell.newer(0, LONG_S, spacing_s=LONG_S))
    await settle()
    assert news.done()
    bell.ring(news=False)
    anything = asyncio.create_task(bell.newer(1, LONG_S, spacing_s=0.0))
    await settle()
    assert anything.done()


async def test_everything_rings_for_who_takes_no_spacing() -> None:
    bell = Bell()
    waiting = asyncio.create_task(bell.newer(0, LONG_S, spacing_s=0.0))
    await settle()
    bell.ring(news=False)
    await settle()
    assert waiting.done()


async def test_nothing_new_ends_with_the_timeout() -> None:
    bell = Bell()
    await bell.newer(0, 0.0, spacing_s=0.0)
    assert bell.version == 0
