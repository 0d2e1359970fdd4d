"""A real Alertmanager sends its alerts here: they become an incident's member, and end with it."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemons.healthmon import until
from daemons.onesite import OneSite
from daemons.process import Daemon, free_port, listens, need, running

pytestmark = [pytest.mark.wire, pytest.mark.slow]

TOKEN = "prom-secret-0123456789"
CONFIG = """\
route: {{receiver: healthmon, group_by: [instance], group_wait: 100ms, group_interval: 300ms, repeat_interval: 1m}}
receivers:
  - name: healthmon
    webhook_configs:
      - url: "{base}/api/v1/alerts/alertmanager"
        http_config: {{authorization: {{type: Bearer, credentials: {token}}}}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    found = OneSite(tmp_path_factory.mktemp("alertmanager"), role_name="server")
    found.site["targets"][0]["checks"].append({"id": "prom", "kind": "alertmanager", "every": "1m", "from": ["prom"]})
    found.site["push"] = {"prom": {"token": TOKEN}}
    found.write()
    try:
        found.daemon.start()
        yield found
    finally:
        found.daemon.stop()


@pytest.fixture
def alertmanager(site: OneSite, tmp_path: Path) -> Iterator[str]:
    config, port = tmp_path / "alertmanager.yml", free_port()
    config.write_text(CONFIG.format(base=site.base, token=TOKEN))
    argv = [
        need("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with running(Daemon(argv, ready=listens(port), log=tmp_path / "alertmanager.log")):
        yield f"http://127.0.0.1:{port}"


def tell(base: str, name: str, *, ended: bool = False) -> None:
    alert: dict[str, Any] = {"labels": {"alertname": name, "instance": "srv-ed:9100"}}
    if ended:
        alert["endsAt"] = datetime.fromtimestamp(time.time() - 1, UTC).isoformat()
    request = urllib.request.Request(f"{base}/api/v2/alerts", json.dumps([alert]).encode())
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request, timeout=10).read()


def firing(site: OneSite) -> set[str]:
    alerts = site.get("alerts?limit=100")["items"]
    return {one["target"] for one in alerts if one["rule"] == "prometheus-alert" and one["phase"] == "firing"}


def test_what_fires_in_prometheus_is_an_incident_here_until_all_of_it_ends(site: OneSite, alertmanager: str) -> None:
    tell(alertmanager, "DiskFull")
    tell(alertmanager, "LoadHigh")
    until(lambda: firing(site) == {"srv-ed"}, timeout_s=60, what="the alert is one of ours")
    until(lambda: "LoadHigh#" in said(site) and "DiskFull#" in said(site), timeout_s=30, what="both are named")
    tell(alertmanager, "DiskFull", ended=True)
    until(lambda: "DiskFull#" not in said(site), timeout_s=30, what="one has ended")
    assert firing(site) == {"srv-ed"}
    tell(alertmanager, "LoadHigh", ended=True)
    until(lambda: not firing(site), timeout_s=60, what="both have ended")


def said(site: OneSite) -> str:
    """The text of the newest reading, as people see it."""
    return " ".join(re.findall(r'"detail": "([^"]*)"', json.dumps(site.get("targets/srv-ed"))))


def test_a_stranger_and_a_broken_body_change_nothing(site: OneSite) -> None:
    for token, body, status in ((("x" * 20), b"{}", 401), (TOKEN, b"{", 400), (TOKEN, b'{"alerts": 3}', 422)):
        request = urllib.request.Request(f"{site.base}/api/v1/alerts/alertmanager", body)
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Bearer {token}")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code in (status, 400)
