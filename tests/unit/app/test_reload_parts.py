"""What a reload says that it changes, and what it leaves for a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from healthmon.app.reload import FIXED, SILENT, Reloader, difference, settled
from healthmon.config import SiteConfig
from healthmon.config.loading import load, load_text
from healthmon.model.errors import ConfigError
from healthmon.runtime.clock import ManualClock

SITE = """
organisation: {id: t, name: T}
data_dir: /tmp/t
targets:
  - {id: a, kind: server, address: 192.0.2.1, checks: [icmp]}
  - {id: b, kind: server, address: 192.0.2.2}
"""


def test_each_block_is_compared_by_id() -> None:
    old = load_text(SITE, env={})
    new = load_text(
        SITE.replace("192.0.2.1", "192.0.2.9").replace("id: b", "id: c") + "alerting: {mode: live}\n", env={}
    )
    assert difference(old, new) == {
        "targets": {"added": ["c"], "removed": ["b"], "changed": ["a"]},
        "settings": {"changed": ["alerting"]},
    }
    assert difference(old, old) == {}


def test_what_holds_files_and_sockets_waits_for_a_restart() -> None:
    old = load_text(SITE, env={})
    new = load_text(SITE.replace("/tmp/t", "/tmp/u") + "web: {listen: 127.0.0.1:9999}\n", env={})
    site, left = settled(old, new)
    assert left == ("data_dir", "web")
    assert (site.data_dir, site.web) == (old.data_dir, old.web)
    with pytest.raises(ConfigError, match="organisation"):
        settled(old, load_text(SITE.replace("id: t,", "id: u,"), env={}))


@pytest.mark.parametrize("name", [one.name for one in fields(SiteConfig) if one.name not in {"estate", *SILENT}])
def test_whatever_changes_is_named_or_waits_for_a_restart(name: str) -> None:
    old = load_text(SITE, env={})
    changed: object = Mock(id="new")
    if isinstance(getattr(old, name), Mapping):
        changed = {"new": changed}
    elif isinstance(getattr(old, name), tuple):
        changed = (changed,)
    site, left = settled(old, replace(old, **{name: changed}))
    assert (left == (name,)) == (name in FIXED)
    assert bool(difference(old, site)) != bool(left)


def test_each_field_of_the_estate_is_compared() -> None:
    old = load_text(SITE, env={})
    for one in (one.name for one in fields(old.estate) if one.name != "organisation"):
        estate = replace(old.estate, **{one: {"new": Mock()}})
        assert difference(old, replace(old, estate=estate)), one


def test_the_same_files_read_twice_differ_in_nothing() -> None:
    root = Path(__file__).parents[3] / "configs"
    for file in (root / "st-elsewhere", root / "minimal.yaml"):
        old, new = load(file, env={}), load(file, env={})
        assert settled(old, new)[1] == ()
        assert difference(old, new) == {}


@pytest.mark.parametrize(
    ("more", "block"),
    [
        ("wards: {language: de}\n", "wards"),
        ("drills: {overdue_after: 7d}\n", "drills"),
        ("oncall: {site_manager: [desk]}\n", "site_manager"),
    ],
)
def test_small_blocks_are_named_as_they_are_written(more: str, block: str) -> None:
    channels = "notify: {channels: {desk: {kind: inbox, path: /nonexistent/x}}}\n"
    old, new = load_text(SITE + channels, env={}), load_text(SITE + channels + more, env={})
    assert difference(old, new) == {"settings": {"changed": [block]}}


async def test_a_refused_configuration_is_not_taken_and_the_next_good_one_is() -> None:
    old = load_text(SITE, env={})
    texts = [SITE.replace("kind: server", "knid: server"), SITE.replace("id: b", "id: c")]
    taken = []

    async def take(site: object) -> None:
        taken.append(site)

    reloader = Reloader(old, lambda: load_text(texts.pop(0), env={}), take, ManualClock(1000.0))
    with pytest.raises(ConfigError):
        await reloader.reload("test")
    assert (reloader.ok, reloader.refused, taken, reloader.site) == (False, True, [], old)
    done = await reloader.reload("test")
    assert (reloader.ok, reloader.refused, len(taken)) == (True, False, 1)
    assert done.words() == "targets: 1 added (c), 1 removed (b)"


async def test_a_configuration_that_cannot_be_taken_leaves_the_old_one() -> None:
    old = load_text(SITE, env={})

    async def take(site: object) -> None:
        raise ConfigError(["no room"])

    reloader = Reloader(old, lambda: replace(old, data_dir=Path("/tmp/u")), take, ManualClock(1000.0))
    with pytest.raises(ConfigError):
        await reloader.reload("test")
    assert (reloader.site, reloader.refused, reloader.needs_restart) == (old, True, ())
