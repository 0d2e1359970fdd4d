"""The `wards` block resolved: desks, languages that have a catalogue, ticket systems, stages of a downtime."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated

from pydantic import Field

from healthmon.config.blocks import channels_known, secret_of
from healthmon.config.forms import Form
from healthmon.config.packs import Packs
from healthmon.config.problems import Problems, allowed, did_you_mean
from healthmon.config.scalars import Duration
from healthmon.config.validation import Validator
from healthmon.config.wardforms import DeskForm, TextsForm
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.model.topology import Estate
from healthmon.model.wards import DEFAULT_STAGES, Desk, Stage, TicketSource, WardPlan, WardTexts

_STAGES = "alerting/downtime/default.yaml"
_TOKEN_LEAST = 16
#: What a ticket may say, by our names.
TICKET_FIELDS = ("number", "opened_at", "state", "area", "service")


class StageForm(Form):
    """What is done from a moment of the downtime on."""

    after: Duration
    message: str = ""
    text: str = ""


class StagesForm(Form):
    """alerting/downtime/default.yaml"""

    description: str = ""
    stages: Annotated[list[StageForm], Field(min_length=1)]


def wards_of(
    written: Written, estate: Estate, catalogues: Mapping[str, Mapping[str, str]], packs: Packs, problems: Problems
) -> WardPlan:
    """Everything that wards are told by."""
    form, sites = written.wards, set(estate.sites)
    _known(written, form.desks, sites, ("wards", "desks"), "site")
    _languages(written, estate, catalogues)
    channels_known(written, form.situation_report.channels, ("wards", "situation_report", "channels"))
    channels_known(written, form.handover, ("wards", "handover"))
    return WardPlan(
        desk=_desk(form.desk) if form.desk else _first_desk(estate),
        desks={site: _desk(desk) for site, desk in form.desks.items()},
        language=form.language,
        site_languages=form.languages.sites,
        area_languages=form.languages.areas,
        channel_languages=form.languages.channels,
        stages=stages_of(packs, problems, catalogues),
        tickets={id_: _source(written, id_, estate) for id_ in form.tickets},
        situation=tuple(form.situation_report.channels),
        situation_every_s=form.situation_report.every,
        handover=tuple(form.handover),
        texts=_texts(written, form.texts, estate) if form.texts else None,
    )


def _texts(written: Written, form: TextsForm, estate: Estate) -> WardTexts:
    path: DataPath = ("wards", "texts")
    channels_known(written, [form.channel], (*path, "channel"))
    placed = written.channels.get(form.channel)
    if placed is not None and (placed.form.kind, placed.form.audience) != ("gateway", "ward"):
        said = f"'{form.channel}' must be a channel of kind `gateway` with `audience: ward`"
        written.validator.problem((*path, "channel"), said)
    _known(written, form.phones, estate.areas, (*path, "phones"), "area")
    for number, name in enumerate(form.services):
        if name not in estate.services:
            said = f"unknown service '{name}'{did_you_mean(name, estate.services)}{allowed(estate.services)}"
            written.validator.problem((*path, "services", number), said)
    phones = {area: tuple(numbers) for area, numbers in form.phones.items() if area in estate.areas}
    return WardTexts(form.channel, phones, form.severity, tuple(form.services), form.after)


def ward_advice(written: Written, plan: WardPlan) -> Iterator[tuple[DataPath, str]]:
    """A ward that cannot ring anybody waits for a web page."""
    if written.areas and plan.desk.phone is None:
        yield ("wards",), "no telephone number: `wards.desk.phone` is what every ward page and every answer begins with"


def stages_of(packs: Packs, problems: Problems, catalogues: Mapping[str, Mapping[str, str]]) -> tuple[Stage, ...]:
    """The stage table of the packs, by time."""
    document = packs.document(_STAGES)
    if document is None:
        return DEFAULT_STAGES
    validator = Validator(document, problems)
    form: StagesForm | None = validator.one(StagesForm, (), document.data)
    if form is None:
        return DEFAULT_STAGES
    for number, stage in enumerate(form.stages):
        path = ("stages", number)
        if bool(stage.message) is bool(stage.text):
            validator.problem(path, "needs `message` (of the catalogues) or `text` (your own words), one of them")
        lacking = [language for language, messages in catalogues.items() if stage.message not in messages]
        if stage.message and lacking:
            validator.problem((*path, "message"), f"no message '{stage.message}' in {', '.join(sorted(lacking))}")
    stages = (Stage(one.after, one.message, one.text) for one in form.stages)
    return tuple(sorted(stages, key=lambda stage: stage.after_s))


def _languages(written: Written, estate: Estate, catalogues: Mapping[str, Mapping[str, str]]) -> None:
    form = written.wards
    _spoken(written, form.language, catalogues, ("wards", "language"))
    groups = {
        "sites": (form.languages.sites, set(estate.sites)),
        "areas": (form.languages.areas, set(estate.areas)),
        "channels": (form.languages.channels, set(written.channels)),
    }
    for name, (given, known) in groups.items():
        path = ("wards", "languages", name)
        _known(written, given, known, path, name[:-1])
        for key, language in given.items():
            _spoken(written, language, catalogues, (*path, key))


def _spoken(written: Written, language: str, catalogues: Mapping[str, Mapping[str, str]], path: DataPath) -> None:
    if language not in catalogues:
        hint = f"{allowed(catalogues)}; another one is a file alerting/text/{language}.yaml in your packs"
        written.validator.problem(path, f"no catalogue speaks '{language}'{hint}")


def _known(written: Written, given: Collection[str], known: Collection[str], path: DataPath, word: str) -> None:
    for name in given:
        if name not in known:
            message = f"unknown {word} '{name}'{did_you_mean(name, known)}{allowed(known)}"
            written.validator.problem((*path, name), message, key=True)


def _desk(form: DeskForm) -> Desk:
    return Desk(form.name, form.phone)


def _first_desk(estate: Estate) -> Desk:
    """Without a desk of its own: the first team that has a telephone."""
    team = next((team for team in estate.teams.values() if team.phone), None)
    return Desk(team.name or team.id, team.phone) if team else Desk("IT")


def _source(written: Written, id_: str, estate: Estate) -> TicketSource:
    form, path = written.wards.tickets[id_], ("wards", "tickets", id_)
    token = (secret_of(written, form, "token", path) or "").strip()
    if len(token) < _TOKEN_LEAST:
        written.validator.problem(path, f"needs `token` or `token_file` with at least {_TOKEN_LEAST} characters")
    _known(written, form.fields, TICKET_FIELDS, (*path, "fields"), "field")
    for name, given, known in (("areas", form.areas, estate.areas), ("services", form.services, estate.services)):
        for word, meant in given.items():
            if meant not in known:
                message = f"unknown {name[:-1]} '{meant}'{did_you_mean(meant, known)}"
                written.validator.problem((*path, name, word), message)
    return TicketSource(id_, form.shape, token, form.fields, form.areas, form.services)
