"""The rotas with what people changed in them: who is meant by a word of a policy at a moment. Pure but for `overrides`.

Words: `team` (whoever is on call for the incident's team), `next` (the next person of that rota), `duty-manager`,
`rota:ID`, `next:ID`, `user:ID`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from healthmon.alerting.oncall import rota as turns
from healthmon.model.errors import Conflict, NotFound
from healthmon.model.oncall import OncallPlan, OncallUser, Override, Rota, Shift, Standby

TEAM, NEXT, DUTY_MANAGER = "team", "next", "duty-manager"
WORDS = (TEAM, NEXT, DUTY_MANAGER, "rota:ID", "next:ID", "user:ID")
#: Overrides that ended longer ago than this are not looked at any more (Unix s).
KEPT_S = 40 * 86_400.0


@dataclass(slots=True)
class Roster:
    """`overrides` in the order in which they were made. wall: what the machine's clock says at a time of the server."""

    plan: OncallPlan = field(default_factory=OncallPlan)
    overrides: list[Override] = field(default_factory=list)
    wall: Callable[[float], float] = lambda at: at

    def meant(self, word: str, team: str | None, at: float) -> OncallUser | None:
        """The person at a time of the server, or None where there is nobody (a gap, a team without a rota)."""
        kind, _, name = word.partition(":")
        if word == DUTY_MANAGER:
            return self.meant(self.plan.duty_manager, team, at) if self.plan.duty_manager else None
        if kind == "user":
            return self.plan.users.get(name)
        if kind == TEAM and name:
            kind, team, name = TEAM, name, ""
        if not name and kind in (TEAM, NEXT):
            name = self.rota_of_team(team) or ""
            if not name and self.plan.default and kind == TEAM:
                return self.meant(self.plan.default, team, at)
            name = name or (self.plan.default or "").removeprefix("rota:")
        rota = self.plan.rotas.get(name)
        if rota is None:
            return None
        when = self.wall(at)
        user = self._next(rota, when) if kind == NEXT else self.now(rota.id, when).user
        return self.plan.users.get(user or "")

    def standby(self, rota: str, at: float) -> Standby:
        """Everything about one rota at a moment. Raises NotFound."""
        shift, users = self.shift(rota, at), self.plan.users
        following = self.now(rota, shift.end)
        teams = tuple(sorted(team for team, own in self.plan.team_rotas.items() if own == rota))
        backup = users.get(self._next(self.rota(rota), at) or "")
        return Standby(self.rota(rota), shift, users.get(shift.user or ""), following, backup, teams)

    def word_of(self, said: str, teams: Iterable[str], at: float) -> str:
        """The word for whom somebody passes an incident to: a team, a person, a rota, `duty-manager` or `next`.

        Raises Conflict where that means nobody now.
        """
        name, user = said.strip(), self.named(said)
        choices = {f"user:{user.id}": bool(user)} if user else {}
        choices |= {f"team:{name}": name in teams, f"rota:{name}": name in self.plan.rotas}
        words = [word for word, there in choices.items() if there]
        words += [name] if name in (DUTY_MANAGER, NEXT) or name.partition(":")[0] in ("team", "rota", "user") else []
        for word in words:
            if self.meant(word, None, at) is not None:
                return word
        known = ", ".join([*sorted(self.plan.users), *sorted(teams), DUTY_MANAGER])
        raise Conflict(f"nobody answers for {name[:80]!r} now (allowed: {known})")

    def rota_of_team(self, team: str | None) -> str | None:
        """The rota that answers for a team."""
        return self.plan.team_rotas.get(team or "")

    def now(self, rota: str, at: float) -> Shift:
        """Who answers for the rota. Raises NotFound."""
        return turns.on_call(self.rota(rota), at, self.overrides)

    def shift(self, rota: str, at: float) -> Shift:
        """The whole shift of whoever answers now. Raises NotFound."""
        return turns.shift_at(self.rota(rota), at, self.overrides)

    def shifts(self, rota: str, start: float, end: float) -> list[Shift]:
        """Every shift and gap of a stretch of time. Raises NotFound."""
        return turns.shifts(self.rota(rota), start, end, self.overrides)

    def rota(self, rota: str) -> Rota:
        """Raises NotFound."""
        found = self.plan.rotas.get(rota)
        if found is None:
            raise NotFound(f"no rota {rota[:80]!r}")
        return found

    def user(self, user: str) -> OncallUser:
        """By id, or by name or e-mail address whatever the case. Raises NotFound."""
        found = self.plan.users.get(user) or self.named(user)
        if found is None:
            raise NotFound(f"no on-call user {user[:80]!r}")
        return found

    def named(self, name: str) -> OncallUser | None:
        """The person of this id, name or e-mail address."""
        said = name.strip().casefold()
        for user in self.plan.users.values():
            if said and said in (user.id, user.name.casefold(), (user.email or "").casefold()):
                return user
        return None

    def behind(self, channel: str, to: str) -> OncallUser | None:
        """Whose address this is on a channel."""
        return next((user for user in self.plan.users.values() if (channel, to) in user.readers), None)

    def override(self, wanted: Override, now: float) -> Override:
        """Check one and keep it; its id follows from what it says. Raises NotFound, Conflict."""
        self.rota(wanted.rota)
        user = self.user(wanted.user)
        if wanted.end <= wanted.start:
            raise Conflict("an override must end after it starts")
        if wanted.end <= now:
            raise Conflict("that time is over")
        made = replace(wanted, user=user.id)
        made = replace(made, id=made.id or _id_of(made))
        if any(one.id == made.id and not one.ended for one in self.overrides):
            raise Conflict(f"{made.id} is there already")
        self.overrides.append(made)
        return made

    def swap(self, first: Override, second: Override, now: float) -> tuple[Override, Override]:
        """Two people take over each other's shifts. Each must have one there. Raises NotFound, Conflict."""
        halves = (replace(first, user=self.user(first.user).id), replace(second, user=self.user(second.user).id))
        if halves[0].user == halves[1].user:
            raise Conflict("a swap needs two people")
        for half in halves:
            mine = {shift.user for shift in self.shifts(half.rota, half.start, half.end)}
            if half.user not in mine:
                raise Conflict(f"{half.user} is not on call for {half.rota} then")
        pair = _id_of(halves[0], halves[1])
        one = replace(halves[0], user=halves[1].user, replaces=halves[0].user, pair=pair, id=f"{pair}-a")
        other = replace(halves[1], user=halves[0].user, replaces=halves[1].user, pair=pair, id=f"{pair}-b")
        made = self.override(one, now)
        try:
            return made, self.override(other, now)
        except Conflict:
            self.overrides.remove(made)
            raise

    def end(self, override: str) -> tuple[Override, ...]:
        """Take one back, and with it the other half of a swap. Raises NotFound."""
        found = next((one for one in self.overrides if one.id == override and not one.ended), None)
        if found is None:
            raise NotFound(f"no override {override[:80]!r}")
        pair = [one for one in self.overrides if one is found or (found.pair and one.pair == found.pair)]
        self.overrides = [replace(one, ended=True) if one in pair else one for one in self.overrides]
        return tuple(replace(one, ended=True) for one in pair)

    def restore(self, events: Iterable[Override], now: float) -> None:
        """Take up what was kept, oldest first; a later word about the same override replaces the earlier one."""
        known: dict[str, Override] = {}
        for one in events:
            known[one.id] = one
        self.overrides = [one for one in known.values() if one.end > now - KEPT_S and not one.ended]

    def _next(self, rota: Rota, at: float) -> str | None:
        return turns.next_in_turn(rota, at, self.overrides)


def _id_of(*overrides: Override) -> str:
    said = "|".join(f"{o.rota}|{o.user}|{o.start:.0f}|{o.end:.0f}|{o.replaces}" for o in overrides)
    return "ov-" + hashlib.sha256(said.encode()).hexdigest()[:10]
