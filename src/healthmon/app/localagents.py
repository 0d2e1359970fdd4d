"""The poller and the agents that run beside the server: started with it, and given other plans while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from healthmon.app.agent import AgentRuntime, Source
from healthmon.app.identities import enrolled
from healthmon.app.traps import sources_of
from healthmon.config import SiteConfig, plan_for, poller_plan
from healthmon.ingest.pipeline import POLLER
from healthmon.model.plan import Broker, Plan
from healthmon.model.ports import Clock
from healthmon.runtime.supervise import Unit, spawn

Planned = tuple[Plan, Sequence[Source]]
#: Hears of every runtime before it runs.
Made = Callable[[AgentRuntime], None]


class LocalAgent:
    """One agent on this machine. `change` swaps jobs in place; with other sources or another host it starts again."""

    def __init__(self, plan: Plan, sources: Sequence[Source], *, clock: Clock, made: Made | None = None) -> None:
        self._made = made
        self._plan = plan
        self._sources = sources
        self._clock = clock
        self._runtime: AgentRuntime | None = None
        self._again = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled; once more whenever `change` asks for it."""
        while True:
            self._again.clear()
            self._runtime = AgentRuntime(self._plan, clock=self._clock, sources=self._sources)
            if self._made is not None:
                self._made(self._runtime)
            try:
                async with asyncio.TaskGroup() as group:
                    work = spawn(group, f"{self._plan.agent} work", self._runtime.run())
                    await self._again.wait()
                    work.cancel()
            finally:
                self._runtime = None

    def change(self, plan: Plan, sources: Sequence[Source], *, afresh: bool) -> None:
        """Another plan. `afresh`: what it listens to has changed, so it starts again (its spool stays)."""
        before, self._plan, self._sources = self._plan, plan, sources
        if afresh or (before.target, before.spool_max_bytes) != (plan.target, plan.spool_max_bytes):
            self._again.set()
        elif self._runtime is not None and before != plan:
            self._runtime.adopt(plan)


class LocalAgents:
    """Everything that looks from this machine. `names`: agents by id, POLLER among them for the poller."""

    def __init__(
        self, site: SiteConfig, names: Sequence[str], *, broker: Broker, clock: Clock, made: Made | None = None
    ) -> None:
        self._site = site
        self._broker = broker
        self._clock = clock
        self._agents = {name: LocalAgent(*self._planned(site, name), clock=clock, made=made) for name in names}

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run each under supervision of its own."""
        for name, agent in self._agents.items():
            spawn(group, name, Unit(name, agent.run, clock=self._clock).supervise())

    async def run(self, name: str) -> None:
        """Run one without supervision: what ends it is told to whoever started it."""
        await self._agents[name].run()

    def plans(self, site: SiteConfig) -> Callable[[], None]:
        """Work out the plans under another configuration; call the answer to put them in force. Raises NotFound."""
        planned = {name: self._planned(site, name) for name in self._agents}
        afresh = _listens(site) != _listens(self._site)

        def take() -> None:
            self._site = site
            for name, (plan, sources) in planned.items():
                self._agents[name].change(plan, sources, afresh=afresh and name == POLLER)

        return take

    def _planned(self, site: SiteConfig, name: str) -> Planned:
        broker = enrolled(site, self._broker, name)
        if name == POLLER:
            return poller_plan(site, broker=broker), sources_of(site)
        plan = plan_for(site, name, broker=broker)
        spool, stop = str(site.data_dir / plan.spool_path), str(site.data_dir / "stop-probing")
        return replace(plan, spool_path=spool, stop_file=stop), ()


def _listens(site: SiteConfig) -> object:
    """What the trap receiver is made of."""
    if site.traps is None:
        return None
    return site.traps, site.estate.targets
