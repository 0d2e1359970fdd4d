"""The ledger as it is read back: filtered, newest first, with the mark of what turned out to be real."""

from __future__ import annotations

from typing import Any

from healthmon.alerting.journal_rows import REAL
from healthmon.model.incident import LedgerFilter

#: Causes of a single firing inside an incident that was told; the rest held back the incident's own page.
WITHIN = ("behind_root", "same_incident")

_REAL_OF = f"""
(SELECT r.seq FROM event r WHERE r.kind = '{REAL}' AND r.incident = event.incident AND r.at >= event.at
 AND json_extract(CAST(event.body AS TEXT), '$.cause') NOT IN ('{"', '".join(WITHIN)}') ORDER BY r.at LIMIT 1)
"""


def ledger_query(limit: int, before: float | None, wanted: LedgerFilter) -> tuple[str, list[Any]]:
    """(SQL, parameters) that give (line, when a person took it or null, the body of that or null)."""
    where, params = _conditions(wanted)
    inner = f"SELECT at, seq, body, {_REAL_OF} AS taken FROM event WHERE {' AND '.join(where)}"
    real = {None: "", True: " WHERE taken IS NOT NULL", False: " WHERE taken IS NULL"}[wanted.real]
    sql = (
        f"SELECT l.body, r.at, r.body FROM (SELECT * FROM ({inner}){real} ORDER BY at DESC, seq DESC LIMIT ?) l "
        "LEFT JOIN event r ON r.seq = l.taken ORDER BY l.at DESC, l.seq DESC"
    )
    return sql, [float("inf") if before is None else before, *params, limit]


def _conditions(wanted: LedgerFilter) -> tuple[list[str], list[Any]]:
    where, params = ["kind = 'ledger'", "at < ?"], []
    for name in ("cause", "who", "mute"):
        value = getattr(wanted, name)
        if value is not None:
            where.append(f"json_extract(CAST(body AS TEXT), '$.{name}') = ?")
            params.append(value)
    for column, value in (("incident = ?", wanted.incident), ("at >= ?", wanted.since), ("at < ?", wanted.until)):
        if value is not None:
            where.append(column)
            params.append(value)
    if wanted.about is not None:
        where.append("substr(json_extract(CAST(body AS TEXT), '$.key'), 1, ?) = ?")
        params += [len(wanted.about), wanted.about]
    return where, params
