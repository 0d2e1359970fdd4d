"""The event logs of a host: the system's journal by journalctl, and events as Windows' wevtutil prints them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from glob import glob

from healthmon.collectors.commands import run
from healthmon.collectors.look import Unseen
from healthmon.model.sample import Reason

#: More events than these are not told apart.
MOST_EVENTS = 5000
_JOURNALS = ("/var/log/journal/*/system*.journal", "/run/log/journal/*/system*.journal")


def read_journal(directory: str | None, *which: str, since: float, until: float) -> str:
    """What journalctl prints of that time. directory: of journal files; None: this host's own. Raises Unseen."""
    if directory is None:
        readable_journal()
    place = [f"--directory={directory}"] if directory else []
    times = [f"--since=@{since:.6f}", f"--until=@{until:.6f}"]
    return run(["journalctl", *place, "--quiet", "--no-pager", f"--lines={MOST_EVENTS}", *times, *which])


def readable_journal() -> None:
    """Without the right to read it, journalctl shows a small part and says nothing. Raises Unseen."""
    found = [path for pattern in _JOURNALS for path in glob(pattern)]
    if not found and not any(os.path.isdir(folder) for folder in ("/var/log/journal", "/run/log/journal")):
        raise Unseen(Reason.NO_ANSWER, "this host keeps no journal")
    if sys.platform != "win32" and os.geteuid() != 0 and not any(os.access(path, os.R_OK) for path in found):
        raise Unseen(
            Reason.NO_PERMISSION, "the journal cannot be read: put the agent's user into group systemd-journal"
        )


def numbered(xml: str) -> Iterator[tuple[str, str]]:
    """(EventID, the event's XML) of Windows events."""
    for event in re.findall(r"<Event[ >].*?</Event>", xml, re.DOTALL):
        number = re.search(r"<EventID[^>]*>(\d+)<", event)
        if number is not None:
            yield number[1], event
