"""What an agent says of itself, and what is known of a time in which it said nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Ended(StrEnum):
    """How an agent's run before this one ended, by its own notes."""

    FIRST = "first"  # there was none, or its notes are gone
    CLEAN = "clean"  # it was told to stop
    KILLED = "killed"  # the process ended without a goodbye, the machine ran on
    DOWN = "down"  # the machine itself went down without a goodbye: power, crash, hard reset


@dataclass(frozen=True, slots=True)
class About:
    """Sent with the first batch of each connection and some four times a minute; times are Unix seconds at its clock.

    started, booted: of the process and of the machine; run, boot: 16 hex digits that name them, so that a clock that
    was set confuses nobody (boot is empty where the system has no name for it). spool: ok or memory, `why` in one
    word. The rest counts what waits in the spool, and what it gave up for want of room (`dropped_readings`, for the
    life of the file).
    """

    started: float
    booted: float
    ended: Ended = Ended.FIRST
    spool: str = "ok"
    why: str = ""
    bytes: int = 0
    batches: int = 0
    readings: int = 0
    dropped_readings: int = 0
    set_aside: int = 0
    version: str = ""
    run: str = ""
    boot: str = ""


class Cause(StrEnum):
    """Why nothing was heard of an agent for a while."""

    STOPPED = "stopped"  # somebody stopped it; the machine may run on
    DIED = "died"  # its process ended without a goodbye
    CUT = "cut"  # it ran on and could not be heard: the network, or the broker
    OFF = "off"  # the machine was switched off, restarted or lost its power
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Absence:
    """A time without a word of one agent. `until` None: it lasts. sure: said by the agent itself at its next start."""

    agent: str
    since: float
    until: float | None
    cause: Cause
    sure: bool
    words: str
