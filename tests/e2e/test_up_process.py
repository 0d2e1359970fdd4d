"""`healthmon up` as a user types it: with nothing at hand, and the stop button while it runs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons.healthmon import answers, api, role, until
from daemons.onesite import OneSite, one_site
from daemons.process import free_port

pytestmark = [pytest.mark.wire, pytest.mark.slow]


def test_up_in_an_empty_folder_watches_this_host_and_says_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEALTHMON_CONFIG", raising=False)
    monkeypatch.setenv("HEALTHMON_DATA_DIR", str(tmp_path / "data"))
    base = f"http://127.0.0.1:{free_port()}"
    log = tmp_path / "up.log"
    daemon = role("up", "--listen", base.removeprefix("http://"), log=log, ready=answers(base))
    daemon.start()
    try:
        said = until(lambda: "next:" in log.read_text() and log.read_text(), timeout_s=20)
        assert f"system up: board at {base}/" in said
        assert "no configuration: watching this host and its resolver only" in said
        targets = until(lambda: seen(base), timeout_s=60, what="this host is seen")
        assert set(targets) <= {"this-host", "resolver"}
        assert api(base, "health")["mode"] == "shadow"
        checks = {check["kind"] for name in targets for check in api(base, f"targets/{name}")["checks"]}
        assert {kind for kind in checks if not kind.startswith("host_")} <= {"tcp"}, "nothing else is probed"
        data = tmp_path / "data"
        assert data.stat().st_mode & 0o777 == 0o700
        assert {(data / name).stat().st_mode & 0o777 for name in ("token", "ack-secret", "broker.json")} == {0o600}
        assert str(data / "token") in said
    finally:
        daemon.stop()
    assert "Traceback" not in log.read_text()


def seen(base: str) -> dict[str, Any]:
    found = {one["id"]: one for one in api(base, "targets")["items"]}
    return found if found["this-host"]["outcome"] == "ok" else {}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    with one_site(tmp_path_factory.mktemp("stop"), placed=True) as found:
        until(found.both_seen, timeout_s=20)
        yield found


def stop_probing(site: OneSite, *more: str) -> str:
    argv = [sys.executable, "-m", "healthmon", "stop-probing", *more, "-c", str(site.config)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


class Looked:
    """Counts connections to the probed service by listening in its place."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.listen(64)
        self._socket.setblocking(False)

    def count(self) -> int:
        """Connections since the last call."""
        found = 0
        while True:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return found
            connection.close()
            found += 1

    def close(self) -> None:
        self._socket.close()


def test_the_stop_button_stops_every_probe_within_a_second_and_alerts_nobody(site: OneSite) -> None:
    assert "probing is stopped" in stop_probing(site)
    pressed = time.monotonic()
    time.sleep(1.0)
    site.services["ed"].down()  # what fails while nobody looks is not known
    looked = Looked(site.services["ed"].port)
    try:
        until(lambda: outcomes(site) == {("unknown", "probing_stopped")}, timeout_s=10, what="both are not known")
        time.sleep(max(0.0, pressed + 4.0 - time.monotonic()))
        assert looked.count() == 0, "a probe left after the button was pressed"
    finally:
        looked.close()
    assert site.health()["probing"] is False
    assert site.metric("healthmon_probing_enabled") == 0.0
    board = site.page("/")
    assert "stopped" in board
    assert "Probing" in board
    assert site.incidents() == []
    assert site.pages() == []
    assert {one["state"] for one in site.get("impact")["items"]} == {"unknown"}, "nothing is called well unseen"

    site.services["ed"].up()
    assert "probing goes on" in stop_probing(site, "--resume")
    until(site.both_seen, timeout_s=10, what="both are seen again")
    assert site.health()["probing"] is True
    assert site.pages() == []


def outcomes(site: OneSite) -> set[tuple[str, str]]:
    found = {one["id"]: (one["outcome"], one["reason"]) for one in site.get("targets")["items"]}
    return {found[f"srv-{area}"] for area in site.services}


def test_the_file_alone_is_a_stop_button_that_survives_a_restart(tmp_path: Path) -> None:
    with one_site(tmp_path, placed=True) as site:
        until(site.both_seen, timeout_s=20)
        site.daemon.stop()
        (site.data / "stop-probing").write_text("maintenance\n")
        site.daemon.start()
        until(lambda: outcomes(site) == {("unknown", "probing_stopped")}, timeout_s=20)
        assert site.health()["probing"] is False
        assert json.loads(json.dumps(site.incidents())) == []


def test_a_second_up_on_the_same_data_is_refused_in_words(site: OneSite) -> None:
    argv = [sys.executable, "-m", "healthmon", "up", "-c", str(site.config), "--listen", f"127.0.0.1:{free_port()}"]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=30, env=os.environ | {"NO_COLOR": "1"})
    assert result.returncode == 2
    assert "in use by another healthmon" in result.stderr
    assert "Traceback" not in result.stderr
    assert site.health()["status"] == "ok"
