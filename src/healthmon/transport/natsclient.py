"""One connection to NATS, made alike by everything that needs one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from healthmon.model.errors import TransportDown
from healthmon.runtime import stopping
from healthmon.transport.trust import trusting

log = logging.getLogger(__name__)

#: The end of a connection or a subscription: nobody waits for its success.
END_S = 1.0

#: The client itself would ask its nodes for ever, and never say why none lets us in.
CONNECT_S = 5.0


async def connected(
    url: str, *, name: str, username: str | None = None, password: str | None = None, ca_file: str | None = None
) -> Any:
    """A client of these nodes (comma between) that finds its way back by itself. Raises TransportDown.

    ca_file: the authority that `tls://` nodes are checked against; None: those of the system.
    """
    import nats

    urls = [one.strip() for one in url.split(",")]
    more: dict[str, Any] = {"user": username, "password": password} if username else {}
    if any(one.startswith("tls://") for one in urls):
        more["tls"] = trusting(ca_file)
    why = ""

    async def quiet(error: Exception) -> None:
        """Lost connections are said by who needs them."""
        nonlocal why
        why = str(error) or type(error).__name__
        log.debug("nats", extra={"error": why})

    try:
        async with asyncio.timeout(CONNECT_S):
            return await nats.connect(
                urls, name=f"healthmon {name}", max_reconnect_attempts=-1, reconnect_time_wait=0.5,
                connect_timeout=2, ping_interval=3, max_outstanding_pings=2, error_cb=quiet, **more,
            )  # fmt: skip
    except TimeoutError:
        raise TransportDown(f"no node of NATS lets us in: {why or 'none answers'}") from None


async def closed(client: Any) -> None:
    """End the connection; a cluster that is gone is not waited for."""
    await _at_most(client.close())


async def unsubscribed(subscription: Any) -> None:
    """Hear no more of it; the connection may be gone, and the subscription with it."""
    await _at_most(subscription.unsubscribe())


async def _at_most(ending: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(Exception):
        async with stopping.within(END_S):
            await ending
