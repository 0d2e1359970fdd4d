"""net-snmp's snmptrapd on loopback: what it took, as lines of its log."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from daemons.process import Daemon, free_port, need

COMMUNITY = "st-elsewhere"
USER, AUTH, PRIV = "healthmon", "authpass2", "privpass2"
#: Of the sender of v3 traps (not informs), as the station must know it.
ENGINE = "80007ed9056865616c7468"


class Trapd(Daemon):
    """Takes v2c with the community, and v3 of the user, traps and informs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port(socket.SOCK_DGRAM)
        self.taken = folder / "traps.log"
        config = folder / "snmptrapd.conf"
        config.write_text(
            f"authCommunity log {COMMUNITY}\n"
            f"createUser {USER} SHA {AUTH} AES {PRIV}\n"
            f"createUser -e 0x{ENGINE} {USER} SHA {AUTH} AES {PRIV}\n"
            f"authUser log {USER} priv\n"
            "disableAuthorization no\n"
            "format2 HEALTHMON %N %v\\n\n"
            "format1 HEALTHMON %N %v\\n\n"
        )
        argv = [
            "env", "MIBS=", f"SNMP_PERSISTENT_DIR={folder}", f"SNMPCONFPATH={folder}", need("snmptrapd"), "-f",
            "-Lf", str(self.taken), "-On", "-C", "-c", str(config), f"udp:127.0.0.1:{self.port}",
        ]  # fmt: skip
        super().__init__(argv, ready=self._up, log=folder / "snmptrapd.out")

    def _up(self) -> bool:
        return self.taken.exists() and "NET-SNMP version" in self.taken.read_text(errors="replace")

    def lines(self) -> list[str]:
        """One line a notification."""
        text = self.taken.read_text(errors="replace") if self.taken.exists() else ""
        return [line for line in text.splitlines() if line.startswith("HEALTHMON")]

    def keys(self) -> list[str]:
        """The keys of all notifications, in their order."""
        found = (re.search(r"\.32473\.470\.1\.1\.0 = STRING: \"?([^\"\t]+)\"?", line) for line in self.lines())
        return [match[1] for match in found if match]


def environment(folder: Path) -> dict[str, str]:
    """For net-snmp's programs: no state of this machine."""
    return {**os.environ, "MIBS": "", "SNMP_PERSISTENT_DIR": str(folder), "SNMPCONFPATH": str(folder)}
