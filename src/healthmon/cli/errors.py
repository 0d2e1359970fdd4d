"""Every error as one clear line and an exit code: 1 bad, 2 usage or configuration, 3 cannot reach what it needs."""

from __future__ import annotations

import os
import sqlite3

from healthmon.model.errors import ConfigError, Conflict, HealthmonError, NotAllowed, NotFound

#: Set to 1, a bug shows where it is.
TRACEBACK = "HEALTHMON_TRACEBACK"


def words_of(error: BaseException) -> tuple[str, int]:
    """(what to say on stderr, exit code); of a group, what it has of ours, else its first."""
    match error:
        case BaseExceptionGroup():
            ours = error.subgroup(HealthmonError)
            return words_of((ours or error).exceptions[0])
        case ConfigError():
            return str(error), 2
        case Conflict() | NotAllowed() | NotFound():
            return str(error), 1
        case HealthmonError():
            return str(error), 3
        case sqlite3.Error():
            return f"a database file in data_dir cannot be used: {error}", 3
        case OSError():
            return _system_words(error), 3
        case _:
            return f"a bug in healthmon: {type(error).__name__}: {error} ({TRACEBACK}=1 shows where)", 3


def shows_traceback() -> bool:
    """Whether the person asked to see where a bug is."""
    return os.environ.get(TRACEBACK) == "1"


def _system_words(error: OSError) -> str:
    what = error.strerror or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what
