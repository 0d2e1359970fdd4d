"""net-snmp's own senders of traps and informs, and a receiver on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemons.process import need
from healthmon.config.packs import stock_root
from healthmon.model.sample import Reading
from healthmon.probes.snmp_client import Credentials
from healthmon.probes.trap import Settings, TrapReceiver
from healthmon.probes.trap_pack import read_meanings
from healthmon.runtime.clock import SystemClock
from healthmon.runtime.supervise import spawn

COMMUNITY = "st-elsewhere"
AUTH, PRIV = "authpass2", "privpass2"
USERS = (
    Credentials("3", "", "sign", "SHA-256", AUTH),
    Credentials("3", "", "seal", "SHA", AUTH, "AES", PRIV),
)
LINK_DOWN, LINK_UP = "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.6.3.1.1.5.4"
IF_INDEX, IF_DESCR, IF_NAME = "1.3.6.1.2.1.2.2.1.1", "1.3.6.1.2.1.2.2.1.2", "1.3.6.1.2.1.31.1.1.1.1"
V3 = ("-v3", "-l", "authPriv", "-u", "seal", "-a", "SHA", "-A", AUTH, "-x", "AES", "-X", PRIV)


def meanings() -> dict[str, Any]:
    """All stock trap packs."""
    import yaml

    folder = stock_root() / "probes" / "snmp-traps"
    return read_meanings(yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*.yaml")))


async def send(folder: Path, tool: str, *arguments: str) -> tuple[int, str]:
    """snmptrap or snmpinform, without MIBs and with a state folder of its own; exit code and output."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "MIBS": "", "SNMP_PERSISTENT_DIR": str(folder), "SNMPCONFPATH": str(folder)}
    child = await asyncio.create_subprocess_exec(
        need(tool), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment
    )
    out, _ = await child.communicate()
    return child.returncode or 0, out.decode()


def about_port(index: int, *, name: str = "", descr: str = "") -> list[str]:
    """Varbinds as the command line takes them."""
    binds = [f"{IF_INDEX}.{index}", "i", str(index)]
    binds += [f"{IF_DESCR}.{index}", "s", descr] if descr else []
    return binds + ([f"{IF_NAME}.{index}", "s", name] if name else [])


@dataclass
class Listening:
    """A receiver with what came out of it."""

    receiver: TrapReceiver
    port: int = 0
    readings: list[Reading] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    @property
    def at(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def heard(self, number: int, within_s: float = 5.0) -> list[Reading]:
        """Wait for so many readings."""
        async with asyncio.timeout(within_s):
            while len(self.readings) < number:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self.readings

    async def counted(self, name: str, number: int, within_s: float = 5.0) -> None:
        async with asyncio.timeout(within_s):
            while self.receiver.counts[name] < number:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def listening(
    settings: Settings | None = None,
    *,
    senders: Callable[[str], str | None] = {"127.0.0.1": "sw-ward7"}.get,
    port_name: Any = None,
) -> AsyncIterator[Listening]:
    """A receiver on a free port, which believes the community and the users above."""
    readings: list[Reading] = []
    hints: list[str] = []
    receiver = TrapReceiver(
        settings or Settings("127.0.0.1", 0, COMMUNITY, USERS),
        clock=SystemClock(),
        vantage="poller",
        senders=senders,
        meanings=meanings(),
        emit=readings.append,
        hint=hints.append,
        port_name=port_name,
    )
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: receiver, local_addr=("127.0.0.1", 0))
    port = int(transport.get_extra_info("sockname")[1])
    async with asyncio.TaskGroup() as group:
        work = spawn(group, "traps read", receiver.work())
        try:
            yield Listening(receiver, port, readings, hints)
        finally:
            work.cancel()
            transport.close()
