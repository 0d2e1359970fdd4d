"""A storm drawn from a seed: a service goes down and up while faults are done to healthmon; told as if nothing was."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from daemons.chaos import ChaosRig
from daemons.healthmon import api
from daemons.killing import soon

#: On top of an outage: the agent's and the server's back-off, the restart of the broker, a starved machine.
RECONNECT_S = 20.0

Strike = Callable[[], None]


@dataclass
class Told:
    """What one cycle sounded like (repeats aside), and how long after the fault the first page was there."""

    pages: list[tuple[str, int, str]]  # why, severity, subject
    first_s: float


@dataclass
class Storm:
    """One site's. `calm`: undisturbed cycles of it; `stormy`: the others, each with how long it was struck at first."""

    site: ChaosRig
    chance: random.Random
    calm: list[Told] = field(default_factory=list)
    stormy: list[tuple[Told, float]] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)

    def settle_in(self) -> None:
        """Two undisturbed cycles: the first, and one after it, whose incident comes back."""
        soon(lambda: api(self.site.base, "targets/flaky")["outcome"] == "ok", "the first reading", 60.0)
        self.calm = [self._cycle(_nothing, pause=False) for _ in range(2)]

    def cycle(self) -> None:
        """A fault of the hospital with three of ours: as it is noticed, while it lasts, as it goes."""
        struck: list[float] = []

        def strike() -> None:
            began = time.monotonic()
            self.strike(self.chance.choice(self.site.menu()))
            struck.append(time.monotonic() - began)

        told = self._cycle(strike, pause=True)
        self.stormy.append((told, struck[0]))
        usual = self.calm[-1]
        assert told.pages == usual.pages, f"undisturbed it says {usual.pages}, here {told.pages}"
        late_s = told.first_s - struck[0] - max(one.first_s for one in self.calm)
        assert late_s <= RECONNECT_S, f"{self.drawn[-3]}: page after {told.first_s:.1f} s, struck for {struck[0]:.1f} s"

    def strike(self, fault: Callable[[random.Random], None]) -> None:
        """One fault, until it is over."""
        self.drawn.append(fault.__name__)
        self.site.faults[fault.__name__] += 1
        fault(self.chance)

    def figures(self) -> str:
        """How much later than undisturbed the first page of a cycle was, beyond what was done to us."""
        usual = median(one.first_s for one in self.calm)
        late = sorted(max(0.0, told.first_s - struck - usual) for told, struck in self.stormy) or [0.0]
        return (
            f"page after {usual:.1f} s undisturbed; in the storm later than that and the fault by {median(late):.1f} s "
            f"(median), {late[-1]:.1f} s (most) of {len(late)}"
        )

    def _cycle(self, strike: Strike, *, pause: bool) -> Told:
        site, chance = self.site, self.chance
        opened, recovered, before = site.told("opened"), site.told("mitigated"), len(site.pager.posted)
        site.flaky.greets = False
        failed_at = time.monotonic()
        _rest(chance, 0.3, 1.5, pause)
        strike()
        soon(lambda: site.told("opened") == opened + 1, "a page", 60.0)
        site.settles("open", timeout_s=60.0)
        strike()
        _rest(chance, 0.5, 2.0, pause)
        assert site.told("mitigated") == recovered, "an all-clear while it is still down"
        site.settles("open", timeout_s=60.0)
        site.flaky.greets = True
        _rest(chance, 0.1, 1.0, pause)
        strike()
        site.settles("mitigated", timeout_s=60.0)
        soon(lambda: site.told("mitigated") > recovered, "an all-clear", 60.0)
        assert (site.told("opened"), site.told("mitigated")) == (opened + 1, recovered + 1)
        posted = list(site.pager.posted)[before:]
        first_at = next(one.at for one in posted if one.json["why"] == "opened")
        return Told(sorted(_said(one.json for one in posted)), first_at - failed_at)


def _said(pages: Iterable[dict[str, Any]]) -> list[tuple[str, int, str]]:
    return [(page["why"], page["severity"], page["subject"]) for page in pages if not page["repeat"]]


def _nothing() -> None:
    """What is done to an undisturbed site."""


def _rest(chance: random.Random, least_s: float, most_s: float, wanted: bool) -> None:
    if wanted:
        time.sleep(chance.uniform(least_s, most_s))
