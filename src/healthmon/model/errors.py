"""The error family: each child names what the caller may do next."""

from __future__ import annotations


class HealthmonError(Exception):
    """Root of every error that healthmon raises on purpose."""


class ConfigError(HealthmonError):
    """The configuration is wrong; a person must change a file. `problems` holds `file:line:col: message` lines."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class TransportDown(HealthmonError):
    """The broker cannot be reached now; keep the data and try again."""


class MalformedBatch(HealthmonError):
    """The payload is not a batch; retrying cannot help. Keep it aside and count it by `reason` (one word)."""

    def __init__(self, reason: str = "malformed", detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class StoreDown(HealthmonError):
    """The database cannot be reached now; keep the rows and try again after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class JournalDown(HealthmonError):
    """The engine's journal cannot be written now; the step stays in hand and is tried again."""


class FileFromNewerVersion(HealthmonError):
    """A file was written by a newer healthmon; upgrade the program or restore a backup."""


class NotAllowed(HealthmonError):
    """The `safety` block, the stop button or a role forbids it; do not retry, tell the person."""


class NotFound(HealthmonError):
    """No such incident, target or other thing."""


class Conflict(HealthmonError):
    """The action does not fit the present state (for example: acknowledging a resolved incident)."""
