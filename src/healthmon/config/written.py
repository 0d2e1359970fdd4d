"""All blocks of a document as forms: every good item with its place, every bad one noted and left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from healthmon.config.careforms import CareForm
from healthmon.config.document import Document
from healthmon.config.fileforms import (
    AlertingForm,
    BrokerForm,
    ChangeForm,
    ChannelForm,
    JournalForm,
    PairForm,
    ProbeModulesForm,
    PushForm,
    SafetyForm,
    SiteFileForm,
    StoreForm,
    TrapsForm,
    WatchForm,
    WorkersForm,
)
from healthmon.config.forms import (
    AgentForm,
    AreaForm,
    GroupForm,
    OrganisationForm,
    ServiceForm,
    SiteForm,
    TargetForm,
    TeamForm,
)
from healthmon.config.lineforms import LinesForm
from healthmon.config.oncallforms import DrillsForm, OncallForm
from healthmon.config.problems import Problems, allowed, did_you_mean
from healthmon.config.scalars import checked_id
from healthmon.config.validation import Placed, Validator
from healthmon.config.wardforms import WardsForm
from healthmon.config.webforms import WebForm
from healthmon.config.yamlnodes import DataPath


@dataclass(slots=True)
class Written:
    """The document as forms; blocks that are wrong as a whole are at their defaults."""

    validator: Validator
    organisation: OrganisationForm
    sites: list[Placed[SiteForm]]
    areas: list[Placed[AreaForm]]
    services: list[Placed[ServiceForm]]
    targets: list[Placed[TargetForm]]
    groups: list[Placed[GroupForm]]
    agents: list[Placed[AgentForm]]
    changes: list[Placed[ChangeForm]]
    teams: dict[str, Placed[TeamForm]]
    channels: dict[str, Placed[ChannelForm]]
    broker: BrokerForm | None
    ha: PairForm | None
    workers: WorkersForm | None
    journal: JournalForm | None
    store: StoreForm
    safety: SafetyForm
    alerting: AlertingForm
    oncall: OncallForm
    drills: DrillsForm
    watch: WatchForm | None
    web: WebForm
    wards: WardsForm
    probe_modules: ProbeModulesForm
    traps: TrapsForm | None = None
    care: CareForm = field(default_factory=CareForm)
    line_protocol: LinesForm | None = None
    push: dict[str, Placed[PushForm]] = field(default_factory=dict)
    data_dir: str | None = None
    packs: list[str] = field(default_factory=list)

    @property
    def document(self) -> Document:
        return self.validator.document

    def raw_ids(self, section: str) -> set[str]:
        """Every id that was written, also in items that were left out: one mistake is told once."""
        items = self.document.data.get(section)
        if isinstance(items, dict):
            return {str(key) for key in items}
        found = items if isinstance(items, list) else []
        return {str(item["id"]) for item in found if isinstance(item, dict) and "id" in item}


def read_written(document: Document, problems: Problems) -> Written:
    """Validate block by block, so that one mistake does not hide the next."""
    validator = Validator(document, problems)
    _top_keys(validator)
    sites = validator.each(SiteForm, ("sites",))
    site = _block(validator, "site", None)
    if site is not None:
        sites.insert(0, Placed(site, ("site",)))
    return Written(
        validator=validator,
        organisation=_organisation(validator, sites),
        sites=sites,
        areas=validator.each(AreaForm, ("areas",)),
        services=validator.each(ServiceForm, ("services",)),
        targets=validator.each(TargetForm, ("targets",)),
        groups=validator.each(GroupForm, ("groups",)),
        agents=validator.each(AgentForm, ("agents",)),
        changes=validator.each(ChangeForm, ("changes",)),
        teams=_named(validator, TeamForm, ("teams",)),
        channels=_named(validator, ChannelForm, ("notify", "channels")),
        broker=_block(validator, "broker", None),
        ha=_block(validator, "ha", None),
        workers=_block(validator, "workers", None),
        journal=_block(validator, "journal", None),
        store=_block(validator, "store", StoreForm()),
        safety=_block(validator, "safety", SafetyForm()),
        alerting=_block(validator, "alerting", AlertingForm()),
        oncall=_block(validator, "oncall", OncallForm()),
        drills=_block(validator, "drills", DrillsForm()),
        watch=_watch(validator),
        web=_block(validator, "web", WebForm()),
        wards=_block(validator, "wards", WardsForm()),
        probe_modules=_block(validator, "probe_modules", ProbeModulesForm()),
        traps=_block(validator, "traps", None),
        care=_block(validator, "care", CareForm()),
        line_protocol=_block(validator, "line_protocol", None),
        push=_named(validator, PushForm, ("push",)),
        data_dir=_block(validator, "data_dir", None),
        packs=_block(validator, "packs", []),
    )


def _top_keys(validator: Validator) -> None:
    known = set(SiteFileForm.model_fields)
    for key in validator.document.data:
        if key not in known:
            validator.problem((key,), f"unknown key{did_you_mean(key, known)}{allowed(known)}", key=True)


def _block(validator: Validator, name: str, default: Any) -> Any:
    """One block by the annotation that it has at the top of the file; absent, empty or wrong gives the default."""
    value = validator.document.data.get(name)
    if value is None:
        return default
    field_info = SiteFileForm.model_fields[name]
    annotation: Any = field_info.annotation
    for extra in field_info.metadata:
        annotation = Annotated[annotation, extra]
    form = validator.one(annotation, (name,), value)
    return default if form is None else form


def _organisation(validator: Validator, sites: list[Placed[SiteForm]]) -> OrganisationForm:
    data = validator.document.data
    if data.get("organisation") is not None:
        form = validator.one(OrganisationForm, ("organisation",), data["organisation"])
        return form or OrganisationForm(id="invalid", name="invalid")
    if "site" in data and sites:
        site = sites[0].form
        return OrganisationForm(id=site.id, name=site.name, timezone=site.timezone or "UTC")
    if "site" not in data and not len(validator.problems):
        validator.problem((), "key 'organisation' is missing (or `site` as the short form for one site)")
    return OrganisationForm(id="invalid", name="invalid")


def _named(validator: Validator, form: Any, path: DataPath) -> dict[str, Placed[Any]]:
    """A mapping of ids to forms."""
    value: Any = validator.document.data
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        validator.problem(path, "must be a mapping of ids")
        return {}
    found: dict[str, Placed[Any]] = {}
    for name, item in value.items():
        try:
            checked_id(name)
        except ValueError as error:
            validator.problem((*path, name), f"'{name}' {error}", key=True)
        good = validator.one(form, (*path, name), {} if item is None else item)
        if good is not None:
            found[name] = Placed(good, (*path, name))
    return found


def _watch(validator: Validator) -> WatchForm | None:
    notify = validator.document.data.get("notify")
    if notify is None:
        return None
    if not isinstance(notify, dict):
        validator.problem(("notify",), "must be a mapping")
        return None
    known = {"channels", "watch"}
    for key in set(notify) - known:
        validator.problem(("notify", key), f"unknown key{did_you_mean(key, known)}{allowed(known)}", key=True)
    if notify.get("watch") is None:
        return None
    form: WatchForm | None = validator.one(WatchForm, ("notify", "watch"), notify["watch"])
    return form
