"""kill -9 of agent, broker, server and store in turn, under load: what was spooled is stored once, what was intended
is told."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from daemons.healthmon import api
from daemons.killing import Rig, rig, soon
from daemons.process import need

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(180)]

#: Three kills for each time that the service goes down and up, and each of them at each moment.
EMBEDDED = (("agent", "broker", "server"), ("server", "agent", "broker"), ("broker", "server", "agent"))
OUTSIDE = (("server", "store", "broker"), ("agent", "store+server", "store"), ("store", "broker", "server"))


def down_and_up(site: Rig, kills: tuple[str, ...]) -> None:
    """A kill while it is noticed, one while it is down, one while it comes back."""
    opened, recovered = site.told("opened"), site.told("mitigated")
    site.flaky.greets = False
    time.sleep(random.uniform(0.5, 1.5))
    site.kill(kills[0])
    soon(lambda: site.told("opened") > opened, "a page")
    site.settles("open")
    site.kill(kills[1])
    time.sleep(2.0)
    assert site.told("mitigated") == recovered, "an all-clear while it is still down"
    site.settles("open")
    site.flaky.greets = True
    time.sleep(random.uniform(0.2, 1.0))
    site.kill(kills[2])
    site.settles("mitigated")
    soon(lambda: site.told("mitigated") > recovered, "an all-clear")
    assert site.told("mitigated") == recovered + 1


def finish(site: Rig, name: str, *, at_least: int) -> None:
    site.drain()
    time.sleep(1.0)
    readings, notices = site.check_no_loss(at_least=at_least), site.check_notices()
    print(f"{name}: kills {dict(site.kills)}; readings: {readings}; notices: {notices}")


def test_embedded_broker_and_store_lose_and_double_nothing(tmp_path: Path) -> None:
    with rig(tmp_path) as site:
        time.sleep(2.0)
        for kills in EMBEDDED:
            down_and_up(site, kills)
        finish(site, "embedded", at_least=500)


def test_mosquitto_and_influxdb_lose_and_double_nothing(tmp_path: Path) -> None:
    need("mosquitto")
    need("influxd")
    with rig(tmp_path, mosquitto=True, influx=True) as site:
        time.sleep(2.0)
        for kills in OUTSIDE:
            down_and_up(site, kills)
        finish(site, "mosquitto and InfluxDB", at_least=500)


def test_a_restarted_server_goes_on_with_the_same_incident(tmp_path: Path) -> None:
    with rig(tmp_path) as site:
        soon(lambda: api(site.base, "targets/flaky")["outcome"] == "ok", "the first reading")
        site.flaky.greets = False
        incident = site.settles("open")
        soon(lambda: site.told("opened") == 1, "a page")
        time.sleep(2 * 0.3)  # the pager has answered
        site.kill("server")
        time.sleep(4.0)
        assert site.settles("open") == incident
        assert [page["why"] for page in site.pages()] == ["opened"], "paged again"
        site.flaky.greets = True
        assert site.settles("mitigated") == incident
        soon(lambda: site.told("mitigated") == 1, "an all-clear")
        time.sleep(2.0)
        assert [(page["why"], page["incident_id"]) for page in site.pages()] == [
            ("opened", incident),
            ("mitigated", incident),
        ]


def test_a_store_that_hangs_stops_neither_journal_nor_paging(tmp_path: Path) -> None:
    need("influxd")
    with rig(tmp_path, influx=True) as site:
        assert site.influx is not None
        soon(lambda: api(site.base, "targets/flaky")["outcome"] == "ok", "the first reading")
        time.sleep(1.0)
        process = site.influx.process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            site.flaky.greets = False
            soon(lambda: site.told("opened") == 1, "a page while the store hangs")
            print(f"paged {time.monotonic() - began:.1f} s after the fault, with the store hanging")
            site.flaky.greets = True
            site.settles("mitigated")
            soon(lambda: site.told("mitigated") == 1, "an all-clear while the store hangs")
            waiting = site.spooled()
        finally:
            os.kill(process.pid, signal.SIGCONT)
        assert waiting > 0, "acknowledged what the store has not got"
        finish(site, "hanging store", at_least=300)
