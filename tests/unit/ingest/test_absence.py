"""Why an agent was silent: hints while it lasts, its own word when it is back."""

from __future__ import annotations

import pytest

from healthmon.ingest.absence import Hints, guess, settled
from healthmon.model.about import About, Cause, Ended

LAST = 1_000_000.0
BACK = LAST + 600.0


@pytest.mark.parametrize(
    ("hints", "cause"),
    [
        (Hints(LAST, goodbye_at=LAST + 0.2), Cause.STOPPED),
        (Hints(LAST, will_at=LAST + 1.0, host_up=True), Cause.DIED),
        (Hints(LAST, will_at=LAST + 31.0, host_up=True), Cause.DIED),
        (Hints(LAST, will_at=LAST + 1.0), Cause.DIED),
        (Hints(LAST, will_at=LAST + 1.0, host_up=False), Cause.OFF),
        (Hints(LAST, will_at=LAST + 31.0, host_up=False), Cause.CUT),
        (Hints(LAST, host_up=False), Cause.CUT),
        (Hints(LAST, will_at=LAST + 31.0), Cause.UNCLEAR),
        (Hints(LAST), Cause.UNCLEAR),
        (Hints(LAST, goodbye_at=LAST - 3600.0), Cause.UNCLEAR),  # it spoke again after that goodbye
    ],
)
def test_the_likeliest_cause_from_outside(hints: Hints, cause: Cause) -> None:
    found = guess("pc-1", hints)
    assert (found.cause, found.since, found.until) == (cause, LAST, None)
    assert found.sure is (cause is Cause.STOPPED)
    assert found.words


@pytest.mark.parametrize(
    ("about", "cause"),
    [
        (About(LAST - 9000, LAST - 9999, Ended.KILLED), Cause.CUT),  # the same process all the time
        (About(BACK - 5, LAST - 9999, Ended.KILLED), Cause.DIED),
        (About(BACK - 5, LAST - 9999, Ended.CLEAN), Cause.STOPPED),
        (About(BACK - 5, BACK - 60, Ended.CLEAN), Cause.OFF),  # shut down in order
        (About(BACK - 5, BACK - 60, Ended.DOWN), Cause.OFF),
        (About(BACK - 5, BACK - 60, Ended.FIRST), Cause.OFF),
    ],
)
@pytest.mark.parametrize("guessed", [Hints(LAST), Hints(LAST, host_up=False), Hints(LAST, will_at=LAST + 1.0)])
def test_its_own_word_corrects_the_guess(about: About, cause: Cause, guessed: Hints) -> None:
    found = settled(guess("pc-1", guessed), about, back_at=BACK)
    assert (found.cause, found.until, found.sure) == (cause, BACK, True)


def test_a_clock_that_is_an_hour_off_says_the_same() -> None:
    about = About(BACK - 5 - 3600, LAST - 9999 - 3600, Ended.KILLED)
    assert settled(guess("pc-1", Hints(LAST)), about, back_at=BACK, skew_s=3600.0).cause is Cause.DIED


def test_an_agent_whose_notes_are_gone_leaves_the_guess() -> None:
    about = About(BACK - 5, LAST - 9999, Ended.FIRST)
    found = settled(guess("pc-1", Hints(LAST, host_up=False)), about, back_at=BACK)
    assert (found.cause, found.until, found.sure) == (Cause.CUT, BACK, False)


def test_names_of_process_and_boot_are_believed_before_any_clock() -> None:
    before = About(LAST - 100, LAST - 9999, run="a" * 16, boot="b" * 16)
    after = About(LAST - 1, LAST - 9999, Ended.KILLED, run="c" * 16, boot="b" * 16)
    silence = guess("pc-1", Hints(LAST))
    assert settled(silence, after, back_at=LAST + 6, before=before).cause is Cause.DIED
    stepped = About(LAST + 3600, LAST - 6399, Ended.KILLED, run="a" * 16, boot="b" * 16)
    assert settled(silence, stepped, back_at=LAST + 6, before=before).cause is Cause.CUT
    rebooted = About(LAST - 1, LAST - 2, Ended.CLEAN, run="c" * 16, boot="d" * 16)
    assert settled(silence, rebooted, back_at=LAST + 6, before=before).cause is Cause.OFF
