"""How long two servers take to change places: from a kill -9 until the other answers, and until its page.

Real processes: two servers with `ha` at its default, a mosquitto, a nats-server for the lease, a poller, a pager.
The killed one comes back as the standby, and the other is killed next. The page is of a service that fails at the kill.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / "tests"), str(Path(__file__).parent.parent / "tests" / "faults")]

from test_pair_takeover import pages  # noqa: E402

from daemons.healthmon import until  # noqa: E402
from daemons.paging import Receiver  # noqa: E402
from daemons.twoservers import Two, is_up, two  # noqa: E402

ROUNDS = 6


def main() -> None:
    """Print each round and the spread."""
    with tempfile.TemporaryDirectory() as folder, two(Path(folder) / "pair", life=None) as (made, pager, _):
        rounds = [_round(made, pager, number) for number in range(ROUNDS)]
        answers, paged = zip(*rounds, strict=True)
        for name, seconds in (("the other answers as the server", answers), ("the page is out", paged)):
            ordered = sorted(seconds)
            print(f"kill -9 until {name}: {ordered[0]:.1f} to {ordered[-1]:.1f} s, median "
                  f"{ordered[len(ordered) // 2]:.1f} s, n = {len(ordered)}")  # fmt: skip


def _round(made: Two, pager: Receiver, number: int) -> tuple[float, float]:
    """Seconds from the kill until the other answers, and until the page of what failed then."""
    leads, other = ("a", "b") if number % 2 == 0 else ("b", "a")
    service = made.services["ed" if number % 2 else "icu"]
    before = len(pages(pager, "opened"))
    killed_at = time.monotonic()
    made.servers[leads].daemon.kill9()
    service.down()
    until(lambda: is_up(made, other), timeout_s=90, what=f"{other} leads")
    answers_s = time.monotonic() - killed_at
    until(lambda: len(pages(pager, "opened")) > before, timeout_s=90, what="a page")
    paged_s = time.monotonic() - killed_at
    print(f"round {number + 1}: answers after {answers_s:.1f} s, page after {paged_s:.1f} s", flush=True)
    service.up()
    until(lambda: len(pages(pager, "mitigated")) > number, timeout_s=90, what="the service is back")
    _stand_by(made, leads)
    return answers_s, paged_s


def _stand_by(made: Two, name: str) -> None:
    """The killed one comes back and has a copy of the journal."""
    server = made.servers[name]
    already = server.log.read_text().count("standing by with a copy")
    server.daemon.ready = lambda: server.log.read_text().count("standing by with a copy") > already
    server.daemon.start()
