"""The board in a real browser: what people see, live changes, and that a dead server never looks well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from daemons.browser import Page, chromium
from daemons.process import free_port
from daemons.webboard import TOKEN, Hospital, health, hospital_app, served, severe
from healthmon.model.incident import ServiceState

pytestmark = [pytest.mark.wire, pytest.mark.slow]
SEVERE = "i-20261122-0003"


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with chromium() as found:
        yield found


async def sign_in(page: Page, url: str) -> None:
    await page.open(f"{url}/login")
    await page.eval(
        f"document.getElementById('name').value='Dana Example';document.getElementById('token').value='{TOKEN}';"
        "document.querySelector('main form').requestSubmit()"
    )
    await page.wait("location.pathname === '/' && document.readyState === 'complete'")


async def test_a_change_appears_without_a_reload(page: Page) -> None:
    hospital = Hospital()
    async with served(hospital_app(hospital)) as url:
        await page.open(url)
        await page.eval("window.mark = 1")
        assert "not available" in await page.text(".matrix")
        better = dict(hospital.view().services)
        better["icu", "ehr"] = replace(better["icu", "ehr"], state=ServiceState.DEGRADED)
        hospital.show(services=better, incidents=(replace(severe(), title="Now another title"),))
        await page.wait("document.querySelector('#live')?.innerText.includes('Now another title')")
        assert await page.eval("document.querySelector('#say').textContent") == "1 open incident, worst severity 1"
        assert await page.eval("window.mark") == 1


async def test_signing_in_and_taking_an_incident(page: Page) -> None:
    hospital = Hospital()
    async with served(hospital_app(hospital)) as url:
        await sign_in(page, url)
        await page.eval(f"document.getElementById('ack-{SEVERE}').click()")
        await page.wait("document.querySelector('#live')?.innerText.includes('Has it Dana Example')")
        await page.wait("document.readyState === 'complete'")
    assert [(c.action, c.incident, c.by) for c in hospital.commands] == [("ack", SEVERE, "Dana Example")]


async def test_a_note_is_not_lost_when_the_page_changes_under_it(page: Page) -> None:
    hospital = Hospital()
    async with served(hospital_app(hospital)) as url:
        await sign_in(page, url)
        await page.open(f"{url}/incident/{SEVERE}")
        await page.eval("document.getElementById('f-note').focus()")
        await page.eval("document.getElementById('f-note').value = 'half a sentence'")
        hospital.show(incidents=(replace(severe(), title="Changed meanwhile"),))
        await page.wait("document.querySelector('#live')?.innerText.includes('Changed meanwhile')")
        assert await page.eval("document.activeElement.id") == "f-note"
        assert await page.eval("document.getElementById('f-note').value") == "half a sentence"


async def test_a_dead_server_makes_the_page_say_so_and_its_return_heals_it(page: Page) -> None:
    port = free_port()
    async with served(hospital_app(Hospital()), port) as url:
        await page.open(url)
        assert await page.eval("document.getElementById('stale')?.hidden")
    await page.wait("!document.getElementById('stale')?.hidden", timeout_s=30)
    assert "out of date since" in await page.text("#stale")
    assert await page.eval("document.documentElement.classList.contains('stale')")
    async with served(hospital_app(Hospital()), port):
        await page.wait("document.getElementById('stale')?.hidden", timeout_s=60)


async def test_a_stuck_engine_makes_the_page_say_so_and_its_return_heals_it(page: Page) -> None:
    hospital = Hospital()
    async with served(hospital_app(hospital)) as url:
        await page.open(url)
        hospital._view = replace(hospital.view(), health=health(engine_tick_age_s=25.0))  # no new version: it is stuck
        await page.wait("!document.getElementById('stale')?.hidden", timeout_s=30)
        hospital._view = replace(hospital.view(), health=health())
        await page.wait("document.getElementById('stale')?.hidden", timeout_s=30)


async def test_on_a_phone_the_matrix_is_a_list_with_the_same_words(page: Page) -> None:
    async with served(hospital_app(Hospital())) as url:
        await page.size(360, 740)
        await page.open(url)
        words = await page.text(".arealist")
        assert not await page.eval("document.querySelector('.matrix').checkVisibility()")
    for expected in ("Intensive Care", "not available", "we cannot see", "working, no spare route left"):
        assert expected in words


async def test_it_reads_without_scripts(page: Page) -> None:
    async with served(hospital_app(Hospital())) as url:
        await page.scripts(on=False)
        await page.open(url)
        await page.scripts(on=True)
        assert "Patient record not available in 5 areas" in await page.text("main")


async def test_the_browser_finds_nothing_against_our_own_policy(page: Page) -> None:
    async with served(hospital_app(Hospital())) as url:
        await page.call(
            "Page.addScriptToEvaluateOnNewDocument",
            source="window.broken=[];document.addEventListener('securitypolicyviolation',e=>broken.push(e.violatedDirective))",
        )
        await page.open(url)
        assert await page.eval("broken") == []
