"""When an alert of an incident begins to come and go, and when it has settled, stands on the incident's timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from healthmon.alerting.incidents.reconcile import noted
from healthmon.alerting.incidents.text import Texts
from healthmon.model.alert import AlertKey
from healthmon.model.incident import Entry, Incident

#: Words of the timeline.
BEGAN, ENDED = "flapping", "settled"


def told(
    flaps: Iterable[tuple[AlertKey, bool]], incidents: Mapping[str, Incident], now: float, texts: Texts
) -> tuple[Incident, ...]:
    """The open incidents with what their alerts did. flaps: (alert, whether it began)."""
    changed: dict[str, Incident] = {}
    for key, began in flaps:
        name = texts.say("entry_flapping" if began else "entry_settled", target=texts.name(key.target), rule=key.rule)
        entry = Entry(now, BEGAN if began else ENDED, name)
        for id_, incident in incidents.items():
            if incident.open and any(member.key == key for member in incident.members):
                changed[id_] = noted(changed.get(id_, incident), entry)
    return tuple(changed.values())
