"""`healthmon up` as a process whose wall clock is moved under it: libfaketime moves it, monotonic time goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons.healthmon import role, until
from daemons.onesite import OneSite

pytestmark = [pytest.mark.wire, pytest.mark.slow]

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[OneSite]:
    """Its wall clock is off by what `moved` holds."""
    if LIBRARY is None:
        pytest.skip("needs libfaketime (Debian: faketime)")
    made = OneSite(tmp_path)
    moved = tmp_path / "moved"
    moved.write_text("+0\n")
    settings = [f"LD_PRELOAD={LIBRARY}", f"FAKETIME_TIMESTAMP_FILE={moved}", "FAKETIME_CACHE_DURATION=1",
                "FAKETIME_DONT_FAKE_MONOTONIC=1"]  # fmt: skip
    made.daemon = role("up", "-c", str(made.config), "-v", log=made.log, ready=made.is_up, inside=["env", *settings])
    for service in made.services.values():
        service.up()
    made.daemon.start()
    try:
        yield made
    finally:
        made.daemon.stop()
        for service in made.services.values():
            service.down()


def test_a_fault_is_told_after_the_wall_clock_was_an_hour_ahead_and_went_back(site: OneSite) -> None:
    until(site.both_seen, timeout_s=60)
    steps = "healthmon_clock_steps_total"
    (site.folder / "moved").write_text("+3600s\n")
    until(lambda: site.metric(steps, direction="forward"), timeout_s=30)
    (site.folder / "moved").write_text("+0\n")
    until(lambda: site.metric(steps, direction="back"), timeout_s=30)
    health = site.health()
    assert health["status"] == "degraded"
    assert 3_500.0 < health["clock_ahead_s"] <= 3_600.0
    site.services["icu"].down()
    until(lambda: [one for one in site.incidents() if "srv-icu" in one["title"]], timeout_s=60)
    until(site.pages, timeout_s=60)
    assert "Traceback" not in site.log.read_text()
