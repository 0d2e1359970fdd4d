"""A process that is told to stop ends within its budget, whatever in it does not heed that; and it says what waited."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from healthmon.runtime.stopping import SAME_S

HEAD = """
import asyncio, sys, time
from healthmon.cli.thin_agent import until_signal

async def ignores(times):
    for _ in range(times):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
    await last_words()

async def last_words():
    try:
        await asyncio.Event().wait()
    finally:
        print("said", flush=True)

async def ready(work):
    asyncio.get_running_loop().call_later(0.05, lambda: print("up", flush=True))
    await work

asyncio.run(until_signal(ready({work}), budget_s={budget}))
"""


@pytest.fixture
def child(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    work, budget = request.param
    code = HEAD.replace("{work}", work).replace("{budget}", str(budget))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        try:
            yield process
        finally:
            process.kill()


def ended(child: subprocess.Popen[str], *, signals: int = 1) -> tuple[int, str, str]:
    """Its exit code and words; the deadline is far beyond every budget here."""
    for _ in range(signals):
        child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=60)
    return child.returncode, out, err


@pytest.mark.parametrize("child", [("last_words()", 60.0)], indirect=True)
def test_what_heeds_it_has_its_last_words(child: subprocess.Popen[str]) -> None:
    assert ended(child) == (0, "said\n", "")


@pytest.mark.parametrize("child", [("ignores(1)", 0.2)], indirect=True)
def test_who_loses_the_word_is_told_again_and_named(child: subprocess.Popen[str]) -> None:
    code, out, err = ended(child)
    assert (code, out) == (0, "said\n")
    assert "takes too long" in err


@pytest.mark.parametrize("child", [("ignores(10)", 0.2)], indirect=True)
def test_who_never_heeds_it_ends_with_the_process(child: subprocess.Popen[str]) -> None:
    code, out, err = ended(child)
    assert (code, out) == (1, "")
    assert "ends now" in err


@pytest.mark.parametrize("child", [("asyncio.to_thread(time.sleep, 3600)", 60.0)], indirect=True)
def test_a_thread_that_waits_for_somebody_is_not_waited_for(child: subprocess.Popen[str]) -> None:
    """A connection to a broker that drops every packet is made in such a thread."""
    assert ended(child) == (0, "", "")


@pytest.mark.parametrize("child", [("ignores(1)", 3600.0)], indirect=True)
def test_a_second_signal_does_not_wait_for_the_budget(child: subprocess.Popen[str]) -> None:
    child.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(SAME_S + 0.5)
    code, out, _ = ended(child)
    assert (code, out) == (0, "said\n")


@pytest.mark.parametrize("child", [("ignores(1)", SAME_S + 1.0)], indirect=True)
def test_a_signal_that_came_twice_is_one_wish(child: subprocess.Popen[str]) -> None:
    """Ctrl-C in a terminal reaches the parent and its children, and the parent tells these once more."""
    child.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.2)
    child.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(SAME_S + 0.3)
    assert child.communicate(timeout=60)[0] == "said\n"
