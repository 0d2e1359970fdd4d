"""Planned work of the `changes:` section, and who hears of mutes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time

from healthmon.alerting.mutes import windows
from healthmon.alerting.mutes.windows import BadRepeat, checked
from healthmon.config.blocks import channels_known
from healthmon.config.fileforms import ChangeForm
from healthmon.config.problems import did_you_mean
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.model.mute import Change, When


def changes_of(written: Written) -> tuple[Change, ...]:
    """A window must end after it starts, repeat as an RRULE says, and name known targets; ids are used once."""
    changes: dict[str, Change] = {}
    for placed, change_id in zip(written.changes, _ids([placed.form for placed in written.changes]), strict=True):
        form, path = placed.form, placed.path
        _targets_known(written, form, path)
        if change_id in changes:
            written.validator.problem((*path, "id"), f"change id '{change_id}' is used twice")
        changes[change_id] = Change(
            id=change_id,
            title=form.title,
            targets=tuple(form.targets),
            when=_when(written, form, path),
            expected=tuple(form.expected),
            owner=form.owner,
            reason=form.reason,
            created_by="configuration",
            source="config",
        )
    return tuple(changes.values())


def change_advice(written: Written, changes: Sequence[Change], today: date | None) -> Iterator[tuple[DataPath, str]]:
    """Changes of which no window is to come: they do nothing, and their ids are used up."""
    if today is None:
        return
    start = datetime.combine(today, time(), UTC).timestamp()
    for placed, change in zip(written.changes, changes, strict=False):
        if windows.is_over(change.when, start):
            again = "a new date needs a new id" if placed.form.id else "delete it"
            yield placed.path, f"change '{change.id}' ({change.title}) is over and does nothing any more; {again}"


def _ids(forms: Sequence[ChangeForm]) -> list[str]:
    """The ids that are given, or one made of what is worked on and when it starts: never of the place in the file."""
    short = [_digest(form, sorted(form.targets), form.starts_at, form.repeat) for form in forms]
    whole = [_digest(form, form.model_dump(mode="json")) for form in forms]
    return [one if short.count(one) == 1 else other for one, other in zip(short, whole, strict=True)]


def _digest(form: ChangeForm, *what: object) -> str:
    return form.id or f"change-{hashlib.sha256(repr(what).encode()).hexdigest()[:10]}"


def site_manager_of(written: Written) -> tuple[str, ...]:
    """Channels that hear when one person breaks the glass."""
    return _known(written, "site_manager")


def reminders_of(written: Written) -> tuple[str, ...]:
    """Channels that hear of silences that end soon or cover something."""
    return _known(written, "reminders")


def _known(written: Written, name: str) -> tuple[str, ...]:
    names: list[str] = getattr(written.oncall, name)
    channels_known(written, [one.partition(":")[0] for one in names], ("oncall", name))
    return tuple(names)


def _targets_known(written: Written, form: ChangeForm, path: DataPath) -> None:
    known = written.raw_ids("targets") | written.raw_ids("services")
    for place, name in enumerate(form.targets):
        if name not in known:
            message = f"unknown target or service '{name}'{did_you_mean(name, known)}"
            written.validator.problem((*path, "targets", place), message)


def _when(written: Written, form: ChangeForm, path: DataPath) -> When:
    zone = form.timezone or written.organisation.timezone
    try:
        return checked(When(form.starts_at, form.ends_at, form.repeat, zone, tuple(form.except_on)))
    except BadRepeat as error:
        key, _, message = str(error).partition(": ")
        written.validator.problem((*path, key), message)
    return When(form.starts_at, form.starts_at + 1.0)
