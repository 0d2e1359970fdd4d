"""What was seen last of everything, by whom, and what a good reading proves about the things in between."""

from __future__ import annotations

from collections.abc import Iterator

from healthmon.alerting.detect.index import RuleIndex
from healthmon.alerting.incidents.fates import Fates
from healthmon.alerting.incidents.quickness import limits_of, quick, times
from healthmon.alerting.incidents.reach import Reach, Series, reached
from healthmon.impact.graph import NeedGraph
from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import Agent, Estate, need_ids

#: Things that pass traffic on: when something behind them works, they work, whatever their own check says.
PASSING_KINDS = frozenset(
    {"switch", "router", "firewall", "link", "relay", "gateway", "access-point", "ap", "wlan-controller", "vpn", "ups"}
)
#: Looks that say only that something is there, not that it does its work.
SHALLOW = frozenset({"icmp", "tcp", "snmp"})
#: What a thing needs to do its work and not to answer: a host whose storage is gone still answers pings.
FOR_WORK = frozenset({"storage", "database", "endpoint", "print-server"})
#: The same of what has a cable: a trolley on a switch of its own speaks without the controller of its radio.
_BUT_ITS_WAY = FOR_WORK | {"wlan-controller"}
#: An access point answers by itself; what its controller carries is for what hangs on the access point to prove.
ACCESS_POINTS = frozenset({"access-point", "ap"})
#: What died did so within the look that found it; an answer from so early on may be older than that.
LOOK_S = 1.0
#: A batch that arrives now was sent a little earlier.
_IN_FLIGHT_S = 1.0
_NOBODY = ("never", 0.0)
#: An agent that was heard within this speaks.
_SPEAKS_S = 60.0
#: A look that took longer to get here was held up on the way: its looker was cut off, and is not any more.
_HELD_UP_S = 2.0


def _ok(reading: Reading) -> bool:
    return reading.outcome is Outcome.OK


