"""Several notices as one message: nothing is left out, each with its key; the worst comes first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from healthmon.model.incident import Notice
from healthmon.model.render import rfc3339

#: The name under which `body` lists the keys of what was folded.
FOLDED = "digest"


def digest(notices: Sequence[Notice]) -> Notice:
    """One message to the reader of all of them. Its key follows from theirs, so that a repeat has the same."""
    worst = _by_incident(notices)
    head = min(worst, key=lambda notice: notice.severity)
    keys = [notice.key for notice in notices]
    said = "|".join(sorted(keys))
    subject = f"{len(notices)} messages, the worst: {head.subject}"
    lines = [f"{len(notices)} messages came at once. This is all of them, the worst first; the board has the details."]
    body = {"id": head.incident, "severity": head.severity, "title": subject, FOLDED: [_part(one) for one in worst]}
    return replace(
        head,
        key=hashlib.sha256(f"digest|{said}".encode()).hexdigest()[:16],
        subject=subject,
        text="\n".join([*lines, *(line for notice in worst for line in _lines(notice))]),
        body=body,
        repeat=any(notice.repeat for notice in notices),
        areas=tuple(sorted({area for notice in notices for area in notice.areas})),
    )


def _by_incident(notices: Sequence[Notice]) -> list[Notice]:
    """The worst incident first; of each what was said of it, in its order."""
    worst: dict[str, int] = {}
    for notice in notices:
        worst[notice.incident] = min(notice.severity, worst.get(notice.incident, notice.severity))
    return sorted(notices, key=lambda notice: (worst[notice.incident], notice.incident))


def _part(notice: Notice) -> dict[str, object]:
    return {
        "key": notice.key,
        "incident_id": notice.incident,
        "why": notice.why.value,
        "severity": notice.severity,
        "subject": notice.subject,
        "due": rfc3339(notice.due),
        "repeat": notice.repeat,
    }


def _lines(notice: Notice) -> list[str]:
    mark = ", repeat" if notice.repeat else ""
    link = notice.body.get("ack_url")
    return [f"- {notice.subject} ({notice.incident}, {notice.key}{mark})", *([f"  Take it: {link}"] if link else [])]
