"""The watchdog role: which server, which channels, where it keeps what it told."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from healthmon.alerting.notify import make_channel
from healthmon.app.private import usable
from healthmon.app.watchdog import Watch, run_watchdog
from healthmon.config import SiteConfig
from healthmon.model.errors import ConfigError
from healthmon.model.ports import Clock


async def watch(site: SiteConfig, *, clock: Clock) -> None:
    """Watch until SIGTERM or SIGINT; what is being sent then is finished. Raises ConfigError without `notify.watch`."""
    config = site.watch
    if config is None:
        raise ConfigError(["notify.watch: is missing (allowed: {url, every, channels, name}); nothing to watch"])
    usable(site.data_dir)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    notifiers = {
        name: make_channel(site.channels[name].kind, site.channels[name].params)
        for name in config.channels or tuple(site.channels)
    }
    await run_watchdog(
        Watch(
            url=config.url,
            state_file=site.data_dir / "watchdog.sqlite",
            every_s=config.every_s,
            name=config.name,
            timezone=site.estate.organisation.timezone,
        ),
        notifiers,
        clock,
        stop,
    )
