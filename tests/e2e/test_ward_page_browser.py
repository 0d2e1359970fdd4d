"""The ward page in a real browser: live, on a phone, by keyboard, out of date by itself with and without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemons.browser import chromium
from daemons.wardsite import ward_site

pytestmark = [pytest.mark.wire, pytest.mark.slow]
SHOWN = "getComputedStyle(document.querySelector('.expiry')).visibility"


async def test_a_fault_is_there_without_reload_and_it_fits_a_phone(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site, chromium() as page:
        await page.size(320)
        await page.open(f"{site.base}/area/ward-7")
        assert await page.eval("document.documentElement.scrollWidth") <= 320
        await site.fault()
        await page.wait("document.body?.innerText.includes('Patient record: not available')")
        assert await page.eval("document.documentElement.scrollWidth") <= 320
        small = (
            "[...document.querySelectorAll('button')].filter((one) => one.getBoundingClientRect().height < 44).length"
        )
        assert await page.eval(small) == 0
        labelled = "[...document.querySelectorAll('input:not([type=hidden])')].every((one) => one.labels.length)"
        assert await page.eval(labelled)


async def test_without_scripts_the_style_sheet_says_that_it_is_out_of_date(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site, chromium() as page:
        await page.scripts(on=False)
        await page.open(f"{site.base}/area/ward-7")
        assert await page.eval(SHOWN) == "hidden"
        late = "document.getAnimations().forEach((one) => { one.currentTime = 91000; })"
        await page.eval(late)
        assert await page.eval(SHOWN) == "visible"


async def test_a_report_is_made_by_keyboard_alone(tmp_path: Path) -> None:
    async with ward_site(tmp_path) as site, chromium() as page:
        await page.open(f"{site.base}/area/ward-7")
        await page.eval("document.querySelector('.answer.first').focus()")
        for kind in ("keyDown", "keyUp"):
            await page.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r",
                            windowsVirtualKeyCode=13)  # fmt: skip
        await page.wait("document.body?.innerText.includes('IT knows')")
        (found,) = (await site.get("/api/v1/incidents"))["items"]
        assert found["reports"][0]["effect"] == "nobody_can_work"
