"""Fire drills in the journal: one line when one begins, one when it ends, one for each later word."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from healthmon.alerting.journal import Journal
from healthmon.model.drill import Drill, DrillState
from healthmon.model.journal import Audit

KIND = "drill"
#: When this journal first knew of drills.
FIRST = "drills_since"
CUT = "the server was started again meanwhile"
_KEPT = 200
_KEPT_S = 400 * 86_400.0


def line_of(drill: Drill, now: float) -> Audit:
    """What is written of it now; the same again is written once."""
    return Audit(KIND, now, msgspec.to_builtins(drill), key=f"{drill.id}|{drill.state.value}|{len(drill.late)}")


def restored(journal: Journal, now: float) -> dict[str, Drill]:
    """The newest drills by id. What ran when the last server ended did not get to its end."""
    events = journal.events(KIND, now - _KEPT_S, 100_000)
    known = {drill.id: drill for drill in (msgspec.convert(event.body, Drill) for event in events)}
    for drill in [one for one in known.values() if one.running]:
        known[drill.id] = cut = replace(drill, state=DrillState.FAILED, ended=now, because=CUT)
        line = line_of(cut, now)
        journal.append(KIND, at=now, body=line.body, key=line.key)
    newest = sorted(known.values(), key=lambda one: one.started)[-_KEPT:]
    return {drill.id: drill for drill in newest}


def known_since(journal: Journal, now: float) -> float:
    """When this journal first knew of drills; from now on, if it did not."""
    first = journal.events(FIRST, 0.0, 1)
    if not first:
        journal.append(FIRST, at=now, body={}, key=FIRST)
    return first[0].at if first else now
