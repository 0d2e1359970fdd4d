"""Spares that are all said to be down: what was seen working through them since proves that not all of them are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set

from healthmon.alerting.incidents.evidence import ACCESS_POINTS, LOOK_S, Evidence
from healthmon.alerting.incidents.groups import Finding
from healthmon.alerting.incidents.reach import reached
from healthmon.model.alert import Effect
from healthmon.model.topology import AtLeast, Need

_NOBODY: frozenset[str] = frozenset()


def proven(findings: Mapping[str, Finding], evidence: Evidence, now: float) -> frozenset[str]:
    """Those that pass traffic on although their own checks fail, of such as stand in for one another.

    One way out of several is enough for what works behind them, so no single one of them is proven by that. The last to
    fall silent is taken for the one that works: the others had gone by then, as far as anybody knows.
    """
    silent = {
        id_: finding.since + LOOK_S
        for id_, finding in findings.items()
        if evidence.passing_kind(id_)
        and finding.effect is Effect.DOWN
        and not (finding.passing or finding.elsewhere_ok)
        and id_ in evidence.graph
        and evidence.graph.spared(id_)
    }
    gone = {f.target for f in findings.values() if f.effect is Effect.DOWN and not f.passing} - silent.keys()
    found: set[str] = set()
    while len(silent) > 1 and (newest := _contradicted(silent, gone, evidence, now)) is not None:
        found.add(newest)
        del silent[newest]
    return frozenset(found)


def _contradicted(silent: Mapping[str, float], gone: Set[str], evidence: Evidence, now: float) -> str | None:
    """The newest of some that, were they all down, would have kept from answering what has answered since.

    More of it must have answered than is gone: a few that answer while most are gone may stand beside the monitor,
    where nobody wrote that down.
    """
    ways, first = _Ways(evidence, silent), min(silent.values())
    behind = _behind_several(silent, evidence)
    for id_ in behind:
        if not ways.answered_since(id_, first, now):
            continue
        blamed = ways.blamed(id_)
        since = max((silent[one] for one in blamed), default=first)
        if len(blamed) < 2 or not ways.answered_since(id_, since, now):
            continue
        among = [one for one in behind if ways.blamed(one) & blamed]
        if sum(ways.answered_since(one, since, now) for one in among) > sum(one in gone for one in among):
            return max(blamed, key=lambda one: (silent[one], one))
    return None


def _behind_several(silent: Iterable[str], evidence: Evidence) -> list[str]:
    """What two or more of these stand before, in a stable order."""
    once: set[str] = set()
    twice: set[str] = set()
    for id_ in silent:
        behind = evidence.graph.descendants(id_)
        twice |= once & behind
        once |= behind
    return sorted(id_ for id_ in twice.difference(silent) if evidence.kind(id_) not in ACCESS_POINTS)


class _Ways:
    """What keeps a thing from answering when all of these are down: what its work needs is left out."""

    def __init__(self, evidence: Evidence, down: Collection[str]) -> None:
        self._evidence = evidence
        self._down = down
        self._known: dict[str, frozenset[str]] = {}

    def blamed(self, id_: str) -> frozenset[str]:
        """Those of them; empty when it could answer all the same."""
        if id_ in self._down:
            return frozenset((id_,))
        known = self._known.get(id_)
        if known is None:
            needs, aside = self._evidence.graph.needs(id_), self._evidence.not_proven_by(id_)
            known = self._known[id_] = _NOBODY.union(*(self._by(need, aside) for need in needs))
        return known

    def answered_since(self, id_: str, since: float, now: float) -> bool:
        """It answered somebody on this side of them since then, or an agent on it got word to a server on this side."""
        evidence = self._evidence
        for look in evidence.of_target(id_):
            if look.started >= since and reached(look) and self._here(look.vantage) and evidence.counts(look, now):
                return True
        spoke = any(evidence.heard_since(agent.id, since) for agent in evidence.agents_on(id_))
        return spoke and self._here(evidence.server)

    def _here(self, vantage: str) -> bool:
        """Not behind them itself: what stands beside one another needs no way out."""
        host = self._evidence.host(vantage)
        return host is not None and not self.blamed(host)

    def _by(self, need: Need, aside: Set[str]) -> frozenset[str]:
        """aside: kinds that it can be without and answer."""
        if isinstance(need, AtLeast):
            parts = [self._by(part, aside) for part in need.of]
            works = sum(not part for part in parts) >= need.n
            return _NOBODY if works else _NOBODY.union(*parts)
        return _NOBODY if self._evidence.kind(need) in aside else self.blamed(need)
