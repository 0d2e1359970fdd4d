"""Forms to the site model: references followed, groups and roles applied, circles refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, TypeVar

from healthmon.config.checks import CheckReader
from healthmon.config.forms import MatchForm, ServiceForm, TargetForm
from healthmon.config.hours import HoursProblem, hours_of
from healthmon.config.kinds import probe_names
from healthmon.config.needs import circles, needs_of
from healthmon.config.packs import Packs
from healthmon.config.problems import allowed, did_you_mean
from healthmon.config.rulepacks import RolePackForm
from healthmon.config.validation import Placed, Validator
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.model.topology import (
    PUSHES,
    Agent,
    Area,
    AreaKind,
    Check,
    Contact,
    Estate,
    Fallback,
    Hours,
    Organisation,
    Service,
    Site,
    Target,
    Team,
)

POLLER = "poller"
#: Teams that are called so and have a desk are of another organisation, unless they say that they are not.
_THEIRS = "supplier-"
_RESERVED_AGENT_IDS = {"agents"}


PlacedForm = TypeVar("PlacedForm")


class Inventory:
    """Resolves one written site; what it cannot follow is noted in the validator's problems."""

    def __init__(self, written: Written, packs: Packs, warn: list[tuple[DataPath, str]]) -> None:
        self._written = written
        self._validator = written.validator
        self._packs = packs
        self._warn = warn
        self._agent_ids = written.raw_ids("agents") | written.raw_ids("push")
        self._target_ids = written.raw_ids("targets")
        self._known_needs = self._target_ids | written.raw_ids("services")
        self._checks = CheckReader(self._validator, packs, self._agent_ids, sources=self._sources())
        self._roles: dict[str, tuple[Check, ...]] = {}

    def _sources(self) -> set[str]:
        """Whose readings a check of kind `push` may take: tools with a token, and agents that speak line protocol."""
        pushing = self._written.raw_ids("push")
        return pushing | self._written.raw_ids("agents") if self._written.line_protocol else pushing

    def estate(self) -> Estate:
        """The whole model. Call `problems.raise_if_any()` before trusting it."""
        organisation = self._organisation()
        sites = self._sites(organisation)
        areas = self._areas(sites)
        teams = self._teams()
        agents = self._agents()
        targets = self._targets(sites, areas, agents)
        services = self._services(areas)
        self._no_circles(targets, services)
        return Estate(organisation, sites, areas, services, targets, teams, agents)

    # -- the parts

    def _organisation(self) -> Organisation:
        form = self._written.organisation
        return Organisation(form.id, form.name, form.timezone, form.holidays)

    def _sites(self, organisation: Organisation) -> dict[str, Site]:
        placed = self._distinct(self._written.sites, "sites")
        sites = {p.form.id: Site(p.form.id, p.form.name, p.form.timezone or organisation.timezone) for p in placed}
        if not sites and not self._written.raw_ids("sites"):
            sites = {organisation.id: Site(organisation.id, organisation.name, organisation.timezone)}
        return sites

    def _areas(self, sites: Mapping[str, Site]) -> dict[str, Area]:
        areas: dict[str, Area] = {}
        for placed in self._distinct(self._written.areas, "areas"):
            form, path = placed.form, placed.path
            self._refer(form.downtime_pc, self._target_ids, "target", (*path, "downtime_pc"))
            areas[form.id] = Area(
                id=form.id,
                name=form.name,
                kind=form.kind,
                acuity=form.acuity,
                site=self._site(form.site, sites, path),
                beds=form.beds,
                staffed=self._hours(form.staffed, (*path, "staffed")),
                needs=needs_of(form.needs, (*path, "needs"), self._known_needs, self._validator),
                contact=Contact(**form.contact.model_dump()) if form.contact else None,
                downtime_pc=form.downtime_pc,
            )
        return areas

    def _teams(self) -> dict[str, Team]:
        rotas = {rota.id for rota in self._written.oncall.rotas}
        channels = set(self._written.channels)
        teams: dict[str, Team] = {}
        for team_id, placed in self._written.teams.items():
            form = placed.form
            self._refer(form.rota, rotas, "rota", (*placed.path, "rota"))
            for number, name in enumerate(form.channels):
                self._refer(name, channels, "channel", (*placed.path, "channels", number))
            own = tuple(dict.fromkeys(form.channels))
            name = form.name or team_id
            theirs = form.supplier if form.supplier is not None else bool(form.desk) and team_id.startswith(_THEIRS)
            teams[team_id] = Team(team_id, name, form.rota, form.phone, form.desk, own, theirs)
        return teams

    def _agents(self) -> dict[str, Agent]:
        agents: dict[str, Agent] = {}
        for placed in self._distinct(self._written.agents, "agents"):
            form, path = placed.form, placed.path
            if form.id in _RESERVED_AGENT_IDS:
                self._validator.problem((*path, "id"), f"'{form.id}' means every agent; choose another id")
            self._refer(form.target, self._target_ids, "target", (*path, "target"))
            target = form.target or (form.id if form.id in self._target_ids else None)
            if form.roles and target is None:
                self._validator.problem(path, "has roles but no target; name the host it runs on under `target`")
            agents[form.id] = Agent(form.id, target, tuple(form.roles), form.spool_max_bytes)
        agents.setdefault(POLLER, Agent(POLLER))
        for source, pushing in self._written.push.items():
            if source in agents or source in _RESERVED_AGENT_IDS:
                self._validator.problem(pushing.path, f"'{source}' is an agent already; choose another name", key=True)
            agents[source] = Agent(source, roles=(PUSHES,))
        return agents

    def _services(self, areas: Mapping[str, Area]) -> dict[str, Service]:
        services: dict[str, Service] = {}
        for placed in self._distinct(self._written.services, "services"):
            form, path = placed.form, placed.path
            if form.id in self._target_ids:
                self._validator.problem((*path, "id"), f"'{form.id}' is also a target; needs could mean either")
            self._refer(form.team, self._written.raw_ids("teams"), "team", (*path, "team"))
            if form.fallback:
                proven_by, where = form.fallback.proven_by, (*path, "fallback", "proven_by")
                self._refer(proven_by, self._target_ids, "target", where)
            services[form.id] = Service(
                id=form.id,
                name=form.name,
                tier=form.tier,
                used_in=self._used_in(form, path, areas),
                everywhere="all" in form.used_in,
                needs=needs_of(form.needs, (*path, "needs"), self._known_needs, self._validator),
                fallback=Fallback(form.fallback.text, form.fallback.proven_by) if form.fallback else None,
                standards=form.standards,
                team=form.team,
                functions=tuple(form.functions) if form.functions is not None else None,
            )
        return services

    def _used_in(self, form: ServiceForm, path: DataPath, areas: Mapping[str, Area]) -> tuple[str, ...]:
        """Area ids; an id wins over a kind of the same name."""
        if "all" in form.used_in:
            return tuple(areas)
        raw = self._written.raw_ids("areas")
        kinds = {kind.value for kind in AreaKind}
        used: dict[str, None] = {}
        for number, name in enumerate(form.used_in):
            if name in raw:
                used[name] = None
            elif name in kinds:
                used.update(dict.fromkeys(area.id for area in areas.values() if area.kind == name))
            else:
                hint = did_you_mean(name, raw | kinds)
                self._validator.problem(
                    (*path, "used_in", number), f"unknown area or area kind '{name}'{hint}{allowed(kinds | {'all'})}"
                )
        return tuple(used)

    # -- targets and their checks

    def _targets(
        self, sites: Mapping[str, Site], areas: Mapping[str, Area], agents: Mapping[str, Agent]
    ) -> dict[str, Target]:
        teams, raw_areas = self._written.raw_ids("teams"), self._written.raw_ids("areas")
        placed_targets = self._distinct(self._written.targets, "targets")
        residents = self._residents(agents)
        groups = [
            (
                placed.form.match,
                [check for check, _ in self._checks.each(placed.form.checks, (*placed.path, "checks"))],
            )
            for placed in self._written.groups
        ]
        targets: dict[str, Target] = {}
        for placed in placed_targets:
            form, path = placed.form, placed.path
            self._refer(form.area, raw_areas, "area", (*path, "area"))
            self._refer(form.team, teams, "team", (*path, "team"))
            area = areas.get(form.area) if form.area else None
            site = self._target_site(form, path, area, sites)
            target = Target(
                id=form.id,
                name=form.name or form.id,
                kind=form.kind,
                address=form.address,
                site=site,
                area=form.area,
                needs=needs_of(form.needs, (*path, "needs"), self._known_needs, self._validator),
                team=form.team,
                labels=form.labels,
            )
            own = {check.id: check for check, _ in self._checks.each(form.checks, (*path, "checks"))}
            checks = self._all_checks(target, own, groups, residents.get(form.id, ()), path)
            targets[form.id] = replace(target, checks=checks)
        self._idle_groups(groups, targets)
        return targets

    def _target_site(self, form: TargetForm, path: DataPath, area: Area | None, sites: Mapping[str, Site]) -> str:
        if form.site is None and area is not None:
            return area.site
        if form.site is None and form.area is not None:
            return ""  # its area is unknown, which has been said
        site = self._site(form.site, sites, path)
        if area is not None and form.site is not None and area.site != site:
            self._validator.problem((*path, "site"), f"'{site}' is not the site of area '{area.id}' ('{area.site}')")
        return site

    def _all_checks(
        self,
        target: Target,
        own: dict[str, Check],
        groups: Iterable[tuple[MatchForm, list[Check]]],
        residents: Iterable[Agent],
        path: DataPath,
    ) -> tuple[Check, ...]:
        """The target's own checks, then those of groups, then those of the roles of agents that run on it."""
        checks = dict(own)
        for match, added in groups:
            if matches(match, target):
                for check in added:
                    checks.setdefault(check.id, check)
        here = tuple(residents)
        for agent in here:
            for check in self._role_checks(agent):
                known = checks.get(check.id)
                if known is None:
                    checks[check.id] = replace(check, vantages=(agent.id,))
                elif known.kind == check.kind and check.id not in own:
                    checks[check.id] = replace(known, vantages=tuple(dict.fromkeys((*known.vantages, agent.id))))
        return tuple(self._placed_check(check, target, here, path) for check in checks.values())

    def _placed_check(self, check: Check, target: Target, here: tuple[Agent, ...], path: DataPath) -> Check:
        """A collector runs on its host, so its vantage is the agent there; a probe needs an address."""
        if check.kind in probe_names():
            if not target.address:
                self._validator.problem(path, f"check '{check.id}' ({check.kind}) needs an `address`")
            return check
        if check.vantages != (POLLER,) or any(agent.id == POLLER for agent in here):
            return check
        if not here:
            message = f"check '{check.id}' ({check.kind}) looks at the host it runs on, and no agent runs on this one"
            self._validator.problem(path, message)
        return replace(check, vantages=tuple(agent.id for agent in here))

    def _residents(self, agents: Mapping[str, Agent]) -> dict[str, list[Agent]]:
        residents: dict[str, list[Agent]] = {}
        for agent in agents.values():
            if agent.target is not None:
                residents.setdefault(agent.target, []).append(agent)
            for role in agent.roles if agent.id not in self._written.push else ():
                self._role(role, agent.id)
        return residents

    def _role_checks(self, agent: Agent) -> Iterable[Check]:
        for role in agent.roles:
            yield from self._roles.get(role, ())

    def _role(self, role: str, agent: str) -> None:
        """Read one role pack once; an unknown one is noted at the agent that first names it."""
        if role in self._roles:
            return
        self._roles[role] = ()
        document = self._packs.document(f"collectors/roles/{role}.yaml")
        if document is None:
            names = self._packs.names("collectors/roles")
            path = next(p.path for p in self._written.agents if p.form.id == agent)
            message = f"unknown role '{role}'{did_you_mean(role, names)}{allowed(names)}"
            self._validator.problem((*path, "roles"), message)
            return
        validator = Validator(document, self._validator.problems)
        form: RolePackForm | None = validator.one(RolePackForm, (), document.data)
        if form is not None:
            reader = CheckReader(validator, self._packs, self._agent_ids)
            self._roles[role] = tuple(check for check, _ in reader.each(form.collect, ("collect",)))

    def _idle_groups(self, groups: list[tuple[MatchForm, list[Check]]], targets: Mapping[str, Target]) -> None:
        for placed, (match, _) in zip(self._written.groups, groups, strict=True):
            if not any(matches(match, target) for target in targets.values()):
                self._warn.append(((*placed.path, "match"), "matches no target"))

    # -- references

    def _distinct(self, items: Iterable[Placed[PlacedForm]], section: str) -> list[Placed[PlacedForm]]:
        """The items whose id was not used before; the others are noted with the place of the first.

        Ids are compared as they were written, so that a mistake elsewhere in the first hides no second.
        """
        written = self._written.document.data.get(section)
        first: dict[str, int] = {}
        repeated: set[DataPath] = set()
        for number, item in enumerate(written if isinstance(written, list) else []):
            name = str(item["id"]) if isinstance(item, dict) and "id" in item else None
            if name is None or first.setdefault(name, number) == number:
                continue
            repeated.add((section, number))
            spot = self._validator.spot((section, first[name], "id"))
            self._validator.problem((section, number, "id"), f"id '{name}' is already used at {spot}")
        return [placed for placed in items if placed.path not in repeated]

    def _refer(self, name: str | None, known: Collection[str], what: str, path: DataPath) -> None:
        if name is not None and name not in known:
            self._validator.problem(path, f"unknown {what} '{name}'{did_you_mean(name, known)}")

    def _site(self, name: str | None, sites: Mapping[str, Site], path: DataPath) -> str:
        if name is None and len(sites) == 1:
            return next(iter(sites))
        if name is None:
            self._validator.problem(path, f"key 'site' is missing; there is more than one{allowed(sites)}")
            return ""
        if name not in sites:
            message = f"unknown site '{name}'{did_you_mean(name, sites)}{allowed(sites)}"
            self._validator.problem((*path, "site"), message)
        return name

    def _hours(self, written: Any, path: DataPath) -> Hours | None:
        try:
            return hours_of(written)
        except HoursProblem as error:
            where = path if error.key is None else (*path, error.key)
            self._validator.problem(where, str(error))
            return None

    def _no_circles(self, targets: Mapping[str, Target], services: Mapping[str, Service]) -> None:
        graph = {target.id: target.needs for target in targets.values()}
        graph |= {service.id: service.needs for service in services.values()}
        for circle in circles(graph):
            path = self._path_of(circle[0])
            self._validator.problem((*path, "needs"), f"needs go in a circle: {' -> '.join([*circle, circle[0]])}")

    def _path_of(self, node: str) -> DataPath:
        """Where a target or service is written."""
        targets = (placed.path for placed in self._written.targets if placed.form.id == node)
        services = (placed.path for placed in self._written.services if placed.form.id == node)
        return next(chain(targets, services))


def matches(match: MatchForm, target: Target) -> bool:
    """Every key that is given fits."""
    return (
        (not match.kind or target.kind in match.kind)
        and (not match.area or target.area in match.area)
        and (not match.site or target.site in match.site)
        and all(target.labels.get(key) == value for key, value in match.label.items())
    )
