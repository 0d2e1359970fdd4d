"""The secret behind acknowledgement links, the same on both servers of a pair: it travels in the copied journal."""

from __future__ import annotations

from pathlib import Path

from healthmon.alerting.journal import Journal
from healthmon.app.private import secret_of

KIND = "ack_secret"


def shared_secret(journal: Journal, file: Path, *, now: float) -> bytes:
    """What the journal holds, else this machine's own, which the journal holds from now on."""
    for event in journal.events(KIND, 0.0, 1):
        return str(event.body["secret"]).encode()
    own = secret_of(file)
    journal.append(KIND, at=now, body={"secret": own.decode()}, key=KIND)
    return own
