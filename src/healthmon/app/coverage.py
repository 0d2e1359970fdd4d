"""What share of care is mapped and watched, and every blind spot by name. Pure but for the rule tests on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from healthmon.alerting.detect.conditions import metrics_of
from healthmon.alerting.detect.index import RuleIndex
from healthmon.config import SiteConfig
from healthmon.config.kinds import code_families
from healthmon.config.ruletests import tested_rules
from healthmon.impact.graph import NeedGraph
from healthmon.model.alert import Effect
from healthmon.model.sample import Outcome
from healthmon.model.topology import AreaKind, Target
from healthmon.model.view import View

#: A declared target of which nothing was heard for so long is probably not there any more.
STALE_S = 7 * 86_400.0
_VITAL = (0, 1)
_NAMES_MOST = 5
_HARD = (Effect.DOWN, Effect.DEGRADED)
_SERVER_ROOMS = (AreaKind.DATACENTRE, AreaKind.OTHER)


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """One thing that nobody would see. `kind` is a constant word, `id` what it is about, `text` for people."""

    kind: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    covered: int
    of: int

    @property
    def ratio(self) -> float:
        return self.covered / self.of if self.of else 1.0


def coverage(site: SiteConfig, view: View | None = None) -> dict[str, Any]:
    """The report as plain data. With a view, what was never or long not seen is in it too."""
    survey = Survey(site)
    spots = [*survey.spots(), *(survey.stale(view) if view else ())]
    paths = survey.paths()
    shares = {"access_paths": paths, "services": survey.services(), "areas": survey.areas()}
    return {
        "covered_access_paths_percent": round(100.0 * paths.ratio, 1),
        "shares": {name: {"covered": one.covered, "of": one.of} for name, one in shares.items()},
        "live": view is not None,
        "blind_spots": [asdict(spot) for spot in spots],
    }


class Survey:
    """One configuration looked over."""

    def __init__(self, site: SiteConfig) -> None:
        self._site = site
        self._estate = site.estate
        self._graph = NeedGraph(site.estate)
        self._index = RuleIndex(site.estate, site.rules)
        self._hosts = {agent.target for agent in self._estate.agents.values() if agent.target}
        self._cut: dict[tuple[str, str], str | None] = {}
        self._judged = {id_: self._is_judged(target) for id_, target in self._estate.targets.items()}

    def paths(self) -> Share:
        """Access paths: area x service of tier 0 and 1 on which everything is mapped, looked at and judged."""
        lines = self._vital_lines()
        return Share(sum(self._covered(*line) for line in lines), len(lines))

    def _vital_lines(self) -> list[tuple[str, str]]:
        return [line for line in self._graph.lines() if self._estate.services[line[1]].tier in _VITAL]

    def services(self) -> Share:
        vital = [one for one in self._estate.services.values() if one.tier in _VITAL]
        return Share(sum(bool(one.needs) and not self._holes((one.id,)) for one in vital), len(vital))

    def areas(self) -> Share:
        staffed = [one for one in self._estate.areas.values() if one.kind not in _SERVER_ROOMS]
        return Share(sum(bool(one.needs) and not self._holes(one.needs) for one in staffed), len(staffed))

    def spots(self) -> Iterator[BlindSpot]:
        """Everything that the configuration alone shows."""
        yield from self._paths()
        yield from self._targets()
        yield from self._areas()
        yield from self._services()
        yield from self._rules()
        yield from self._metrics()

    def stale(self, view: View) -> Iterator[BlindSpot]:
        """What the inventory holds and nobody has seen, though it is looked at."""
        for id_, target in self._estate.targets.items():
            seen = view.targets.get(id_)
            if not target.checks or seen is None:
                continue
            if seen.last_at is None:
                yield BlindSpot("never_seen", id_, f"{id_} has checks, and no reading of it has ever come")
            elif view.at - seen.last_at > STALE_S:
                days = (view.at - seen.last_at) / 86_400.0
                yield BlindSpot("stale_inventory", id_, f"the newest reading of {id_} is {days:.0f} days old")
            elif seen.outcome is not Outcome.OK and seen.ok_at is None:
                yield BlindSpot("never_seen", id_, f"{id_} is looked at, and it has never answered")
            elif seen.outcome is not Outcome.OK and seen.ok_at is not None and view.at - seen.ok_at > STALE_S:
                days = (view.at - seen.ok_at) / 86_400.0
                yield BlindSpot("stale_inventory", id_, f"{id_} is looked at, and has not answered for {days:.0f} days")

    def _covered(self, area: str, service: str) -> bool:
        return self._first_hole(area, service) is None

    def _first_hole(self, area: str, service: str) -> str | None:
        """What cuts the path in our map: an area or a service without needs, else what nobody would see failing."""
        line = (area, service)
        if line not in self._cut:
            mapped = {area: self._estate.areas[area].needs, service: self._estate.services[service].needs}
            unmapped = [id_ for id_, needs in mapped.items() if not needs]
            self._cut[line] = next(iter(unmapped or self._holes(self._graph.goal(area, service))), None)
        return self._cut[line]

    def _holes(self, goal: Any) -> list[str]:
        """Targets in the closure of a goal that nobody would see failing."""
        return [id_ for id_ in self._graph.closure(goal) if id_ in self._judged and not self._judged[id_]]

    def _is_judged(self, target: Target) -> bool:
        """Somebody looks, and a rule makes an incident of its failing."""
        bound = (one.rule for check in target.checks for one in self._index.bound(target.id, check.id))
        agents = (a for a in self._estate.agents.values() if a.target == target.id)
        silent = (rule for agent in agents for rule in self._index.for_agent(agent))
        return any(rule.effect in _HARD for rule in (*bound, *silent))

    def _paths(self) -> Iterator[BlindSpot]:
        """Paths that are not covered, by the first hole in each; the hole that cuts most of them first."""
        cut: dict[str, list[str]] = {}
        for area, service in self._vital_lines():
            hole = self._first_hole(area, service)
            if hole is not None:
                names = f"{self._estate.areas[area].name}: {self._estate.services[service].name}"
                cut.setdefault(hole, []).append(names)
        for hole, paths in sorted(cut.items(), key=lambda one: (-len(one[1]), one[0])):
            more = f" and {len(paths) - _NAMES_MOST} more" if len(paths) > _NAMES_MOST else ""
            text = f"{hole} is the first hole on {len(paths)} access paths: {', '.join(paths[:_NAMES_MOST])}{more}"
            yield BlindSpot("path_not_covered", hole, text)

    def _targets(self) -> Iterator[BlindSpot]:
        for id_, target in self._estate.targets.items():
            behind = sorted({area for area, _ in self._graph.lines_behind(id_)})
            path = f"; {len(behind)} areas depend on it" if behind else ""
            if not target.checks and id_ not in self._hosts:
                yield BlindSpot("target_without_probe", id_, f"nobody looks at {id_}{path}")
            elif not self._judged[id_]:
                yield BlindSpot("target_without_rule", id_, f"{id_} is looked at, and no rule judges it{path}")

    def _areas(self) -> Iterator[BlindSpot]:
        seeing = {self._estate.vantage_area(agent) for agent in self._estate.agents}
        for area in self._estate.areas.values():
            if area.kind in _SERVER_ROOMS:
                continue
            if not area.needs:
                yield BlindSpot("area_without_needs", area.id, f"{area.name} needs nothing: its network is not mapped")
            if area.id not in seeing:
                text = f"no agent looks from {area.name}: that a service works there is never proven"
                yield BlindSpot("area_without_agent", area.id, text)

    def _services(self) -> Iterator[BlindSpot]:
        for service in (one for one in self._estate.services.values() if one.tier in _VITAL):
            fallback = service.fallback
            if not service.needs:
                yield BlindSpot("service_without_needs", service.id, f"{service.name} needs nothing: it is not mapped")
            if fallback is None:
                yield BlindSpot("service_without_fallback", service.id, f"{service.name} has no fallback")
            elif fallback.proven_by is None:
                text = f"nothing proves that the fallback of {service.name} is ready"
                yield BlindSpot("fallback_without_proof", service.id, text)
            elif not self._estate.targets[fallback.proven_by].checks:
                text = f"{fallback.proven_by} should prove the fallback of {service.name}, and nobody looks at it"
                yield BlindSpot("fallback_without_proof", service.id, text)

    def _rules(self) -> Iterator[BlindSpot]:
        tested = tested_rules(self._site.pack_roots)
        for rule in self._site.rules:
            missing = [word for word in ("firing", "quiet") if rule.id not in tested[word]]
            if missing:
                text = f"no test sees {rule.id} {' or '.join(missing)}"
                yield BlindSpot("rule_without_test", rule.id, text)

    def _metrics(self) -> Iterator[BlindSpot]:
        """Families that the checks here emit and of which no rule reads anything."""
        read = {metric.partition(".")[0] for rule in self._site.rules for metric in metrics_of(rule)}
        kinds = {check.kind for target in self._estate.targets.values() for check in target.checks}
        families: Mapping[str, Any] = code_families()
        for name in sorted((kinds & families.keys()) - read):
            yield BlindSpot("metrics_without_rule", name, f"no rule reads any value of {name}, only whether it failed")
