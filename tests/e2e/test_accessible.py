"""Every page for everybody: axe-core finds nothing, the keyboard reaches all, nothing scrolls sideways at 320 px."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from daemons.axe import CONTRAST, EVERYTHING, shut_out
from daemons.browser import Page, chromium
from daemons.webboard import TOKEN, Hospital, hospital_app, served
from healthmon.web.permissions import TABLE

pytestmark = [pytest.mark.wire, pytest.mark.slow]

SEVERE = "i-20261122-0003"
#: One address for each page that the table of permissions names.
PAGES = {
    "GET /": "/",
    "GET /access": "/access",
    "GET /agents": "/agents",
    "GET /area/{id}": "/area/ward-7",
    "GET /area/{id}/shift": "/area/ward-7/shift",
    "GET /incident/{id}": f"/incident/{SEVERE}",
    "GET /ledger": "/ledger",
    "GET /login": "/login",
    "GET /ack/{token}": "/ack/tok-1",
    "GET /map": "/map?area=ward-7",
    "GET /mutes": "/mutes?target=sw-*",
    "GET /status": "/status",
    "GET /targets": "/targets",
    "GET /targets/{id}": "/targets/ehr-web",
}
#: What the live run looks at because it needs a whole server.
LIVE = frozenset(
    {"GET /coverage", "GET /links", "GET /readiness", "GET /standards", "GET /papers", "GET /papers/{kind}"}
)
NO_PAGES = frozenset(
    f"GET /{path}"
    for path in ("static/{name}", "metrics", "probe", "login/oidc", "login/oidc/callback", "area/{id}/events")
)


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


def test_every_page_of_the_table_is_looked_at() -> None:
    pages = {route for route in TABLE if route.startswith("GET ") and not route.startswith("GET /api/")}
    assert pages - set(PAGES) - LIVE - NO_PAGES == set(), "give an example address of each new page in PAGES"


@pytest.mark.parametrize(("scheme", "rules"), [("light", EVERYTHING), ("dark", CONTRAST)], ids=["light", "dark"])
async def test_axe_finds_nothing(page: Page, scheme: str, rules: str) -> None:
    async with served(hospital_app(Hospital())) as url:
        await page.media(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
        for path in ("/login", *PAGES.values(), "/incident/none"):
            await page.size(1280, 900)
            await page.open(url + path)
            assert await shut_out(page, rules) == [], path
        await sign_in(page, url)
        for path in ("/", f"/incident/{SEVERE}", "/mutes?target=sw-*", "/access"):
            await page.open(url + path)
            assert await shut_out(page, rules) == [], f"{path}, signed in"


async def test_nothing_scrolls_sideways_on_the_smallest_phone(page: Page) -> None:
    async with served(hospital_app(Hospital())) as url:
        await page.size(320, 640)
        await sign_in(page, url)
        for path in PAGES.values():
            await page.open(url + path)
            assert await page.eval("document.documentElement.scrollWidth") <= 320, path
            if path in ("/", PAGES["GET /incident/{id}"]):  # other parts of these are shown on a phone
                assert await shut_out(page) == [], path


STOPS = """
[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
  .filter((one) => one.checkVisibility() && !one.disabled).length
"""


@pytest.mark.parametrize("path", ["/", f"/incident/{SEVERE}", "/map?area=ward-7"])
async def test_the_keyboard_reaches_everything_and_shows_where_it_is(page: Page, path: str) -> None:
    async with served(hospital_app(Hospital())) as url:
        await page.size(1280, 900)
        await page.open(url + path)
        wanted = int(await page.eval(STOPS))
        seen = set()
        for number in range(wanted):
            await page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
            await page.call("Input.dispatchKeyEvent", type="keyUp", key="Tab", code="Tab", windowsVirtualKeyCode=9)
            mark = f"(document.activeElement.stop ??= {number}, document.activeElement.matches(':focus-visible'))"
            assert await page.eval(mark), "the focus is not to be seen"
            seen.add(await page.eval("document.activeElement.stop"))
        assert len(seen) == wanted


STATE_WORDS = ("not available", "slow or partly working", "working, no spare route left", "we cannot see")


async def test_without_any_colour_every_state_still_has_its_word_and_shape(page: Page) -> None:
    async with served(hospital_app(Hospital())) as url:
        await page.media(forced_colors="active")
        for path, selector in (("/", ".matrix"), ("/map", "svg.graph")):
            await page.open(url + path)
            text = str(await page.eval(f"document.querySelector('{selector}').textContent"))
            for word, shape in zip(STATE_WORDS, "✕◐△?", strict=True):
                assert word in text, (path, word)
                assert shape in text, (path, shape)
