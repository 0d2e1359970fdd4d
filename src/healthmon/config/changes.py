"""Planned work of the `changes:` section, and who hears of mutes."""

from __future__ import annotations

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
    for number, placed in enumerate(written.changes):
        form, path = placed.form, placed.path
        _targets_known(written, form, path)
        change_id = form.id or f"change-{number + 1}"
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
