"""The examples of docs/wards.md and docs/languages.md are run as they stand."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest

from daemons.wardsite import ward_site
from healthmon.config.loading import load_text

pytestmark = pytest.mark.wire
DOCS = Path(__file__).parents[2] / "docs"
SITE = """organisation: {id: st, name: St}
areas: [{id: ward-7, name: W7, kind: ward}, {id: ward-8, name: W8, kind: ward}]
services: [{id: ehr, name: Record, tier: 1, used_in: all, needs: []}]
notify: {channels: {mail: {kind: inbox, path: p}}}
"""


def blocks(name: str) -> list[str]:
    return re.findall(r"<!-- config -->\n```yaml\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)


@pytest.mark.parametrize("text", [*blocks("wards.md"), *blocks("languages.md")])
def test_every_configuration_checks(text: str) -> None:
    """Blocks of its own count instead of those of the small site."""
    own = set(re.findall(r"^(\w+):", text, re.M))
    load_text("".join(line + "\n" for line in SITE.splitlines() if line.split(":")[0] not in own) + text, env={})


async def test_the_report_is_taken_as_the_page_says(tmp_path: Path) -> None:
    found = re.search(r"<!-- executed: report -->\n```sh\n(.*?)```", (DOCS / "wards.md").read_text(), re.DOTALL)
    assert found
    async with ward_site(tmp_path) as site:
        command = found[1].replace("http://127.0.0.1:8470", site.base)
        done = await asyncio.to_thread(subprocess.run, command, shell=True, capture_output=True, text=True)
        said = json.loads(done.stdout)
        assert (said["taken"], said["ring"]["phone"]) == (True, "2-7000")
