"""Why a PC is not heard, in the words of the board."""

from __future__ import annotations

from healthmon.model.view import Presence

_WORDS = {
    "off": "switched off",
    "asleep": "asleep",
    "unclean_stop": "stopped without a goodbye: crashed, hung or lost its power",
    "unplugged": "unplugged, or without power",
    "network": "cut off with its network",
    "agent_stopped": "the machine answers, the agent on it does not",
    "gone": "not heard for weeks",
    "not_known": "stopped without a goodbye",
}


def presence_words(present: Presence) -> str:
    """One line; "" for a machine that is on, or has never been heard."""
    word = _WORDS.get(present.state, "")
    if not word:
        return ""
    because = f" ({'; '.join(present.because)})" if present.because else ""
    return f"{word}{because}"


def hours_words(present: Presence) -> str:
    """Its usual hours, or that they are still being learned."""
    if present.usual_hours and not present.learning:
        return f"usually on {present.usual_hours}"
    return f"learning its hours ({present.periods} of 3 earlier periods known)"
