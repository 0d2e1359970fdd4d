"""What one person asked for and a second one has to approve: a silence or change below the clinical floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from healthmon.model.mute import Change, Mute, Silence
from healthmon.model.render import rfc3339

#: What nobody approves in this time is forgotten; the asker asks again.
WAITS_S = 1800.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """by: the asker's name; user: the login behind it, which may not approve; one of silence and change is given."""

    id: str
    by: str
    user: str
    at: float
    silence: Silence | None = None
    change: Change | None = None

    @property
    def draft(self) -> Mute:
        found = self.silence or self.change
        assert found is not None, "an approval is about something"
        return found

    @property
    def what(self) -> str:
        return self.silence.match.words() if self.silence else self.change.title if self.change else ""

    def waits(self, now: float) -> bool:
        return 0.0 <= now - self.at <= WAITS_S

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": "silence" if self.silence else "change",
            "what": self.what,
            "reason": self.draft.reason,
            "asked_by": self.by,
            "asked_at": rfc3339(self.at),
            "until": rfc3339(self.at + WAITS_S),
            "ends_at": rfc3339(self.draft.when.ends_at),
        }


def waiting_for(draft: Mute, *, id_: str, by: str, user: str, at: float) -> Waiting:
    """The draft, put down to who asked for it."""
    if isinstance(draft, Silence):
        return Waiting(id_, by, user, at, silence=draft)
    return Waiting(id_, by, user, at, change=draft)
