"""Silences, changes and their previews as JSON of the public interface. Pure."""

from __future__ import annotations

from typing import Any

from healthmon.model.mute import Change, Mute, MuteEvent, Preview, Silence, Standing
from healthmon.model.render import rfc3339


def standing_json(standing: Standing) -> dict[str, Any]:
    """A silence or a change with its state now; `window` is the one that is open, or else the next."""
    mute = standing.mute
    window = None
    if standing.opens_at is not None or standing.closes_at is not None:
        window = {"starts_at": rfc3339(standing.opens_at), "ends_at": rfc3339(standing.closes_at)}
    own = silence_json(mute) if isinstance(mute, Silence) else change_json(mute)
    return {"id": mute.id, "state": standing.state.value, **own, **common_json(mute), "window": window}


def silence_json(silence: Silence) -> dict[str, Any]:
    review = None
    if silence.review_due is not None or silence.reviewed_at is not None or silence.floor.value == "break_glass":
        review = {
            "due_at": rfc3339(silence.review_due),
            "reviewed_at": rfc3339(silence.reviewed_at),
            "reviewed_by": silence.reviewed_by,
        }
    return {"match": silence.match.given(), "reminded_at": rfc3339(silence.reminded_at), "review": review}


def change_json(change: Change) -> dict[str, Any]:
    return {
        "title": change.title,
        "targets": list(change.targets),
        "expected": list(change.expected),
        "source": change.source,
    }


def common_json(mute: Mute) -> dict[str, Any]:
    ending = mute.ending
    return {
        "owner": mute.owner,
        "reason": mute.reason,
        "starts_at": rfc3339(mute.when.starts_at),
        "ends_at": rfc3339(mute.when.ends_at),
        "repeat": mute.when.repeat,
        "timezone": mute.when.timezone,
        "except_on": list(mute.when.except_on),
        "floor": mute.floor.value,
        "approved_by": mute.approved_by,
        "created_at": rfc3339(mute.created_at) if mute.created_at else None,
        "created_by": mute.created_by,
        "ended_at": rfc3339(ending.at) if ending else None,
        "ended_by": ending.by if ending else None,
    }


def preview_json(preview: Preview) -> dict[str, Any]:
    return {
        "targets": list(preview.targets),
        "areas": list(preview.areas),
        "alerts": list(preview.alerts),
        "incidents": list(preview.incidents),
        "uncovered": [{"area": area, "service": service} for area, service in preview.uncovered],
        "pages_all_the_same": [
            {"area": area, "service": service} for area, service in (() if preview.floor_lifted else preview.floor)
        ],
        "clinical_floor_lifted": preview.floor_lifted and bool(preview.floor),
    }


def event_json(event: MuteEvent) -> dict[str, Any]:
    return {"at": rfc3339(event.at), "action": event.action, "by": event.by, "note": event.note}
