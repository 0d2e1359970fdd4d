"""The presence model against its committed figures, on the fleet that it was not tuned on."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_fleet_that_was_not_used_for_tuning_is_judged_as_well_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import presence as bench

    ((name, slice_),) = bench.SHORT.items()
    run = bench.run_fleet(*slice_)
    now = {name: bench.figures(run)}
    assert bench.worse(now, {name: bench.committed()[name]}) == []
    assert run.stray == 0
    assert len(run.told) > 500
    night = [one for one in run.told if one.gap.clean and one.alert and not one.gap.wanted]
    assert len(night) <= 1, "a PC that was switched off is told in a critical area that is short of PCs, nowhere else"


def test_a_worse_model_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import presence as bench

    kept = bench.committed()
    name = next(iter(kept))
    assert bench.worse({name: kept[name] | {"judged_right": 0.5}}, {name: kept[name]})
    assert bench.worse({name: kept[name] | {"false_share": 0.5}}, {name: kept[name]})
