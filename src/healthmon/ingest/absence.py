"""Why an agent is silent: a clean stop, a dead process, a lost network and a machine that is off are told apart.

While it is silent there are hints: its goodbye, how soon after its last word the broker gave out its will, and whether
others reach its host. A will alone says little: the broker gives it out at once when the connection is closed by the
agent's kernel, and after one and a half keep-alives when nothing comes any more. When the agent is back it says itself
how long its process and its machine have run, and the guess is corrected. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from healthmon.model.about import About, Absence, Cause, Ended

#: Agents speak of themselves every 15 s, so three in a row are missing. Shorter breaks are reconnects.
SILENT_S = 45.0
#: A will this soon after the last word: the kernel of its machine closed the connection.
PROMPT_S = 15.0
#: Two clocks corrected by one skew agree this well about when something started.
SLACK_S = 5.0

_AWAY = {
    Cause.STOPPED: "stopped: it said goodbye",
    Cause.DIED: "its process ended without a goodbye, as far as can be seen from outside",
    Cause.CUT: "cut off: neither it nor its machine can be reached",
    Cause.OFF: "its machine went down: the connection was closed and the machine does not answer",
    Cause.UNCLEAR: "nothing heard from it; nobody else looks at its machine",
}
_BACK = {
    Cause.STOPPED: "it had been stopped and was started again",
    Cause.DIED: "its process had ended without a goodbye and was started again; the machine ran on",
    Cause.CUT: "it ran on and could not be heard: the network or the broker was away",
    Cause.OFF: "its machine had been down and was started again",
}


@dataclass(frozen=True, slots=True)
class Hints:
    """What is seen from outside. goodbye_at, will_at: when the broker gave them out; host_up: what others see of its
    machine since its last word, None when nobody looks."""

    last_at: float
    goodbye_at: float | None = None
    will_at: float | None = None
    host_up: bool | None = None


def guess(agent: str, hints: Hints) -> Absence:
    """The likeliest cause of a silence that lasts."""
    cause = _likeliest(hints)
    return Absence(agent, hints.last_at, None, cause, sure=cause is Cause.STOPPED, words=_AWAY[cause])


def _likeliest(hints: Hints) -> Cause:
    if hints.goodbye_at is not None and hints.goodbye_at >= hints.last_at - SLACK_S:
        return Cause.STOPPED
    prompt = hints.will_at is not None and hints.will_at - hints.last_at <= PROMPT_S
    match (hints.host_up, prompt):
        case (True, _) | (None, True):
            return Cause.DIED
        case (False, True):
            return Cause.OFF
        case (False, False):
            return Cause.CUT
        case _:
            return Cause.UNCLEAR


def settled(
    absence: Absence, about: About, *, back_at: float, before: About | None = None, skew_s: float = 0.0
) -> Absence:
    """What the agent's own word at its return says of the silence; `before`: what it had said until then."""
    if _same(before.run if before else "", about.run, about.started + skew_s, absence.since):
        cause = Cause.CUT
    elif about.ended is Ended.DOWN or not _same(
        before.boot if before else "", about.boot, about.booted + skew_s, absence.since
    ):
        cause = Cause.OFF
    elif about.ended is Ended.KILLED:
        cause = Cause.DIED
    elif about.ended is Ended.CLEAN:
        cause = Cause.STOPPED
    else:  # its notes are gone: what was seen from outside stands
        return replace(absence, until=back_at)
    return replace(absence, until=back_at, cause=cause, sure=True, words=_BACK[cause])


def _same(before: str, now: str, since: float, silent_since: float) -> bool:
    """Still the process or boot that it was: by its name, else by when it began."""
    return before == now if before and now else since <= silent_since + SLACK_S
