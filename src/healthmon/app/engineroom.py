"""The engine with what it took since the last commit, so that a crash costs at most the batch that caused it.

After a crash the engine is built again from the journal and given the same batches again. A batch that was in
flight at two crashes is set aside: its points are in the store, only the engine never hears of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from healthmon.alerting.detect.told import Findings
from healthmon.alerting.engine import Engine
from healthmon.alerting.incidents.reports import Placed
from healthmon.model.errors import HealthmonError
from healthmon.model.incident import Ask, Command, Incident, Notice
from healthmon.model.journal import Changes, Epoch, Restored
from healthmon.model.mute import MuteCommand, Standing
from healthmon.model.report import Filed, Ticket
from healthmon.model.sample import Reading

log = logging.getLogger(__name__)

#: A batch that was being worked on at so many crashes is not given to the engine again.
CRASHES_MOST = 2

Key = tuple[str, str, int]
Answer = TypeVar("Answer")


@dataclass(slots=True)
class Intake:
    """One thing the engine was told: a batch (with its key and epoch), or that an agent said goodbye."""

    agent: str
    state: str
    at: float
    key: Key | None = None
    epoch: Epoch | None = None
    readings: tuple[Reading, ...] = ()
    live: bool = True
    crashes: int = 0
    found: Findings | None = None  # what a worker has judged of it
    mark: Epoch | None = None  # how far the workers' line was read with it


@dataclass(frozen=True, slots=True)
class Decided:
    """A step that is decided and not yet on disk. `keys`: batches that are safe once `changes` are."""

    changes: Changes
    notices: tuple[Notice, ...]
    asks: tuple[Ask, ...]
    keys: tuple[Key, ...]
    moved: bool  # the picture has changed, even when there is nothing to write


class EngineRoom:
    """`build` makes an engine from what `restore` read; `set_aside` hears of every batch that is given up."""

    def __init__(
        self,
        build: Callable[[Restored], Engine],
        restored: Restored,
        *,
        restore: Callable[[], Restored],
        set_aside: Callable[[Intake], None],
    ) -> None:
        self.engine = build(restored)
        self._build = build
        self._restore = restore
        self._set_aside = set_aside
        self._taken: list[Intake] = []
        self._given_up: list[Intake] = []
        self._decided: Decided | None = None
        self._broken = False

    def take(self, intake: Intake) -> None:
        """Tell the engine; what it does with it shows at the next step."""
        self._taken.append(intake)
        if self._broken:
            return  # told when the engine has been built again
        try:
            self._feed(intake)
        except Exception:  # boundary: one batch; the engine is built again before the next step
            log.exception("engine crashed on a batch", extra={"agent": intake.agent})
            self._crashed([intake])

    def decide(self, now: float) -> Decided:
        """The step that still waits for the disk, else the next one. Whatever the engine raises passes up."""
        if self._decided is None:
            if self._broken:
                self._mend()
            try:
                step = self.engine.tick(now)
            except Exception:  # boundary: engine; counted and started again by its unit
                self._crashed(self._taken)
                raise
            taken, self._taken = [*self._given_up, *self._taken], []
            self._given_up = []
            epochs = {(e.agent, e.epoch): e for intake in taken for e in (intake.epoch, intake.mark) if e}
            changes = replace(step.changes, epochs=tuple(epochs.values()))
            keys = tuple(intake.key for intake in taken if intake.key)
            moved = step.moved or not changes.empty()
            self._decided = Decided(changes, step.notices, step.asks, keys, moved)
        return self._decided

    @property
    def waiting(self) -> int:
        """What was taken since the last step."""
        return len(self._taken)

    def committed(self) -> None:
        """What `decide` gave is on disk."""
        self._decided = None

    def adopt(self, engine: Engine, targets: Container[str]) -> None:
        """Go on with an engine that was made of everything committed; it is told what came since.

        `targets`: what is there now; readings of anything else stay behind.
        """
        self.engine, self._broken = engine, False
        for intake in self._taken:
            intake.readings = tuple(reading for reading in intake.readings if reading.target in targets)
            try:
                self._feed(intake)
            except Exception:  # boundary: one batch; the engine is built again before the next step
                log.exception("engine crashed on a batch", extra={"agent": intake.agent})
                self._crashed([intake])

    def act(self, command: Command, now: float) -> Incident:
        """A person acts. Raises NotFound, Conflict."""
        return self._by_person(lambda: self.engine.act(command, now))

    def mute(self, command: MuteCommand, now: float) -> Standing:
        """A person acts on a silence or a change. Raises NotFound, Conflict, NotAllowed."""
        return self._by_person(lambda: self.engine.mute(command, now))

    def report(self, filed: Filed, now: float) -> Placed:
        """A ward says what does not work."""
        return self._by_person(lambda: self.engine.report(filed, now))

    def works_again(self, incident: str, area: str, now: float) -> Incident | None:
        """A ward says that it can work again."""
        return self._by_person(lambda: self.engine.works_again(incident, area, now))

    def ticketed(self, ticket: Ticket, now: float, *, before_s: float) -> tuple[str, ...]:
        """A ticket of another system."""
        return self._by_person(lambda: self.engine.ticketed(ticket, now, before_s=before_s))

    def _by_person(self, acting: Callable[[], Answer]) -> Answer:
        if self._broken:
            self._mend()
        try:
            return acting()
        except HealthmonError:
            raise
        except Exception:  # boundary: engine; it may have been left half changed
            self._crashed(())
            raise

    def told(self, notice: Notice, now: float) -> None:
        """What became of a sending; the journal has it already, so a broken engine may miss it."""
        if self._broken:
            return
        try:
            self.engine.told(notice, now)
        except Exception:  # boundary: one notice; the engine is built again before the next step
            log.exception("engine crashed on a result", extra={"key": notice.key})
            self._crashed(())

    def _feed(self, intake: Intake) -> None:
        self.engine.heard(intake.agent, intake.state, intake.at)
        if intake.key:
            self.engine.observe(intake.readings, now=intake.at, live=intake.live, found=intake.found)

    def _crashed(self, intakes: Sequence[Intake]) -> None:
        self._broken = True
        for intake in intakes:
            intake.crashes += 1

    def _mend(self) -> None:
        """Build the engine again from the last commit and tell it what came since."""
        self.engine = self._build(self._restore())
        guilty = [intake for intake in self._taken if intake.crashes >= CRASHES_MOST]
        self._taken = [intake for intake in self._taken if intake.crashes < CRASHES_MOST]
        self._given_up += guilty
        for intake in guilty:
            self._set_aside(intake)
        for intake in self._taken:
            try:
                self._feed(intake)
            except Exception:  # boundary: one batch; the next attempt goes without it
                self._crashed([intake])
                raise
        self._broken = False
