"""What the configuration says of changes joins what people did to them since. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from healthmon.alerting.mutes import windows
from healthmon.model.mute import Change, Mute, MuteState


def joined(known: Mapping[str, Mute], files: Mapping[str, Change]) -> tuple[dict[str, Mute], tuple[str, ...]]:
    """All mutes with those of the files, and ids of the files that are over and would have a window: said, not done.

    What the files no longer have is dropped, unless it was ended: its id stays used.
    """
    found = {id_: mute for id_, mute in known.items() if id_ in files or not _waits_in_files(mute)}
    passed_over = []
    for id_, change in files.items():
        before = known.get(id_)
        if before is None or _waits_in_files(before):
            found[id_] = _extended(change, before)
        elif _would_have_a_window(change, before):
            passed_over.append(id_)
    return found, tuple(passed_over)


def _waits_in_files(mute: Mute) -> bool:
    return isinstance(mute, Change) and mute.source == "config" and mute.ending is None


def _extended(change: Change, before: Mute | None) -> Change:
    """With the end that a person gave it, while its file says what it said then, and with what was told of that end."""
    if not isinstance(before, Change):
        return change
    moved = before.ends_in_file is not None and replace(before.when, ends_at=before.ends_in_file) == change.when
    if moved:
        change = replace(change, when=before.when, ends_in_file=before.ends_in_file)
    return replace(change, reminded_at=before.reminded_at) if change.when == before.when else change


def _would_have_a_window(change: Change, before: Mute) -> bool:
    """Its id is taken or over, and the file means a time that is still to come; not one that a person ended early."""
    ending = before.ending
    if ending is None:
        return True
    early = ending.state is MuteState.ENDED and change.when.starts_at == before.when.starts_at
    return not early and not windows.is_over(change.when, ending.at)
