"""host_services: the services that a host is there for: systemd units, Windows services. Only names from the config."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from healthmon.collectors.commands import run
from healthmon.collectors.look import Unseen, look, params_of
from healthmon.collectors.windows import service_status
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample

FAMILIES = (
    Family(
        "host_services", frozenset({"installed", "running", "failed", "enabled", "restarts"}), frozenset({"service"})
    ),
)
_NAME = re.compile(r"[A-Za-z0-9_.@:\\$ ()+-]{1,120}")
_PROPERTIES = "Id,Names,LoadState,ActiveState,UnitFileState,NRestarts"


@dataclass(frozen=True, slots=True)
class Params:
    """`names`: systemd units (`.service` may be left out), or Windows services by their short name."""

    names: tuple[str, ...]

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not self.names or not all(_NAME.fullmatch(name) and not name.startswith("-") for name in self.names):
            raise ValueError("names needs at least one service, each a plain name")


@dataclass(frozen=True, slots=True)
class Service:
    """State of one service. A unit that is started on demand and waits is neither running nor failed."""

    installed: bool
    running: bool = False
    failed: bool = False
    enabled: bool = False
    restarts: float | None = None


class ServicesCollector:
    """Asks `systemctl show` once for all names, or the Windows service manager through psutil."""

    def __init__(self, ask: Callable[[Iterable[str]], dict[str, Service]] | None = None) -> None:
        self._ask = ask or (ask_windows if sys.platform == "win32" else ask_systemd)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        return await look(job, sight, lambda: self._see(params_of(job, Params)))

    def _see(self, params: Params) -> list[Sample]:
        found = self._ask(params.names)
        return [sample for name in params.names for sample in _samples(name, found.get(name, Service(installed=False)))]


def ask_systemd(names: Iterable[str]) -> dict[str, Service]:
    """Blocking. Raises Unseen."""
    text = run(["systemctl", "show", "--no-pager", f"--property={_PROPERTIES}", "--", *map(unit_name, names)])
    units = parse_systemd(text)
    if not units:
        raise Unseen(Reason.NO_ANSWER, "systemd says nothing")
    return {name: units[unit_name(name)] for name in names if unit_name(name) in units}


def unit_name(name: str) -> str:
    """`cups` is cups.service; other types say so themselves."""
    known = (".service", ".socket", ".timer", ".target", ".mount", ".path")
    return name if name.endswith(known) else f"{name}.service"


def parse_systemd(text: str) -> dict[str, Service]:
    """Blocks of `key=value` between empty lines; a unit is found under each of its names."""
    units: dict[str, Service] = {}
    for block in re.split(r"\n\s*\n", text):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        restarts = values.get("NRestarts", "")
        service = Service(
            installed=values.get("LoadState") not in (None, "not-found", "bad-setting", "error"),
            running=values.get("ActiveState") in ("active", "reloading"),
            failed=values.get("ActiveState") == "failed",
            enabled=values.get("UnitFileState", "").startswith(("enabled", "static", "generated", "alias")),
            restarts=float(restarts) if restarts.isdigit() else None,
        )
        for name in {values.get("Id", ""), *values.get("Names", "").split()} - {""}:
            units[name] = service
    return units


def ask_windows(names: Iterable[str]) -> dict[str, Service]:
    """Blocking. A service that starts by itself and is stopped counts as failed."""
    return {name: windows_service(service_status(name)) for name in names}


def windows_service(state: tuple[str, str] | None) -> Service:
    """psutil's words for status and start type in ours."""
    if state is None:
        return Service(installed=False)
    status, start = state
    running = status in ("running", "start_pending", "continue_pending")
    automatic = start == "automatic"
    return Service(installed=True, running=running, failed=automatic and status == "stopped", enabled=automatic)


def _samples(name: str, service: Service) -> list[Sample]:
    found = {
        "installed": float(service.installed),
        "running": float(service.running),
        "failed": float(service.failed),
        "enabled": float(service.enabled),
    }
    if service.restarts is not None:
        found["restarts"] = service.restarts
    return [Sample("host_services", field, value, {"service": name}) for field, value in found.items()]
