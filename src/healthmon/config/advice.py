"""What `check` warns of: nothing that stops the start, everything that a hospital would rather know today."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.impact.graph import NeedGraph
from healthmon.model.topology import AreaKind, Estate

_MOST_NAMES = 5

Warning = tuple[DataPath, str]


def advice(written: Written, estate: Estate) -> Iterator[Warning]:
    """Every warning about a site that is otherwise in order."""
    yield from _services(written, estate)
    yield from _areas(written)
    yield from _targets(written, estate)
    if not written.channels:
        yield ("notify",), "no channel is declared: nobody can be told"


def _services(written: Written, estate: Estate) -> Iterator[Warning]:
    graph = NeedGraph(estate)
    for placed in written.services:
        service = estate.services[placed.form.id]
        named = f"service '{service.id}' (tier {service.tier})"
        if service.tier <= 1 and service.team is None:
            yield placed.path, f"{named} has no team"
        if not service.needs:
            yield placed.path, f"{named} needs nothing: no fault can be traced to it"
            continue
        single = sorted(point for point in graph.strict(service.id) if point in estate.targets)
        if single:
            yield placed.path, f"{named} has no spare by design: any one of {_names(single)} alone stops it"


def _areas(written: Written) -> Iterator[Warning]:
    for placed in written.areas:
        form = placed.form
        if form.kind is not AreaKind.DATACENTRE and form.contact is None:
            yield placed.path, f"staffed area '{form.id}' has no contact"


def _targets(written: Written, estate: Estate) -> Iterator[Warning]:
    blind = [placed for placed in written.targets if not estate.targets[placed.form.id].checks]
    if blind:
        names = _names([placed.form.id for placed in blind])
        yield blind[0].path, f"{len(blind)} targets have no checks, so nothing is known of them: {names}"


def _names(names: Sequence[str]) -> str:
    shown: Iterable[str] = names[:_MOST_NAMES]
    more = len(names) - _MOST_NAMES
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
