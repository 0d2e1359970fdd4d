"""The simulated fleet: a batch is as large as was asked for, and only a server made for it hears of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healthmon.app.loadceiling import STEP, climb, holds, limiter
from healthmon.app.loadfleet import Fleet
from healthmon.app.loadgen import refuse_strangers, site_yaml, spread
from healthmon.app.loadshape import POINTS_OF_A_LOOK, Load, shape
from healthmon.config import default_site, load
from healthmon.ingest.rows import RowMaker
from healthmon.model.errors import ConfigError
from healthmon.model.plan import Broker
from healthmon.runtime.clock import ManualClock
from healthmon.transport import codec


@pytest.mark.parametrize("points", [4, 5, 7, 20, 43, 100])
def test_a_batch_is_stored_as_so_many_points(points: int, tmp_path: Path) -> None:
    wanted = Load("loadgen", 60, 30.0, points)
    (tmp_path / "healthmon.yaml").write_text(site_yaml(wanted, tmp_path))
    site = load(tmp_path / "healthmon.yaml")
    fleet = Fleet(wanted, broker=Broker("mqtt://127.0.0.1:1"), clock=ManualClock())
    readings = codec.decode_readings(fleet.body(fleet.agents[51].name, 1_800_000_000.0))
    rows = RowMaker(site.estate).rows_of(readings)
    assert sum(len(row.fields) for row in rows) == points == sum(shape(points)) + len(readings) * POINTS_OF_A_LOOK
    assert len(site.estate.agents.keys() - {"poller"}) == 60
    refuse_strangers(site)


def test_a_hospital_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a load test"):
        refuse_strangers(default_site())


def test_ages_are_told_by_their_order() -> None:
    assert spread([float(n) for n in range(1, 101)]) == {"p50": 51.0, "p99": 100.0, "max": 100.0}
    assert spread([]) == {}


def step(wanted: float, got: float, p99: float) -> dict[str, object]:
    return {"wanted_per_s": wanted, "messages_per_s": got, "age_s": {"p99": p99}}


def test_a_step_holds_while_what_is_sent_is_taken_and_fresh() -> None:
    assert holds(step(500.0, 490.0, 4.9))
    assert not holds(step(500.0, 470.0, 0.1)), "more comes than goes"
    assert not holds(step(500.0, 500.0, 5.1)), "what is stored is old"
    assert not holds({"wanted_per_s": 500.0, "messages_per_s": 500.0, "age_s": {}}), "nothing was live"


def test_what_was_full_is_named() -> None:
    assert limiter({"server": 0.97, "broker": 0.2}, 4) == "one core, by server"
    assert limiter({"server": 1.1, "broker": 0.4, "loadgen": 0.4}, 2) == "all 2 cores of the machine"
    assert "no processor" in limiter({"server": 0.3}, 2)


class Carrying:
    """A server that carries so many batches a second."""

    def __init__(self, most_per_s: float) -> None:
        self.fleet = Fleet(Load("loadgen", 100, 1.0, 20), broker=Broker("mqtt://127.0.0.1:1"), clock=ManualClock())
        self._most_per_s = most_per_s

    async def until(self, condition: Callable[[], bool], seconds: float, name: str) -> bool:
        return condition()

    async def figures(self, seconds: float, name: str) -> dict[str, Any]:
        got = min(self._most_per_s, self.fleet.load.agents / self.fleet.load.every_s)
        return step(got, got, 0.1) | {"points_per_s": 20 * got, "cores": {"server": 1.0, "broker": 0.1}}


async def test_the_last_step_that_held_is_the_ceiling() -> None:
    run = Carrying(160.0)
    found = await climb(run)
    assert found["held_messages_per_s"] == pytest.approx(100.0 * STEP**2)
    assert found["held_points_per_s"] == pytest.approx(2_000.0 * STEP**2)
    assert len(found["steps"]) == 3
    assert run.fleet.load.every_s == 1.0, "as it was"


async def test_a_first_step_that_does_not_hold_is_no_ceiling() -> None:
    assert (await climb(Carrying(90.0)))["held_messages_per_s"] == 0.0
