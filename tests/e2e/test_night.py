"""A night on the board, in a browser on a live run: two faults, pages, a link pressed on a phone, recovery, report.

With HEALTHMON_PICTURES=FOLDER the pictures of docs/ are taken on the way (`make pictures`).
"""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path

import pytest

from daemons.axe import shut_out
from daemons.browser import Page, chromium
from daemons.night import CLOCK, Fault, Night, act, hospital_night, knock, link_of, small_night

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(400)]

PICTURES = os.environ.get("HEALTHMON_PICTURES")
LIVE_PAGES = ("/links", "/coverage", "/readiness", "/standards", "/papers")
#: The part of the board where an incident stands: need, held or over.
GROUP = """
(() => { const one = [...document.querySelectorAll('#live article')].find((one) => one.ariaLabel.includes(%r));
  return one ? one.closest('section').className.split('g-')[1] : ''; })()
"""
WATCH = """
(() => {
  window.seen ??= {};
  const wanted = %r;
  const there = () => !(wanted in seen) && document.body.innerText.includes(wanted);
  const look = () => { if (there()) seen[wanted] = Date.now() / 1000; };
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true});
})()
"""


async def test_a_night(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures: dict[str, float] = {}
    around = hospital_night if PICTURES else small_night
    async with around(tmp_path) as it, chromium() as board:
        await board.size(1440, 900)
        await board.open(it.url)
        await board.eval("window.mark = 1")
        await board.wait("document.querySelector('#live')?.innerText.includes('No open incident')")
        for name, broken in (("first fault", it.left), ("second fault", it.taken)):
            figures |= {f"{name}, {k}": v for k, v in (await fault(it, board, broken)).items()}
        taken, left = await incident_of(it, it.taken), await incident_of(it, it.left)
        assert await groups(it, board) == ["need", "need"]
        if PICTURES:
            await pictures(it, board, taken)
        figures["accepted to owner shown"] = await accept(it, board, taken)
        await look_around(it, taken)
        await nobody_takes_the_other(it, board, left)
        await recovery(it, board)
        await close_and_report(it, board, taken)
    with capsys.disabled():
        print("\n" + "\n".join(f"{name}: {seconds:.2f} s" for name, seconds in figures.items()))


async def fault(it: Night, board: Page, broken: Fault) -> dict[str, float]:
    """Break something; the open page says so by itself."""
    await board.eval(WATCH % broken.words)
    began = CLOCK.now()
    await asyncio.to_thread(broken.cut)
    await board.wait(f"{broken.words!r} in seen", timeout_s=90)
    shown = float(await board.eval(f"seen[{broken.words!r}]"))
    assert await board.eval("window.mark") == 1, "without a reload"
    found = await it.api.get(f"incidents/{await incident_of(it, broken)}")
    opened = datetime.fromisoformat(found["opened_at"]).timestamp()
    return {"fault to board": shown - began, "incident to board": shown - opened}


async def incident_of(it: Night, broken: Fault) -> str:
    (found,) = [one["id"] for one in await it.api.incidents() if one["root"]["target"] == broken.root]
    return str(found)


async def look_around(it: Night, incident: str) -> None:
    """What an engineer opens next: nothing of it shuts anybody out, or scrolls sideways on a phone."""
    async with chromium() as other:
        for path in (f"/incident/{incident}", f"/map?area={it.taken.area}", *LIVE_PAGES):
            await other.size(390, 844)
            await other.open(it.url + path)
            assert await other.eval("document.documentElement.scrollWidth") <= 390, path
            await other.size(1280, 900)
            assert await shut_out(other) == [], path


async def pictures(it: Night, board: Page, incident: str) -> None:
    """The pictures of the docs, while nobody has it yet."""
    views = (
        ("incident", f"/incident/{incident}", 1440, "light"),
        ("map", f"/map?area={it.taken.area}", 1440, "light"),
        ("wall", "/", 1920, "dark"),
        ("target", f"/targets/{it.taken.root}", 1440, "light"),
        ("phone", "/", 390, "light"),
    )
    async with chromium() as other:
        for name, path, width, scheme in views:
            await other.media(prefers_color_scheme=scheme)
            await other.size(width, 844)
            await other.open(it.url + path)
            await picture(other, name)
    await picture(board, "board")


async def groups(it: Night, board: Page) -> list[str]:
    """Where the board has the two incidents."""
    return [str(await board.eval(GROUP % one.words)) for one in (it.left, it.taken)]


async def accept(it: Night, board: Page, incident: str) -> float:
    """A scanner opens the link of the page and changes nothing; its reader presses the button on a phone."""
    message = (await it.until(lambda: it.messages(it.taken.words), "the page"))[0]
    link, owner = link_of(message), it.taken.asked[0]
    for method in ("GET", "HEAD", "GET", "HEAD"):
        assert await asyncio.to_thread(knock, link, method) == 200
    found = await it.api.get(f"incidents/{incident}")
    assert (found["state"], found["owner"]) == ("open", None)
    await board.eval(WATCH % f"Has it {owner}")
    async with chromium() as phone:
        await phone.size(390, 844)
        await phone.open(link)
        assert await phone.eval("document.documentElement.scrollWidth") <= 390
        assert await shut_out(phone) == []
        await picture(phone, "accept")
        began = CLOCK.now()
        await phone.eval("document.querySelector('button.primary').click()")
        await phone.wait("document.querySelector('main')?.innerText.includes('You have it')")
    await board.wait(f"'Has it {owner}' in seen")
    found = await it.api.get(f"incidents/{incident}")
    assert (found["state"], found["owner"]) == ("acknowledged", owner)
    return float(await board.eval(f"seen['Has it {owner}']")) - began


async def nobody_takes_the_other(it: Night, board: Page, left: str) -> None:
    """It reaches the next person, then the duty manager; of the one that was accepted nobody hears more."""
    await it.until(lambda: it.asked(it.left.words) == list(it.left.asked), "the duty manager is asked", 150.0)
    assert it.asked(it.taken.words) == [it.taken.asked[0]]
    said = await asyncio.to_thread(act, it, f"incidents/{left}/ack", by="Duty manager")
    assert (said["state"], said["owner"]) == ("acknowledged", "Duty manager")
    await board.wait("document.querySelector('#live')?.innerText.includes('Has it Duty manager')")
    assert await groups(it, board) == ["held", "held"]


async def recovery(it: Night, board: Page) -> None:
    """The board says that it is reachable again, and that paper stays until the nurse in charge says stop."""
    for broken in (it.left, it.taken):
        await asyncio.to_thread(broken.mend)
    for broken in (it.left, it.taken):  # severity 1 waits for a person's reason
        await board.wait(f"{(GROUP % broken.words).strip()} === 'need'", timeout_s=90)
    text = await board.text("main")
    assert "reachable again since" in text
    assert "until the nurse in charge says stop" in text
    assert await board.eval("window.mark") == 1


async def close_and_report(it: Night, board: Page, incident: str) -> None:
    """A reason and what it meant for care; then the report holds the whole night."""
    owner = it.taken.asked[0]
    await board.open(f"{it.url}/login?next=/incident/{incident}")
    await board.eval(
        f"document.getElementById('name').value='{owner}';document.getElementById('token').value='{it.token}';"
        "document.querySelector('main form').requestSubmit()"
    )
    await board.wait(f"location.pathname === '/incident/{incident}' && document.readyState === 'complete'")
    await board.eval(
        "document.getElementById('f-reason').value='Patch lead replaced';"
        "document.getElementById('f-impact').value='One drug round on paper';"
        "document.getElementById('f-reason').form.requestSubmit()"
    )
    await board.wait("document.querySelector('#live')?.innerText.includes('Patch lead replaced')")
    assert (await it.api.get(f"incidents/{incident}"))["state"] == "resolved"
    await board.open(f"{it.url}/api/v1/incidents/{incident}/report?format=html")
    report = await board.text("body")
    expected = (
        f"{it.taken.words}|Very likely: {it.taken.root}|For {it.taken.root}: {it.taken.root} itself fails|{owner}"
    )
    fixed = "One drug round on paper|Patch lead replaced|Timeline|Who was told|Pages that were not sent"
    for words in f"{expected}|{fixed}|Explained by it, no extra page".split("|"):
        assert words in report, words
    assert await shut_out(board) == []
    await picture(board, "incident-report")


async def picture(page: Page, name: str) -> None:
    """A picture for docs/, when they are wanted."""
    if PICTURES:
        await page.photograph(Path(PICTURES) / f"{name}.png")
