"""Two media for severity 1: what carries the first must not be what carries the second, unless accepted in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from healthmon.alerting.oncall.ladder import MEDIA_FOR_THE_WORST
from healthmon.config.site import SiteConfig
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.model.incident import Policy, Step
from healthmon.model.oncall import OncallUser


def media_apart(written: Written, site: SiteConfig) -> None:
    """Note every step of severity 1 whose media all hang on one thing (`via` of the channels)."""
    own = bool(written.oncall.policies)
    for number, policy in enumerate(site.policies):
        if 1 not in policy.severities or policy.one_medium.strip():
            continue
        path: DataPath = ("oncall", "policies", number) if own else ("notify", "channels")
        for line in dict.fromkeys(_lines(policy, site)):
            written.validator.problem(path, line)


def _lines(policy: Policy, site: SiteConfig) -> Iterator[str]:
    for step in policy.steps:
        if step.only and 1 not in step.only:
            continue
        channels = [name.partition(":")[0] for name in step.channels]
        if len(set(channels)) > 1:
            yield from _shared(f"policy '{policy.id}'", channels, site)
        for user in _users(step, site):
            ways = [channel for channel, _ in user.readers[: max(step.media or 0, MEDIA_FOR_THE_WORST)]]
            if len(set(ways)) > 1:
                yield from _shared(f"policy '{policy.id}', user '{user.id}'", ways, site)


def _shared(who: str, channels: Sequence[str], site: SiteConfig) -> Iterator[str]:
    """A line unless some two of the channels hang on nothing together."""
    via = {name: set(site.channels[name].via) for name in channels if name in site.channels}
    pairs = [(one, other, via[one] & via[other]) for one, other in combinations(sorted(via), 2)]
    if pairs and all(common for _, _, common in pairs):
        one, other, common = pairs[0]
        what = ", ".join(sorted(common))
        yield (
            f"{who}: severity 1 needs two media, and '{one}' and '{other}' both hang on {what} "
            f"(allowed: another channel, or `one_medium: why that is acceptable`)"
        )


def _users(step: Step, site: SiteConfig) -> Iterator[OncallUser]:
    """Everybody whom the step may mean at any time."""
    plan = site.oncall
    for word in step.to:
        kind, _, name = word.partition(":")
        if kind == "user":
            yield from (user for user in (plan.users.get(name),) if user)
        elif kind == "duty-manager" and plan.duty_manager:
            yield from _users(Step(0.0, (), (plan.duty_manager,)), site)
        else:
            rotas = [plan.rotas[name]] if name in plan.rotas else list(plan.rotas.values())
            names = {person for rota in rotas for layer in rota.layers for person in layer.people}
            yield from (plan.users[person] for person in sorted(names) if person in plan.users)
