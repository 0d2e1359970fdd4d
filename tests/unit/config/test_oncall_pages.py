"""docs/oncall.md, docs/channels.md and docs/drill.md: every example loads, and the table of who is on call is true."""

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
from healthmon.model.drill import Hop

DOCS = Path(__file__).parents[3] / "docs"


def examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def site(text: str) -> SiteConfig:
    return load_text(text, env={}, today=date(2026, 4, 1))


PAGES = ("oncall.md", "channels.md", "drill.md")


@pytest.mark.parametrize(("page", "number"), [(page, n) for page in PAGES for n in range(len(examples(page)))])
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


def test_the_page_of_drills_says_what_the_plan_is() -> None:
    plan = site(examples("drill.md")[0]).drills
    assert plan.at == ((1, 10 * 60 + 30),)
    assert (plan.agents, plan.to, plan.reports) == (("pc-w7-01", "pc-ed-01"), ("rota:net",), ("mail",))
    assert plan.overdue_after_s == 9 * 86_400.0
    text = (DOCS / "drill.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == {hop.value for hop in Hop}


def test_gaps_are_warned_of() -> None:
    nights = examples("oncall.md")[0].replace(
        "first: 2026-01-05}", "first: 2026-01-05, hours: {mon-fri: '18:00-08:00'}}"
    )
    lines = [line for line in site(nights).warnings if "rota 'net'" in line]
    gap = "nobody is on call from Wed 2026-04-01 08:00 to Wed 2026-04-01 18:00"
    assert any(line.endswith(gap) for line in lines)
    assert any(line.endswith("more gaps in the next 28 days") for line in lines)
