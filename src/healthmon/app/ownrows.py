"""What healthmon concludes and counts, as points for the store. Made here, where its parts meet."""

from __future__ import annotations

from healthmon.ingest.own import own_rows
from healthmon.model.sample import Row
from healthmon.model.view import View
from healthmon.web.metrics import parse_counter


def rows_of(view: View) -> tuple[Row, ...]:
    """Every conclusion, and every counter of healthmon's own under the name and labels that /metrics has."""
    return (*own_rows(view), *_counters(view))


def _counters(view: View) -> tuple[Row, ...]:
    found: dict[tuple[tuple[str, str], ...], float] = {}
    for key, total in view.health.counters.items():
        name, labels = parse_counter(key)
        named = {"counter": name.removeprefix("healthmon_").removesuffix("_total"), **labels}
        found.setdefault(tuple(sorted((tag, value) for tag, value in named.items() if value)), total)
    return tuple(Row("own_counter", tags, (("total", total),), view.at) for tags, total in sorted(found.items()))
