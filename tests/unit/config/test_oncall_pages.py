"""docs/oncall.md and docs/channels.md: every example loads, and the table of who is on call is true."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from healthmon.alerting.notify import CHANNELS, make_channel
from healthmon.alerting.oncall.roster import Roster
from healthmon.config.loading import load_text
from healthmon.config.site import SiteConfig

DOCS = Path(__file__).parents[3] / "docs"


def examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def site(text: str) -> SiteConfig:
    return load_text(text, env={}, today=date(2026, 4, 1))


@pytest.mark.parametrize(("page", "number"), [("oncall.md", 0), ("oncall.md", 1), ("channels.md", 0)])
def test_every_example_loads(page: str, number: int) -> None:
    found = site(examples(page)[number])
    assert [line for line in found.warnings if "rota" in line] == []
    for channel in found.channels.values():
        make_channel(channel.kind, channel.params)


def test_the_page_says_who_is_on_call() -> None:
    text = (DOCS / "oncall.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{4}-\d\d-\d\d \d\d:\d\d) \| ([a-z0-9-]+) \|$", text, re.MULTILINE)
    roster = Roster(site(examples("oncall.md")[0]).oncall)
    assert len(rows) == 5
    for when, who in rows:
        at = datetime.fromisoformat(when).replace(tzinfo=ZoneInfo("Europe/London")).timestamp()
        assert (when, roster.now("net", at).user) == (when, who)


def test_the_page_names_every_kind_of_channel() -> None:
    table = (DOCS / "channels.md").read_text(encoding="utf-8").partition("What an answer")[0]
    assert set(CHANNELS) == set(re.findall(r"`([a-z]+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))


def test_gaps_are_warned_of() -> None:
    nights = examples("oncall.md")[0].replace(
        "first: 2026-01-05}", "first: 2026-01-05, hours: {mon-fri: '18:00-08:00'}}"
    )
    lines = [line for line in site(nights).warnings if "rota 'net'" in line]
    gap = "nobody is on call from Wed 2026-04-01 08:00 to Wed 2026-04-01 18:00"
    assert any(line.endswith(gap) for line in lines)
    assert any(line.endswith("more gaps in the next 28 days") for line in lines)
