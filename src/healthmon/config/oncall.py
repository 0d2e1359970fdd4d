"""The block `oncall`: users, rotas with layers, overrides, and who is guaranteed to be asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from healthmon.alerting.notify import KEEPS_RECORDS
from healthmon.alerting.oncall.roster import DUTY_MANAGER, NEXT, TEAM, WORDS
from healthmon.alerting.oncall.rota import gaps
from healthmon.config.blocks import channels_known, holidays_in
from healthmon.config.checks import beside
from healthmon.config.hours import HoursProblem, hours_of
from healthmon.config.oncallforms import LayerForm, OncallForm, PersonForm, RotaForm
from healthmon.config.problems import allowed, did_you_mean
from healthmon.config.rotacalendar import BadCalendar, spans_of
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.model.incident import Policy, Step
from healthmon.model.oncall import Handover, Layer, OncallPlan, OncallUser, Override, Reader, Rota, Span
from healthmon.model.topology import Hours, Team

if TYPE_CHECKING:
    from healthmon.config.site import SiteConfig

#: What a person's address is on a kind of channel; on others the id of the user stands for it.
ADDRESSES: Mapping[str, str] = {"mail": "email", "gateway": "phone"}
#: Gaps of the rotas are looked for so far ahead.
GAPS_AHEAD_DAYS = 28
#: A severity 1 or 2 that nobody owns by then goes to the next person, and as long again after it to the duty manager.
OWNER_WITHIN_S = 300.0
_MOST_GAPS = 3
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HANDOVER = re.compile(r"^(?:(mon|tue|wed|thu|fri|sat|sun) )?(\d{1,2}):(\d{2})$")


def oncall_of(written: Written, teams: Mapping[str, Team], today: date | None) -> OncallPlan:
    """Everything that decides who is on call, save overrides."""
    form = written.oncall
    users = _users(written)
    rotas = {rota.id: _rota(written, rota, ("oncall", "rotas", n), users, today) for n, rota in enumerate(form.rotas)}
    for name in ("duty_manager", "default"):
        word = getattr(form, name)
        if word is not None:
            words_known(written, [word], ("oncall", name), only=("rota", "user"))
    channels_known(written, _channels(form.morning_list.channels), ("oncall", "morning_list", "channels"))
    channels_known(written, _channels(form.reports), ("oncall", "reports"))
    return OncallPlan(
        users=users,
        rotas=rotas,
        team_rotas={team.id: team.rota for team in teams.values() if team.rota},
        duty_manager=form.duty_manager,
        default=form.default,
        morning_minute=_minute(written, form.morning_list.at, ("oncall", "morning_list", "at")),
        morning=tuple(form.morning_list.channels),
        reports=tuple(form.reports),
        pages_per_shift=form.pages_per_shift,
        fallbacks={name: one.form.fallback for name, one in written.channels.items() if one.form.fallback},
        records=frozenset(name for name, one in written.channels.items() if one.form.kind in KEEPS_RECORDS),
    )


def overrides_of(written: Written) -> tuple[Override, ...]:
    """Overrides that stand in the configuration, oldest first as they are written."""
    known = _user_ids(written)
    found = []
    for number, rota in enumerate(written.oncall.rotas):
        for place, form in enumerate(rota.overrides):
            path: DataPath = ("oncall", "rotas", number, "overrides", place)
            _people_known(written, [form.user, *([form.replaces] if form.replaces else [])], known, path)
            if form.ends_at <= form.starts_at:
                written.validator.problem((*path, "ends_at"), "must be after starts_at")
            said = (form.user, form.starts_at, form.ends_at, form.replaces)
            id_ = f"config-{rota.id}-{place + 1}"
            found.append(Override(id_, rota.id, *said, by="configuration", reason=form.reason))
    return tuple(found)


def words_known(written: Written, words: list[str], path: DataPath, *, only: Iterable[str] = ()) -> None:
    """Say of each word of a policy that means nobody."""
    names = {"rota": {rota.id for rota in written.oncall.rotas}, "user": _user_ids(written)}
    names["next"] = names["rota"]
    for number, word in enumerate(words):
        kind, _, name = word.partition(":")
        where = path if only else (*path, number)
        if (only and kind not in only) or (not name and word not in (TEAM, NEXT, DUTY_MANAGER)) or kind not in (
            "rota", "user", "next", TEAM, DUTY_MANAGER,
        ):  # fmt: skip
            choices = [f"{kind}:ID" for kind in only] or list(WORDS)
            written.validator.problem(where, f"'{word}' means nobody{allowed(choices)}")
        elif name and name not in names.get(kind, set()):
            known = names.get(kind, set())
            noun = "user" if kind == "user" else "rota"
            written.validator.problem(where, f"unknown {noun} '{name}'{did_you_mean(name, known)}{allowed(known)}")


def guaranteed(policy: Policy, form: OncallForm) -> Policy:
    """Severity 1 and 2 go to the next person after five minutes and to the duty manager after ten, always."""
    only = tuple(severity for severity in policy.severities if severity <= 2)
    if not only or not form.rotas:
        return policy
    words = [word for step in policy.steps for word in step.to]
    rota = next((word.removeprefix("rota:") for word in words if word.startswith("rota:")), None)
    added = []
    if not any(word.partition(":")[0] == NEXT for word in words):
        added.append(Step(OWNER_WITHIN_S, (), (f"next:{rota}" if rota else NEXT,), only=only))
    if DUTY_MANAGER not in words and form.duty_manager:
        added.append(Step(2 * OWNER_WITHIN_S, (), (DUTY_MANAGER,), only=only))
    steps = tuple(sorted((*policy.steps, *added), key=lambda step: step.after_s))
    return Policy(**{name: getattr(policy, name) for name in Policy.__slots__ if name != "steps"}, steps=steps)


def oncall_advice(written: Written, site: SiteConfig, today: date | None) -> Iterator[tuple[DataPath, str]]:
    """Gaps of the next four weeks, and nobody behind the people on call."""
    plan = site.oncall
    for number, form in enumerate(written.oncall.rotas):
        rota = plan.rotas[form.id]
        if today is not None:
            yield from _gap_lines(rota, site.overrides, today, ("oncall", "rotas", number))
    pages = [policy for policy in site.policies if min(policy.severities) <= 2]
    if plan.rotas and pages and not plan.duty_manager:
        yield ("oncall",), "no duty_manager: nobody is asked when nobody on call answers a severity 1 or 2"


def _gap_lines(
    rota: Rota, overrides: Iterable[Override], today: date, path: DataPath
) -> Iterator[tuple[DataPath, str]]:
    zone = ZoneInfo(rota.timezone)
    start = datetime.combine(today, time(), zone).timestamp()
    found = gaps(rota, start, start + GAPS_AHEAD_DAYS * 86_400.0, overrides)
    for gap in found[:_MOST_GAPS]:
        since, until = (datetime.fromtimestamp(at, UTC).astimezone(zone) for at in (gap.start, gap.end))
        words = f"{since:%a %Y-%m-%d %H:%M} to {until:%a %Y-%m-%d %H:%M}"
        yield path, f"rota '{rota.id}': nobody is on call from {words}"
    if len(found) > _MOST_GAPS:
        more = len(found) - _MOST_GAPS
        yield path, f"rota '{rota.id}': {more} more gaps in the next {GAPS_AHEAD_DAYS} days"


def _users(written: Written) -> dict[str, OncallUser]:
    users: dict[str, OncallUser] = {}
    for path, form in _people(written):
        if form.id in users:
            written.validator.problem((*path, "id"), f"user id '{form.id}' is used twice")
        channels_known(written, _channels(form.channels), (*path, "channels"))
        readers = tuple(_reader(written, form, name, (*path, "channels")) for name in form.channels)
        users[form.id] = OncallUser(form.id, form.name, form.email, form.phone, readers)
    return users


def _people(written: Written) -> Iterator[tuple[DataPath, PersonForm]]:
    """Everybody under `users`, and people written out in a rota."""
    for number, user in enumerate(written.oncall.users):
        yield ("oncall", "users", number), user
    for number, rota in enumerate(written.oncall.rotas):
        for place, person in enumerate(rota.people):
            if isinstance(person, PersonForm):
                yield ("oncall", "rotas", number, "people", place), person


def _user_ids(written: Written) -> set[str]:
    return {form.id for _, form in _people(written)}


def _reader(written: Written, form: PersonForm, name: str, path: DataPath) -> Reader:
    channel, _, to = name.partition(":")
    placed = written.channels.get(channel)
    wanted = ADDRESSES.get(placed.form.kind) if placed and not to else None
    if wanted is None:
        return channel, to or form.id
    address: str | None = getattr(form, wanted)
    if address is None:
        written.validator.problem(path, f"'{name}' needs the {wanted} of '{form.id}' (or write `{name}:ADDRESS`)")
    return channel, address or form.id


def _rota(
    written: Written, form: RotaForm, path: DataPath, users: Mapping[str, OncallUser], today: date | None
) -> Rota:
    if [rota.id for rota in written.oncall.rotas].count(form.id) > 1:
        written.validator.problem((*path, "id"), f"rota id '{form.id}' is used twice")
    names = [person.id if isinstance(person, PersonForm) else person for person in form.people]
    _people_known(written, names, set(users), (*path, "people"))
    zone = form.timezone or written.organisation.timezone
    layers = []
    if names:
        layers.append(Layer("people", tuple(names), handovers_of(written, form.handover, (*path, "handover"))))
    elif not form.layers:
        written.validator.problem(path, f"rota '{form.id}' has nobody: give `people` or `layers`")
    for number, layer in enumerate(form.layers):
        layers.append(_layer(written, layer, (*path, "layers", number), users, zone, today))
    nation = form.holidays or written.organisation.holidays
    where: DataPath = (*path, "holidays") if form.holidays else ("organisation", "holidays")
    days = holidays_in(written, nation, where, today)
    if any(layer.holidays != "any" for layer in layers) and nation is None:
        written.validator.problem(path, "knows no bank holidays: give `holidays: GB-ENG` here or to the organisation")
    return Rota(form.id, form.name or form.id, zone, tuple(layers), days)


def _layer(
    written: Written, form: LayerForm, path: DataPath, users: Mapping[str, OncallUser], zone: str, today: date | None
) -> Layer:
    _people_known(written, form.people, set(users), (*path, "people"))
    fixed: tuple[Span, ...] = ()
    if form.calendar_file is not None:
        fixed = _calendar(written, form.calendar_file, (*path, "calendar_file"), users, zone, today)
    elif not form.people:
        written.validator.problem(path, f"layer '{form.id}' has nobody: give `people` or `calendar_file`")
    return Layer(
        id=form.id,
        people=tuple(form.people),
        handovers=handovers_of(written, form.handover, (*path, "handover")),
        turns=form.turns,
        first=date.fromisoformat(form.first),
        hours=_hours(written, form, (*path, "hours")),
        holidays=form.holidays,
        fixed=fixed,
    )


def _hours(written: Written, form: LayerForm, path: DataPath) -> Hours | None:
    try:
        return hours_of(form.hours)
    except HoursProblem as problem:
        written.validator.problem(path if problem.key is None else (*path, problem.key), str(problem))
        return None


def _calendar(
    written: Written, name: str, path: DataPath, users: Mapping[str, OncallUser], zone: str, today: date | None
) -> tuple[Span, ...]:
    file = beside(written.document, path, name)
    start = datetime.combine((today or date(2024, 1, 1)) - timedelta(days=60), time(), UTC).timestamp()
    try:
        raw = file.read_bytes()
        return tuple(spans_of(raw, users, timezone=zone, start=start, end=start + 460 * 86_400.0))
    except OSError as error:
        written.validator.problem(path, f"'{name}' cannot be read: {error.strerror}")
    except BadCalendar as error:
        written.validator.problem(path, f"'{name}': {error}")
    return ()


def handovers_of(written: Written, given: str | list[str], path: DataPath) -> tuple[Handover, ...]:
    """Moments of the local week out of `09:00`, `mon 09:00` or a list."""
    found: set[tuple[int, int]] = set()
    for text in [given] if isinstance(given, str) else given:
        match = _HANDOVER.match(text)
        minute = int(match[2]) * 60 + int(match[3]) if match else 24 * 60
        if match is None or minute >= 24 * 60 or int(match[3]) > 59:
            written.validator.problem(path, f'\'{text}\' is not a handover (allowed: "09:00", "mon 09:00")')
            continue
        found.update((day, minute) for day in ([_DAYS.index(match[1])] if match[1] else range(7)))
    return tuple(Handover(*one) for one in sorted(found)) or (Handover(0, 540),)


def _minute(written: Written, text: str, path: DataPath) -> int:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        written.validator.problem(path, f"'{text}' is not a time of day (allowed: \"07:30\")")
        return 450
    return int(match[1]) * 60 + int(match[2])


def _people_known(written: Written, names: Iterable[str], known: set[str], path: DataPath) -> None:
    for name in names:
        if name not in known:
            written.validator.problem(path, f"unknown user '{name}'{did_you_mean(name, known)}{allowed(known)}")


def _channels(names: Iterable[str]) -> list[str]:
    return [name.partition(":")[0] for name in names]
