"""The regression gate: cause, impact and severity on synthetic hospitals do not get worse than the committed figures.

A failure names what fell. When a change is meant to move them: `python -m benchmarks.faultbench --gate --write-scores`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [0, 1], ids=["hospital one", "hospital two"])
def test_not_worse_than_the_committed_figures(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.faultbench import gate, suite

    part = suite.GATE[number]
    finished = suite.run(part)
    before = {title: kept for title, kept in gate.committed().items() if title == part.title}
    assert before, "no committed figures for this hospital"
    assert gate.worse(gate.scores([finished]), before) == [], f"\n{finished}"


def test_the_gate_sees_what_falls_and_lets_pass_what_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.faultbench import gate

    before = gate.committed()
    assert gate.worse(before, before) == []
    for title, kept in before.items():
        for name, was in kept.items():
            less_is_better = name in gate.COUNTS or name in gate.SECONDS
            by = 2 * {**gate.SHARES, **gate.COUNTS, **gate.SECONDS}[name] + 0.01
            fallen = {**before, title: {**kept, name: was + by if less_is_better else was - by}}
            assert len(gate.worse(fallen, before)) == 1, name
            risen = {**before, title: {**kept, name: was - by if less_is_better else was + by}}
            assert gate.worse(risen, before) == [], name
    assert gate.worse({}, before)


def test_intervals_are_those_of_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wilson (1927) as tabulated for 8 of 10 and 0 of 20; Garwood (1936) for 0, 1 and 10 events."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.faultbench.quiet import poisson_interval
    from benchmarks.faultbench.score import Share

    assert Share(8, 10).interval() == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert Share(0, 20).interval() == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert poisson_interval(0) == pytest.approx((0.0, 3.6889), abs=1e-3)
    assert poisson_interval(1) == pytest.approx((0.0253, 5.5716), abs=1e-3)
    assert poisson_interval(10) == pytest.approx((4.7954, 18.3904), abs=1e-3)


@pytest.mark.parametrize("count", [7, 42, 100, 333, 2_016])
def test_however_many_quiet_half_hours_there_are_they_lie_evenly_over_the_week(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.faultbench.quiet import WEEK_S, starts_s

    starts = sorted(starts_s(number) for number in range(count))
    gaps = [after - before for before, after in zip(starts, [*starts[1:], starts[0] + WEEK_S], strict=True)]
    assert min(gaps) > 0
    assert max(gaps) <= 2.5 * WEEK_S / count


def test_quiet_stretches_count_what_is_new_and_a_stopped_run_reports_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks.faultbench import __main__, quiet, suite

    monkeypatch.setattr(quiet, "DAY_S", 120.0)
    monkeypatch.setattr(quiet, "WINDOW_S", 60.0)
    part = ["--hospital", "two", "--targets", "150", "--keep", str(tmp_path)]
    assert __main__.main([*part, "--quiet", "2", "--weeks", "1"]) == 0
    told = capsys.readouterr().out
    assert "0.0 quiet hours" in told
    assert "0.2 quiet hours on end" in told
    on_end = list(quiet.days(suite.hospital("two", 150, 1), 2, seed=1))
    assert [day.pages for day in on_end] == [0, 0]
    assert all(day.readings > 100 and day.busy_s <= day.cpu_s for day in on_end)
    monkeypatch.setattr(quiet, "days", None)  # what is there is not worked out again
    monkeypatch.setattr(quiet, "window", None)
    assert __main__.main([*part, "--quiet", "9", "--weeks", "2", "--report"]) == 0
    assert capsys.readouterr().out == told
