"""How long from a fault until an open page of the board shows it, and where that time goes.

Real processes and a real browser: a service is stopped or its link cut, the agent looks, the server decides, the stream
tells, the page fetches and shows. Each round mends it, closes the incident and begins anew at a random moment.
HEALTHMON_ONBOARD=demo or =0.5 for one of the two sites.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from daemons.browser import Page, chromium
from daemons.night import CLOCK, Fault, Night, act, hospital_night, small_night

ROUNDS = 6  # of each of two faults
STAGES = ("first failed look", "incident", "told to the page", "shown")
WATCH = """
(() => {
  window.shown = 0;
  const open = () => [...document.querySelectorAll('#live section.g-need article')];
  const there = () => open().some((one) => one.ariaLabel.includes(%r));
  const look = () => { if (!shown && there()) shown = Date.now() / 1000; };
  window.watcher?.disconnect();
  window.watcher = new MutationObserver(look);
  watcher.observe(document.body, {childList: true, subtree: true, characterData: true});
})()
"""


@dataclass(slots=True)
class Heard:
    """When the stream first told of an open incident."""

    at: dict[str, float] = field(default_factory=dict)

    async def listen(self, url: str) -> None:
        forever = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=forever) as session, session.get(f"{url}/api/v1/events") as answer:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    for one in json.loads(line[6:]).get("open", []):
                        self.at.setdefault(one["id"], CLOCK.now())


def main() -> None:
    """Print the spread of each stage, with checks of 0.5 s and with the demo's own."""
    sites = {"checks of 0.5 s": small_night, "the demo's checks": partial(hospital_night, patience=False)}
    for name in [name for name in sites if os.environ.get("HEALTHMON_ONBOARD", "") in name]:
        rounds = asyncio.run(_measured(sites[name]))
        print(f"{name}, n = {len(rounds)}, seconds from the fault (median, slowest):")
        for stage, seconds in zip(STAGES, zip(*rounds, strict=True), strict=True):
            ordered = sorted(seconds)
            print(f"  {stage:<18} {ordered[len(ordered) // 2]:6.2f} {ordered[-1]:6.2f}")


async def _measured(site: Any) -> list[tuple[float, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        async with site(Path(folder)) as it, chromium() as board, _listening(it) as heard:
            await board.open(it.url)
            await board.wait("document.querySelector('#live')?.innerText.includes('No open incident')", timeout_s=90)
            rounds = []
            for number in range(2 * ROUNDS):
                await CLOCK.sleep(random.uniform(0.0, 1.0))
                rounds.append(await _round(it, board, heard, (it.left, it.taken)[number % 2]))
            return rounds


@asynccontextmanager
async def _listening(it: Night) -> AsyncIterator[Heard]:
    heard = Heard()
    task = asyncio.create_task(heard.listen(it.url))
    try:
        yield heard
    finally:
        task.cancel()


async def _round(it: Night, board: Page, heard: Heard, broken: Fault) -> tuple[float, ...]:
    """Seconds from the fault to each stage."""
    await board.eval(WATCH % broken.words)
    began = CLOCK.now()
    await asyncio.to_thread(broken.cut)
    await board.wait("shown > 0", timeout_s=90)
    shown = float(await board.eval("shown"))
    found = next(
        one for one in await it.api.incidents() if one["root"]["target"] == broken.root and one["state"] == "open"
    )
    moments = [datetime.fromisoformat(found[key]).timestamp() for key in ("first_evidence_at", "opened_at")]
    await asyncio.to_thread(broken.mend)

    async def mitigated() -> bool:
        return any(one["id"] == found["id"] and one["state"] == "mitigated" for one in await it.api.incidents())

    await it.until(mitigated, "it works again", 120.0)
    await asyncio.to_thread(act, it, f"incidents/{found['id']}/resolve", by="Bench", reason="measured", impact="none")
    return tuple(at - began for at in (*moments, heard.at[found["id"]], shown))
