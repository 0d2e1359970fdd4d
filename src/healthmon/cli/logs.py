"""Logs on stderr: constant event text plus fields, secrets never among them."""

from __future__ import annotations

import logging

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class FieldFormatter(logging.Formatter):
    """`2026-01-01T00:00:00Z WARNING event text key=value ...`"""

    default_time_format = "%Y-%m-%dT%H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        return line + "".join(f" {key}={value!r}" for key, value in sorted(fields.items()))


def set_up_logs(level: int) -> None:
    """Send healthmon's logs to stderr at `level`; libraries at WARNING."""
    handler = logging.StreamHandler()
    handler.setFormatter(FieldFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("healthmon").setLevel(level)