class Evidence:
    """The newest reading of every series, presence of agents, and indexes over both.

    `blind`: vantage points that are cut off; what only they saw is not known.
    """

    def __init__(self, estate: Estate, graph: NeedGraph, index: RuleIndex, server: str = "poller") -> None:
        self.estate = estate
        self.server = server
        self.graph = graph
        self.index = index
        self.latest: dict[Series, Reading] = {}
        self.presence: dict[str, tuple[str, float]] = {}
        self.blind: set[str] = set()
        self.end_devices: frozenset[str] = frozenset()
        self.returned: dict[str, float] = {}  # when a vantage point was last heard again after it was cut off
        self._news = 0
        #: The newest proof found so far, and whether there can be no newer one.
        self._proofs: dict[tuple[str, str | None], tuple[float | None, bool]] = {}
        self._proofs_of: tuple[float, int, frozenset[str]] | None = None
        self._by_target: dict[str, list[Series]] = {}
        self._hosts: dict[str, str | None] = {}
        self.feeders = _feeders(estate)
        self._fed: dict[str, tuple[str, ...]] = {}
        for id_, above in self.feeders.items():
            for one in above:
                self._fed[one] = (*self._fed.get(one, ()), id_)
        self._by_vantage: dict[str, list[Series]] = {}
        self._reach: dict[str, Reach] = {}  # of those that somebody asked about
        self._in_order: dict[str, tuple[int, list[Series]]] = {}  # by vantage point: of so many, in order
        self._end_device: dict[str, bool] = {}
        self._provers: dict[tuple[str, str | None], list[Series]] = {}  # by thing, and by thing and looker's area
        self._timed: dict[Series, tuple[tuple[str, float], ...]] = {}  # what is quick: metrics and limits
        self._depends: dict[tuple[str, str], tuple[str, ...]] = {}  # of those that somebody asked about
        self._agents_on = self._index_hosts()
        self._agents_behind = self._index_agents()
        self.fates = Fates(estate, graph, self._agents_on, self.seen_well)

    def admit(self, reading: Reading) -> bool:
        """Keep the reading if it is the newest of its series."""
        series = (reading.target, reading.check, reading.vantage)
        known = self.latest.get(series)
        if known is not None and known.started >= reading.started:
            return False
        self.latest[series] = reading
        self._news += 1
        if known is None:
            self._index(series)
        reach = self._reach.get(reading.vantage)
        if reach is not None:
            reach.note(series, reading)
        return True

    def spoke(self, agent: str, state: str, now: float) -> None:
        """The agent is up or has said goodbye."""
        self.presence[agent] = (state, now)
        self._news += 1

    def arrived(self, reading: Reading, now: float) -> None:
        """A live reading is here: at once, or as the first word after an interruption."""
        if now - reading.started - reading.took > _HELD_UP_S:
            self.returned[reading.vantage] = now

    def looked_afresh(self, series: Series) -> bool:
        """The newest look is not one of those that an interruption held up, or spoiled."""
        latest = self.latest.get(series)
        return latest is None or latest.started > self.returned.get(series[2], float("-inf"))

    def of_target(self, target: str) -> Iterator[Reading]:
        """The newest reading of each series of the target."""
        return (self.latest[series] for series in self._by_target.get(target, ()))

    def of_vantage(self, vantage: str) -> Iterator[Reading]:
        return (self.latest[series] for series in self._by_vantage.get(vantage, ()))

    def quick_since(self, since: float, now: float) -> frozenset[str]:
        """What has been seen to do its work since then, and clearly not slowly."""
        return frozenset(
            series[0]
            for series, limits in self._timed.items()
            if (reading := self.latest[series]).outcome is Outcome.OK
            and reading.started >= since
            and quick(reading, limits)
            and self.counts(reading, now)
        )

    def measured(self, target: str) -> bool:
        """The newest look of somebody says how quickly it does its work."""
        timed = (series for series in self._by_target.get(target, ()) if series in self._timed)
        return any(times(self.latest[series], self._timed[series]) for series in timed)

    def reach(self, vantage: str) -> Reach:
        """What this vantage point reaches."""
        known = self._reach.get(vantage)
        if known is None:
            known = self._reach[vantage] = Reach(self.host(vantage), self.latest)
            for reading in self.of_vantage(vantage):
                known.note((reading.target, reading.check, reading.vantage), reading)
        return known

    def spread(self, vantage: str, wanted: int) -> list[Reading]:
        """A few of what it looks at, from all over the estate, its own machine aside."""
        series = self._by_vantage.get(vantage, [])
        known = self._in_order.get(vantage)
        if known is None or known[0] != len(series):  # series are only ever added
            host = self.host(vantage)
            ranked = sorted((one for one in series if one[0] != host), key=lambda one: (one[0], one[1]))
            known = self._in_order[vantage] = (len(series), ranked)
        step = max(1, len(known[1]) // wanted)
        return [self.latest[one] for one in known[1][::step][:wanted]]

    def vantages(self) -> Iterator[str]:
        """Everyone who has looked at anything."""
        return iter(self._by_vantage)

    def host(self, vantage: str) -> str | None:
        """The target that a vantage point runs on."""
        try:
            return self._hosts[vantage]
        except KeyError:
            agent = self.estate.agents.get(vantage)
            host = agent.target if agent and agent.target and agent.target in self.graph else None
            return self._hosts.setdefault(vantage, host)

    def depends_on(self, target: str, looker: str) -> tuple[str, ...]:
        """What a look at this target by this looker goes through, nearest first, the target itself aside."""
        known = self._depends.get((target, looker))
        if known is None:
            host, graph = self.host(looker), self.graph
            way = dict.fromkeys(reversed(graph.requires(target) if target in graph else ()))
            if host is not None and host != target:
                way.update(dict.fromkeys(reversed(graph.requires(host))))
            known = tuple(id_ for id_ in way if id_ != target and id_ in self.estate.targets)
            self._depends[(target, looker)] = known
        return known

    def monitored(self, target: str) -> bool:
        """Somebody looks at it, or is meant to."""
        known = self.estate.targets.get(target)
        return bool(known and known.checks) or target in self._by_target

    def watched(self, target: str) -> bool:
        """It is looked at, or an agent runs on it."""
        return self.monitored(target) or target in self._agents_on

    def agents_on(self, target: str) -> tuple[Agent, ...]:
        """The agents that run on it."""
        return tuple(self._agents_on.get(target, ()))

    def in_use(self, target: str) -> bool:
        """Looked at, and not switched off as far as is known: an agent on it has not said goodbye."""
        agents = self.agents_on(target)
        heard = not agents or any(self.presence.get(agent.id, _NOBODY)[0] == "up" for agent in agents)
        return heard and self.watched(target)

    def fresh(self, reading: Reading, now: float) -> bool:
        return now - self.index.expected_by(reading) < self.index.stale_s(reading.target, reading.check)

    def counts(self, reading: Reading, now: float) -> bool:
        """Fresh, and not from a vantage point that is cut off or was shut down since."""
        if reading.vantage in self.blind or self.presence.get(reading.vantage, _NOBODY)[0] == "stopped":
            return False
        return self.fresh(reading, now)

    def ok_since(self, target: str, since: float, now: float) -> bool:
        """A vantage point that is not cut off has seen it working since then."""
        return any(
            reading.outcome is Outcome.OK and reading.started >= since and self.counts(reading, now)
            for reading in self.of_target(target)
        )

    def alive_since(self, target: str, since: float, now: float) -> bool:
        """It was seen working since then, or an agent on it has spoken."""
        return self.ok_since(target, since, now) or any(self.heard_since(a.id, since) for a in self.agents_on(target))

    def kind(self, id_: str) -> str:
        target = self.estate.targets.get(id_)
        return target.kind if target is not None else ""

    def looked_since(self, target: str, since: float) -> bool:
        """Somebody has looked at it since then, whatever came of it."""
        return any(reading.started >= since for reading in self.of_target(target))

    def passes(self, id_: str, since: float, now: float, *, area: str | None = None) -> bool:
        """Something that cannot work without it has worked since then (as seen from `area`, if given).

        For what only passes traffic on, any answer from behind it will do, be it a refusal.
        """
        stamp = (now, self._news, frozenset(self.blind))
        if self._proofs_of != stamp:
            self._proofs_of, self._proofs = stamp, {}
        newest, whole = self._proofs.get((id_, area), (None, False))
        if whole or (newest is not None and newest >= since):
            return newest is not None and newest >= since
        for at in self._proofs_at(id_, area, now):
            newest = at if newest is None else max(newest, at)
            if at >= since:
                self._proofs[(id_, area)] = (newest, False)
                return True
        self._proofs[(id_, area)] = (newest, True)
        return False

    def early_proof(self, id_: str, since: float, now: float) -> Series | None:
        """A look that speaks for it, so early that it may have died after; None if there is a later one, or none."""
        if self.passes(id_, since + LOOK_S, now):
            return None
        speaks = reached if self.passing_kind(id_) else _ok
        for series in self._provers.get((id_, None), ()):
            reading = self.latest[series]
            if reading.started >= since and speaks(reading) and self.counts(reading, now):
                return series
        return None

    def _proofs_at(self, id_: str, area: str | None, now: float) -> Iterator[float]:
        """When each of what cannot work without it was last seen working."""
        speaks = reached if self.passing_kind(id_) else _ok
        for series in self._provers.get((id_, area), ()):
            reading = self.latest[series]
            if speaks(reading) and self.counts(reading, now):
                yield reading.started
        for agent in self._agents_behind.get((id_, area), ()):
            state, at = self.presence.get(agent, _NOBODY)
            if state == "up":
                yield at - _IN_FLIGHT_S

    def passing_kind(self, id_: str) -> bool:
        """Whether it only passes traffic on."""
        target = self.estate.targets.get(id_)
        return target is not None and target.kind in PASSING_KINDS

    def end_device(self, id_: str) -> bool:
        """Something that one person at a time works with: a PC, a printer, a phone."""
        known = self._end_device.get(id_)
        if known is None:
            target = self.estate.targets.get(id_)
            known = target is not None and (
                target.kind in self.end_devices
                or any(role in self.end_devices for agent in self.agents_on(id_) for role in agent.roles)
            )
            self._end_device[id_] = known
        return known

    def heard_since(self, agent: str, since: float) -> bool:
        """The agent's own live word has arrived since then."""
        state, at = self.presence.get(agent, ("never", 0.0))
        return state == "up" and at - _IN_FLIGHT_S >= since

    def seen_well(self, id_: str, now: float) -> bool:
        """It works, as far as is known: the agent on it speaks, or where there is none somebody sees it ok."""
        agents = self.agents_on(id_)
        if agents:
            heard = (self.presence.get(agent.id, _NOBODY) for agent in agents)
            return any(state == "up" and now - at <= _SPEAKS_S for state, at in heard)
        return any(one.outcome is Outcome.OK and self.counts(one, now) for one in self.of_target(id_))

    def fed_by(self, feeder: str) -> tuple[str, ...]:
        """What a label says hangs on it."""
        return self._fed.get(feeder, ())

    def same_check_ok(self, reading_of: Series, since: float, now: float) -> list[Series]:
        """The same check of the same target, seen ok by other vantage points since then."""
        target, check, vantage = reading_of
        if self.seen_once(target):
            return []
        return [
            series
            for series in self._by_target.get(target, ())
            if series[2] != vantage
            and series[1] == check
            and self.latest[series].outcome is Outcome.OK
            and self.latest[series].started >= since
            and self.counts(self.latest[series], now)
        ]

    def seen_once(self, target: str) -> bool:
        """There is one series of it at most: nobody else looks."""
        return len(self._by_target.get(target, ())) < 2

    def lone(self, target: str) -> bool:
        """Nobody else looks at it, and nothing speaks for it but its own readings."""
        return self.seen_once(target) and target not in self._agents_on and not self.passing_kind(target)

    def lookers(self, target: str, check: str) -> list[str]:
        """Vantage points that have looked at this check."""
        return [series[2] for series in self._by_target.get(target, ()) if series[1] == check]

    def _index(self, series: Series) -> None:
        target, _, vantage = series
        self._by_target.setdefault(target, []).append(series)
        self._by_vantage.setdefault(vantage, []).append(series)
        area = self.estate.vantage_area(vantage)
        declared = self.index.check(target, series[1])
        shallow = declared is not None and declared.kind in SHALLOW
        limits = () if declared is None or shallow else limits_of(self.index.bound(target, series[1]))
        if limits:
            self._timed[series] = limits
        for id_ in self._proves(target, vantage, shallow=shallow):
            self._provers.setdefault((id_, None), []).append(series)
            if area is not None:
                self._provers.setdefault((id_, area), []).append(series)

    def _proves(self, target: str, vantage: str, *, shallow: bool) -> set[str]:
        """What must work for this vantage point to see this target ok, the target itself aside."""
        if target not in self.graph:
            return set()
        needed = self._to_answer(target) if shallow else set(self.graph.strict(target))
        host = self.host(vantage)
        if host is not None and host != target and target not in self.graph.requires(host):
            needed |= self._to_answer(host) | {host}
        return needed - {target}

    def _to_answer(self, target: str) -> set[str]:
        """What it cannot do without to be there at all: its ways and hosts, not what its work needs."""
        not_proven = self.not_proven_by(target)
        return {id_ for id_ in self.graph.strict(target) if self.kind(id_) not in not_proven}

    def not_proven_by(self, target: str) -> frozenset[str]:
        """Kinds of needs without which it answers: what only its work needs, and a controller if it is wired."""
        wired = any(self.kind(id_) == "switch" for id_ in need_ids(self.graph.needs(target)))
        return _BUT_ITS_WAY if wired or self.kind(target) in ACCESS_POINTS else FOR_WORK

    def _index_hosts(self) -> dict[str, list[Agent]]:
        found: dict[str, list[Agent]] = {}
        for agent in self.estate.agents.values():
            if agent.target is not None:
                found.setdefault(agent.target, []).append(agent)
        return found

    def _index_agents(self) -> dict[tuple[str, str | None], list[str]]:
        """Agents by what they need to be heard: their own way out and the server's; on its host, nothing."""
        found: dict[tuple[str, str | None], list[str]] = {}
        here = self.host(self.server)
        way_in = self._to_answer(here) | {here} if here is not None else set()
        for agent in self.estate.agents.values():
            host = self.host(agent.id)
            if host is None:
                continue
            needed = {host} if host == here else self._to_answer(host) | {host} | way_in
            area = self.estate.vantage_area(agent.id)
            for id_ in sorted(needed):
                found.setdefault((id_, None), []).append(agent.id)
                if area is not None:
                    found.setdefault((id_, area), []).append(agent.id)
        return found


def _feeders(estate: Estate) -> dict[str, tuple[str, ...]]:
    """Things that a target's labels name (a power feed, a host): not declared as needed, and yet what it hangs on."""
    found: dict[str, tuple[str, ...]] = {}
    for target in estate.targets.values():
        named = tuple(v for v in dict.fromkeys(target.labels.values()) if v in estate.targets and v != target.id)
        if named:
            found[target.id] = named
    return found
