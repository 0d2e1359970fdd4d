"""What the engine is told once, and what one step of it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from healthmon.alerting.oncall.roster import Roster
from healthmon.alerting.oncall.waking import DEFAULT_WAKING, Waking
from healthmon.model.incident import Ask, Incident, Notice
from healthmon.model.journal import Changes
from healthmon.model.mute import MuteSettings


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """settle_s: how long a fired alert waits for news of what it depends on; late_after_s: readings older than this
    on arrival only mend history, unless they are the newest and the next look is not due yet; server: the vantage
    point that runs beside the engine; mode: shadow or live, overridden by rule, then area, then site."""

    settle_s: float = 4.0
    mode: str = "shadow"
    site_modes: Mapping[str, str] = field(default_factory=dict)
    area_modes: Mapping[str, str] = field(default_factory=dict)
    rule_modes: Mapping[str, str] = field(default_factory=dict)
    text: Mapping[str, str] = field(default_factory=dict)
    auto_resolve_s: float = 1_800.0
    ask_budget_per_s: float = 200.0
    late_after_s: float = 60.0
    server: str = "poller"
    waking: Waking = DEFAULT_WAKING
    mutes: MuteSettings = field(default_factory=MuteSettings)
    phrase: Callable[[Notice, Incident], Notice] | None = None  # a notice in the language of its channel
    roster: Roster | None = None  # who is on call; people change it while the engine runs

    def pages_somebody(self) -> bool:
        """Whether anything at all is live."""
        modes = (*self.site_modes.values(), *self.area_modes.values(), *self.rule_modes.values())
        return "live" in (self.mode, *modes)


@dataclass(frozen=True, slots=True)
class EngineStep:
    """What one tick changed, whom to tell, and what to look at again.

    `moved`: a view taken now may differ from the last one even if nothing is to be written (readings went stale).
    """

    changes: Changes
    notices: tuple[Notice, ...] = ()
    asks: tuple[Ask, ...] = ()
    moved: bool = False
