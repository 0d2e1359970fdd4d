"""The simulated fleet: a batch is as large as was asked for, and only a server made for it hears of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthmon.app.loadfleet import POINTS_OF_A_LOOK, Fleet, Load, shape
from healthmon.app.loadgen import refuse_strangers, site_yaml, spread
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
