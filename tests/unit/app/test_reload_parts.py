"""What a reload says that it changes, and what it leaves for a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from healthmon.app.reload import Reloader, difference, settled
from healthmon.config.loading import load_text
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
