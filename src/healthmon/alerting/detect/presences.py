"""Which ward PCs should be on, and why the silent ones are silent: hours learned from the past, evidence of now."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from healthmon.alerting.detect.cells import CellKey
from healthmon.alerting.detect.plugs import SLOWER, Plug, Plugs
from healthmon.alerting.detect.presencebook import Book, Past, Watch
from healthmon.alerting.detect.recall import Recall
from healthmon.impact.presence import (
    GRACE_S,
    Absence,
    Judged,
    Return,
    Signs,
    Week,
    hours_text,
    judge,
    settle,
    share_of,
    usually_on,
)
from healthmon.model.sample import Outcome, Reading
from healthmon.model.topology import Acuity, Agent, Estate
from healthmon.model.view import LastAbsence, Presence

#: Roles of machines that people switch off when they go home.
SWITCHED_OFF = ("ward-workstation",)
#: Roles of machines that must never be off: what a ward falls back on.
NEVER_OFF = ("downtime-pc",)
AGENT_CHECK = "agent"
#: A silent PC is thought about anew so often: its hours begin, its area comes to work.
AGAIN_S = GRACE_S
#: Heard within: it is on. Machines that fell silent within so long of each other did so together.
_HEARD_S, _TOGETHER_S = 60.0, 120.0
#: The port is waited for so long, counted from the last word; a look of so much before it still counts for the switch.
PORT_WAIT_S = 150.0
_BEFORE_S = 5.0


class Presences:
    """One book for each PC that people switch off. `seen`: the newest readings of a target."""

    def __init__(
        self,
        estate: Estate,
        recall: Recall,
        staffed: Callable[[str, float], bool],
        heard: Mapping[str, tuple[str, float]],
    ) -> None:
        self._estate, self._recall, self._staffed, self._heard = estate, recall, staffed, heard
        self._shown: dict[str, tuple[int, int, str, Presence]] = {}
        self._plugs = Plugs(estate, lambda target: self.seen(target))
        self.seen: Callable[[str], Iterable[Reading]] = lambda _target: ()
        self._home = {agent.id: agent for agent in estate.agents.values() if _switched_off(agent)}
        self._site_of = {agent.id: self._site(agent) for agent in self._home.values()}
        self._books: dict[str, Book] = {}
        self._watches: dict[str, Watch] = {}
        self._peers = _by(self._home.values(), self._place)
        self._of_area = _by(self._home.values(), self._area)
        self._sites = sorted({site for site in self._site_of.values() if site})
        self._quarters: dict[str, float] = {}
        self._crews: dict[str, tuple[float, int, int]] = {}  # area: (at, PCs that are on, PCs that should be)

    def plug_in(self, learned: Mapping[str, Plug]) -> None:
        """Ports that links tell of, by target."""
        if self._plugs.take(learned):
            self._shown.clear()
            self._peers = _by(self._home.values(), self._place)

    def knows(self, agent: str) -> bool:
        """Whether it is a machine that people switch off."""
        return agent in self._home

    def pass_time(self, now: float) -> None:
        """The engine watches: this hour counts."""
        for site in self._sites:
            if self._quarters.get(site) != now // AGAIN_S:
                self._quarters[site] = now // AGAIN_S
                watch = self._watch(site)
                if watch.week.mark(self._hour(site, now)):
                    watch.at = now
                    watch.dirty |= 1
                    self._recall.touch(watch)

    def spoke(self, agent: str, state: str, now: float) -> None:
        """The agent has said something: it is on in this hour, and an absence is over."""
        one = self._home.get(agent)
        book = self._book(agent) if one is not None and state == "up" else None
        if one is None or book is None:
            return
        site = self._site_of[agent]
        hour = self._recall.site_hours(site, now)
        if book.seen(hour, now):
            self._note_speed(one, book)
            if book.story.day != hour // 24:
                watch = self._watch(site).week
                _level(book.week, watch)
                book.told(day=hour // 24, usual_hours=hours_text(book.week, watch))
            self._recall.touch(book)
        story = book.story
        if story.since:
            ended = Past(story.since, now, story.absence or Absence.UNKNOWN)
            book.told(since=0.0, absence=None, cause="", told=False, because=(), past=ended)
            self._recall.touch(book)

    def said(self, reading: Reading) -> None:
        """What a machine says of itself: the first word after an absence tells what that was."""
        if reading.check != AGENT_CHECK or reading.vantage not in self._home:
            return
        book = self._book(reading.vantage)
        own = (sample for sample in reading.samples if sample.family == AGENT_CHECK)
        values = {sample.field: number for sample in own if (number := sample.number) is not None}
        if book is None:
            return
        asleep, before = values.get("asleep_seconds_total"), book.story.asleep_total_s
        past = book.story.past
        if past is not None and past.turned_out is None and reading.started >= past.start:
            grown = max(0.0, asleep - before) if asleep is not None and before >= 0 else None
            clean = values.get("last_stop_clean")
            said = Return(
                gap_s=reading.started - past.start,
                up_s=values.get("host_uptime_seconds"),
                running_s=values.get("running_seconds"),
                asleep_s=grown,
                clean=None if clean is None else clean > 0.5,
            )
            self._settle(reading.vantage, book, past, settle(past.judged, said))
        if asleep is not None and abs(asleep - before) >= 1.0:
            book.told(asleep_total_s=asleep)
            self._recall.touch(book)

    def late(self, reading: Reading) -> None:
        """A reading of the time of an absence: the machine ran, it was only cut off."""
        book = self._book(reading.vantage) if reading.vantage in self._home else None
        past = book.story.past if book is not None else None
        if book is None or past is None or not past.start + _HEARD_S < reading.started < past.end - _HEARD_S:
            return
        if past.turned_out in (Absence.ASLEEP, Absence.UNKNOWN, None):
            self._settle(reading.vantage, book, past, settle(past.judged, Return(past.end - past.start, ran=True)))

    def judge(self, agent: Agent, now: float) -> Judged:
        """Why this silent machine is silent; kept as its story. `now` is engine time."""
        book, judged = self._book(agent.id), self.why(agent, now)
        if book is not None:
            _, at = self._heard.get(agent.id, ("never", now))
            new = {"since": at, "absence": judged.absence, "cause": judged.cause, "told": judged.tells,
                   "because": judged.because}  # fmt: skip
            if any(getattr(book.story, name) != value for name, value in new.items()):
                book.told(**new)
                self._recall.touch(book)
        return judged

    def why(self, agent: Agent, now: float) -> Judged:
        """The same, and nothing is kept."""
        return judge(self._signs(agent, self._book(agent.id), now))

    def tells(self, agent: Agent, now: float) -> bool:
        """Whether `why` would tell of it, for less: most are off at an hour when they may be, or said goodbye."""
        area = self._estate.areas.get(self._area(agent))
        if area is not None and not self._staffed(area.id, now):
            return False
        usual = self._usual(agent, now)
        clean = self._heard.get(agent.id, ("never", now))[0] == "stopped"
        critical = area is not None and area.acuity is Acuity.CRITICAL
        if usual is False or (clean and not (critical and usual)):
            return False
        return self.why(agent, now).tells

    @staticmethod
    def again_at(agent: str, now: float) -> float:
        """When a silent machine is thought about anew: not all in one step, and a restart moves none."""
        offset = zlib.crc32(agent.encode()) % AGAIN_S
        return ((now - offset) // AGAIN_S + 1) * AGAIN_S + offset

    def cause(self, agent: str) -> str:
        """By which word its present silence stands in the ledger already; "" if by none."""
        book = self._book(agent) if agent in self._home else None
        return book.story.cause if book is not None and book.story.since else ""

    def waits_for_port(self, agent: Agent, now: float) -> float | None:
        """Until when a look at its port is worth waiting for; None: there is none to come."""
        plug, at = self._plugs.of(agent), self._heard.get(agent.id, ("never", now))[1]
        if plug is None or not plug.port or self._plugs.state(plug, at) is not None:
            return None
        looked = self._plugs.looks(plug)
        until = at + PORT_WAIT_S
        return until if looked and now < until else None

    def statuses(self) -> dict[str, Presence]:
        """Every such machine, for people: by the id of its target."""
        return {agent.target: self._status(agent, book) for agent in self._home.values()
                if agent.target is not None and (book := self._book(agent.id)) is not None}  # fmt: skip

    def _status(self, agent: Agent, book: Book) -> Presence:
        """Made anew only when something has changed."""
        hour, word = self._watch(self._site(agent)).week.hour, self._word(agent)
        known = self._shown.get(agent.id)
        if known is None or known[:3] != (hour, book.revision, word):
            known = self._shown[agent.id] = (hour, book.revision, word, self._shown_as(agent, book, word))
        return known[3]

    def _shown_as(self, agent: Agent, book: Book, word: str) -> Presence:
        story, plug = book.story, self._plugs.of(agent)
        share = self._share(agent, book)
        return Presence(
            agent=agent.id,
            state=story.absence.value if story.since and story.absence else word,
            since=story.since or None,
            told=story.told,
            because=story.because,
            usual_hours=story.usual_hours,
            learning=share is None,
            usual_now=share[0] if share else None,
            periods=share[1] if share else 0,
            port=f"{plug.switch} {plug.port}".strip() if plug else "",
            port_by=plug.by if plug else "",
            last=_last(story.past) if story.past else None,
        )

    def _share(self, agent: Agent, book: Book) -> tuple[float, int] | None:
        watch = self._watch(self._site(agent)).week
        if book.week.began < 0 or watch.began < 0:
            return None
        _level(book.week, watch)
        return share_of(book.week, watch, watch.hour)

    def _word(self, agent: Agent) -> str:
        state, _ = self._heard.get(agent.id, ("never", 0.0))
        return {"up": "on", "stopped": Absence.OFF.value}.get(state, "never")

    def _signs(self, agent: Agent, book: Book | None, now: float) -> Signs:
        state, at = self._heard.get(agent.id, ("never", now))
        target = self._estate.targets.get(agent.target or "")
        area = self._estate.areas.get(target.area) if target and target.area else None
        plug = self._plugs.of(agent)
        lost, were_on = self._company(agent, at, now)
        usual = self._usual(agent, now)
        turned_out = book.story.turned_out if book is not None else {}
        signs = Signs(
            clean=state == "stopped",
            staffed=area is None or self._staffed(area.id, now),
            usual=usual,
            left_usual=self._usual(agent, at) if state != "never" else None,
            critical=area is not None and area.acuity is Acuity.CRITICAL,
            port=self._plugs.link(plug, book.story.speed if book is not None else 0.0, at)
            if plug and plug.port
            else None,
            port_name=plug.port if plug else "",
            switch=plug.switch if plug else "",
            switch_ok=self._answers(plug.switch, at - _BEFORE_S) if plug else None,
            ping=self._answers(target.id, at, but=agent.id) if target else None,
            lost=lost,
            were_on=were_on,
            slept=turned_out.get(Absence.ASLEEP, 0),
            absences=sum(n for word, n in turned_out.items() if word != Absence.OFF),
            silent_s=now - at if state != "never" else 0.0,
        )
        asks_for_crew = signs.expected and area is not None and (signs.clean or signs.left_usual is False)
        if not asks_for_crew or area is None:
            return signs
        on, should = self._crew(area.id, now)
        return replace(signs, on_now=on, should_be_on=should)

    def _company(self, agent: Agent, at: float, now: float) -> tuple[int, int]:
        """(peers that fell silent with it without a goodbye, all that were on with it, itself too)."""
        lost = on = 0
        for peer in self._peers.get(self._place(agent), ()):
            state, when = self._heard.get(peer, ("never", 0.0))
            if peer == agent.id or state != "up":
                continue
            if now - when <= _HEARD_S:
                on += 1
            elif abs(when - at) <= _TOGETHER_S:
                lost += 1
        return lost, lost + on + 1

    def _crew(self, area: str, now: float) -> tuple[int, int]:
        """(PCs of the area that are on, PCs that should be)."""
        known = self._crews.get(area)
        if known is None or known[0] != now:
            on = should = 0
            for id_ in self._of_area.get(area, ()):
                state, at = self._heard.get(id_, ("never", 0.0))
                should += self._usual(self._home[id_], now) is not False
                on += state == "up" and now - at <= _HEARD_S
            known = self._crews[area] = (now, on, should)
        return known[1], known[2]

    def _usual(self, agent: Agent, at: float) -> bool | None:
        """Whether it is on at the hour of this time as a rule. The past is judged by what is known today."""
        book = self._book(agent.id)
        site = self._site(agent)
        watch = self._watch(site)
        if book is None or book.week.began < 0 or watch.week.began < 0:
            return None
        hour = self._hour(site, at)
        watch.week.roll(max(hour, watch.week.hour))
        _level(book.week, watch.week)
        now_hour = watch.week.hour
        if hour == now_hour and book.usual_at[0] == hour:
            return book.usual_at[1]
        usual = usually_on(book.week, watch.week, hour)
        if hour == now_hour:
            book.usual_at = (hour, usual)
        return usual

    def _note_speed(self, agent: Agent, book: Book) -> None:
        """How fast its link is while it is on."""
        plug = self._plugs.of(agent)
        looks = self._plugs.looks(plug) if plug and plug.port else []
        speed = max(looks)[2] if looks and max(looks)[1] else 0.0
        if speed > book.story.speed or (speed and speed < SLOWER * book.story.speed):
            book.told(speed=speed)

    def _answers(self, target: str, since: float, *, but: str = "") -> bool | None:
        """Whether somebody else has seen it answer since then; None: nobody has looked."""
        looks = [
            r for r in self.seen(target) if r.vantage != but and r.started > since and r.outcome is not Outcome.UNKNOWN
        ]
        return any(look.outcome is Outcome.OK for look in looks) if looks else None

    def _settle(self, agent: str, book: Book, past: Past, turned_out: Absence) -> None:
        counts = dict(book.story.turned_out)
        if past.turned_out is not None:
            counts[past.turned_out] = counts.get(past.turned_out, 0) - 1
        counts[turned_out] = counts.get(turned_out, 0) + 1
        book.told(past=replace(past, turned_out=turned_out), turned_out={k: n for k, n in counts.items() if n > 0})
        self._recall.touch(book)

    def _book(self, agent: str) -> Book | None:
        known = self._books.get(agent)
        if known is None:
            cell = self._recall.cell(_book_key(agent))
            if not isinstance(cell, Book):
                return None
            known = self._books[agent] = cell
        return known

    def _watch(self, site: str) -> Watch:
        known = self._watches.get(site)
        if known is None:
            cell = self._recall.cell(_watch_key(site))
            if not isinstance(cell, Watch):
                return Watch()
            known = self._watches[site] = cell
        return known

    def _hour(self, site: str, at: float) -> int:
        return self._recall.site_hours(site, at)

    def _site(self, agent: Agent) -> str:
        target = self._estate.targets.get(agent.target or "")
        return target.site if target is not None else ""

    def _area(self, agent: Agent) -> str:
        target = self._estate.targets.get(agent.target or "")
        return (target.area if target else None) or ""

    def _place(self, agent: Agent) -> str:
        """With whom it shares a way: those on its switch, else those of its area."""
        plug = self._plugs.of(agent)
        return f"switch {plug.switch}" if plug is not None else f"area {self._area(agent)}"


def _level(one: Week, other: Week) -> None:
    """Both at the same hour."""
    hour = max(one.hour, other.hour)
    for week in (one, other):
        if week.began >= 0:
            week.roll(hour)


def _last(past: Past) -> LastAbsence:
    return LastAbsence(past.start, past.end, past.judged.value, past.turned_out.value if past.turned_out else None)


def _switched_off(agent: Agent) -> bool:
    return any(role in SWITCHED_OFF for role in agent.roles) and not any(role in NEVER_OFF for role in agent.roles)


def _by(agents: Iterable[Agent], key: Callable[[Agent], str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for agent in agents:
        found[key(agent)] = (*found.get(key(agent), ()), agent.id)
    return found


def _book_key(agent: str) -> CellKey:
    return ("p", "hours", agent, "", "", ())


def _watch_key(site: str) -> CellKey:
    return ("p", "watch", site, "", "", ())


__all__ = ["AGAIN_S", "NEVER_OFF", "SWITCHED_OFF", "Plug", "Presences"]
