"""What `check` warns of on the way to people: severities without a policy, steps and routes that reach nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from healthmon.config.rulepacks import policy_of
from healthmon.config.site import SiteConfig
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.model.incident import Policy, Step
from healthmon.model.topology import Team

_PAGED = (1, 2)
Warning = tuple[DataPath, str]


def route_advice(written: Written, site: SiteConfig) -> Iterator[Warning]:
    """Of the site's own policies and teams; the stock policies tell every channel that there is."""
    if not site.channels:
        return
    if written.oncall.policies:
        yield from _severities(site)
    for number, form in enumerate(written.oncall.policies):
        yield from _policy(("oncall", "policies", number), policy_of(form), site)
    yield from _people(written, site)
    yield from _channels(written, site)


def _severities(site: SiteConfig) -> Iterator[Warning]:
    """What nobody is told of: at all, or of one team's things."""
    owners = _owners(site)
    for severity in _PAGED:
        about = [policy for policy in site.policies if severity in policy.severities]
        if not about:
            yield ("oncall",), f"severity {severity} has no policy: nobody is told of it"
            continue
        if any(not policy.teams for policy in about):
            continue
        covered = {team for policy in about for team in policy.teams}
        for team in sorted(owners - covered):
            said = f"severity {severity} of team '{team}' has no policy: nobody is told of its things"
            yield ("teams", team), said
        yield ("oncall",), f"severity {severity} of what has no team has no policy: nobody is told of it"


def _policy(path: DataPath, policy: Policy, site: SiteConfig) -> Iterator[Warning]:
    if policy.teams and not set(policy.teams) & _owners(site):
        yield path, f"policy '{policy.id}' is never taken: {_named(policy.teams)} own{_s(policy.teams)} nothing here"
    for number, step in enumerate(policy.steps):
        yield from _step((*path, "steps", number), policy, step, site)


def _step(path: DataPath, policy: Policy, step: Step, site: SiteConfig) -> Iterator[Warning]:
    if step.only and not set(step.only) & set(policy.severities):
        yield path, f"never reached: this step is for severities that policy '{policy.id}' is not about"
        return
    dumb = [word for word in step.to if not _reaches(word, policy, site)]
    for word in dumb:
        left = "" if step.channels or len(dumb) < len(step.to) else ", and the step tells nobody else"
        yield path, f"'{word}' reaches nobody{left}: {_why(word, policy, site)}"


def _reaches(word: str, policy: Policy, site: SiteConfig) -> bool:
    """Whether somebody with a way to be reached can ever be meant."""
    kind, _, name = word.partition(":")
    if kind == "user":
        user = site.oncall.users.get(name)
        return user is not None and bool(user.readers)
    if kind == "duty-manager":
        return bool(site.oncall.duty_manager) and _reaches(site.oncall.duty_manager or "", policy, site)
    if kind == "rota":
        return bool(_with_ways(name, site))
    teams = [name] if name else [*policy.teams] or sorted(_owners(site))
    return not teams or all(_team_reaches(team, site) for team in teams)


def _team_reaches(team: str, site: SiteConfig) -> bool:
    rota = site.oncall.team_rotas.get(team)
    return bool(_with_ways(rota, site)) if rota else bool(site.oncall.default)


def _why(word: str, policy: Policy, site: SiteConfig) -> str:
    kind, _, name = word.partition(":")
    if kind == "user":
        return f"user '{name}' has no channel"
    if kind == "duty-manager":
        return "give `oncall.duty_manager` somebody with a channel"
    if kind == "rota":
        return f"nobody in rota '{name}' has a channel"
    teams = [name] if name else [*policy.teams] or sorted(_owners(site))
    mute = [team for team in teams if not _team_reaches(team, site)]
    return f"{_named(mute)} ha{'s' if len(mute) == 1 else 've'} no rota with somebody who can be reached"


def _with_ways(rota: str, site: SiteConfig) -> list[str]:
    """People of a rota who have a way to be reached."""
    known = site.oncall.rotas.get(rota)
    people = {user for layer in known.layers for user in layer.people} if known else set()
    people |= {span.user for layer in known.layers for span in layer.fixed} if known else set()
    return sorted(id_ for id_ in people if (user := site.oncall.users.get(id_)) is not None and user.readers)


def _people(written: Written, site: SiteConfig) -> Iterator[Warning]:
    """Who takes turns and cannot be reached, and rotas that nobody asks."""
    turns = {user for rota in site.oncall.rotas.values() for layer in rota.layers for user in layer.people}
    for number, form in enumerate(written.oncall.users):
        user = site.oncall.users.get(form.id)
        if user is not None and not user.readers and user.id in turns:
            yield ("oncall", "users", number), f"user '{user.id}' takes turns on call and has no channel"
    for number, rota in enumerate(written.oncall.rotas):
        if not _asked(rota.id, site):
            yield ("oncall", "rotas", number), f"rota '{rota.id}' is never asked: no team, step or default names it"


def _asked(rota: str, site: SiteConfig) -> bool:
    words = {word for policy in site.policies for step in policy.steps for word in step.to}
    words |= {site.oncall.duty_manager or "", site.oncall.default or ""}
    return rota in site.oncall.team_rotas.values() or f"rota:{rota}" in words


def _channels(written: Written, site: SiteConfig) -> Iterator[Warning]:
    """Channels that nothing sends to, once the site has its own policies."""
    if not written.oncall.policies:
        return
    used = {name.partition(":")[0] for policy in site.policies for step in policy.steps for name in step.channels}
    used |= {channel for user in site.oncall.users.values() for channel, _ in user.readers}
    teams: Sequence[Team] = list(site.estate.teams.values())
    used |= {name.partition(":")[0] for team in teams for name in team.channels}
    used |= {*site.oncall.morning, *site.oncall.reports, *site.site_manager, *site.oncall.fallbacks.values()}
    used |= {*site.reminders, *site.wards.situation, *site.wards.handover}
    used |= {site.wards.texts.channel} if site.wards.texts is not None else set()
    used |= set(site.watch.channels) if site.watch is not None else set()
    for name in written.channels:
        if name not in used:
            yield ("notify", "channels", name), f"channel '{name}' is never used: no step, person or team names it"


def _owners(site: SiteConfig) -> set[str]:
    """Teams that something belongs to."""
    teams = [target.team for target in site.estate.targets.values()]
    return {team for team in (*teams, *(service.team for service in site.estate.services.values())) if team}


def _named(teams: Sequence[str]) -> str:
    return ("team " if len(teams) == 1 else "teams ") + ", ".join(f"'{team}'" for team in teams)


def _s(names: Sequence[str]) -> str:
    return "s" if len(names) == 1 else ""
