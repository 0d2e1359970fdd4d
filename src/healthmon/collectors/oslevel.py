"""host_os: which system runs here, until when its maker mends it, and which updates wait."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from healthmon.collectors.commands import run
from healthmon.collectors.look import Unseen, look, params_of
from healthmon.collectors.windows import powershell_json, registry_value
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample, Value

FAMILIES = (
    Family(
        "host_os",
        frozenset({"release", "listed", "supported", "support_left_seconds", "extended_support_left_seconds"})
        | {
            "table_age_seconds",
            "pending_updates",
            "pending_security_updates",
            "lists_age_seconds",
            "update_age_seconds",
        },
    ),
)
_CURRENT_VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_SERVERS = {9200: "2012", 9600: "2012-r2", 14393: "2016", 17763: "2019", 20348: "2022", 26100: "2025"}
_LTSC = {10240: "2015", 14393: "2016", 17763: "2019", 19044: "2021", 26100: "2024"}
#: Files whose time is that of the last change of installed packages, and of the last look for updates.
_INSTALLED = ("var/lib/dpkg/status", "var/lib/rpm/rpmdb.sqlite", "var/lib/rpm/Packages", "lib/apk/db/installed")
_LISTS = ("var/lib/apt/periodic/update-success-stamp", "var/lib/apt/lists/partial", "var/cache/dnf")


@dataclass(frozen=True, slots=True)
class Params:
    """`pack`: the table of ends of support; `extended`: LTS, ESM or ESU is in use here; `updates`: count."""

    pack: dict[str, Any] = field(default_factory=dict)
    extended: bool = False
    updates: bool = True

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class OsCollector:
    """os-release, apt and file times on Linux; registry and installed hot fixes on Windows."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    async def probe(self, job: Job, sight: Sight) -> Reading:
        def see() -> list[Sample]:
            params = params_of(job, Params)
            now = sight.clock.now()
            if sys.platform == "win32":
                release = windows_here()
                found = windows_updates(now)
            else:
                release = parse_os_release(self._os_release())
                found = self._updates(params, now)
            facts: dict[str, Value] = {"release": " ".join(release), **support(release, params, now), **found}
            return [Sample("host_os", field, value) for field, value in facts.items()]

        return await look(job, sight, see)

    def _os_release(self) -> str:
        for name in ("etc/os-release", "usr/lib/os-release"):
            if (self._root / name).exists():
                return (self._root / name).read_text("utf-8", "replace")
        raise Unseen(Reason.NO_ANSWER, "there is no os-release on this host")

    def _updates(self, params: Params, now: float) -> dict[str, float]:
        found: dict[str, float] = {}
        for fact, names in (("update_age_seconds", _INSTALLED), ("lists_age_seconds", _LISTS)):
            ages = [now - (self._root / name).stat().st_mtime for name in names if (self._root / name).exists()]
            if ages:
                found[fact] = max(0.0, min(ages))
        if params.updates and shutil.which("apt-get"):
            simulate = ["apt-get", "-s", "-q", "-o", "Debug::NoLocking=true", "dist-upgrade"]
            found |= parse_apt(run(simulate))
        return found


def parse_os_release(text: str) -> tuple[str, str]:
    """(id, version) as the file gives them, lower case: (debian, 12)."""
    pairs = re.findall(r"^([A-Z_]+)=[\"']?([^\"'\n]*)", text, flags=re.MULTILINE)
    values = dict(pairs)
    return values.get("ID", "unknown").lower()[:40], values.get("VERSION_ID", "").lower()[:20]


def parse_apt(text: str) -> dict[str, float]:
    """`apt-get -s dist-upgrade`: a line `Inst package [old] (new origin)` for each."""
    lines = [line for line in text.splitlines() if line.startswith("Inst ") and "[" in line]
    urgent = [line for line in lines if "security" in line.lower()]
    return {"pending_updates": float(len(lines)), "pending_security_updates": float(len(urgent))}


def support(release: tuple[str, str], params: Params, now: float) -> dict[str, float]:
    """What the table says of a release; `listed` 0 when it says nothing, and then there is no `supported`."""
    found = {"listed": 0.0}
    dated = _at(params.pack.get("dated"))
    if dated is not None:
        found["table_age_seconds"] = max(0.0, now - dated)
    row = _row(release, params.pack)
    end, extended = _at(row.get("end")), _at(row.get("extended"))
    if end is None:
        return found
    last = extended if params.extended and extended is not None else end
    found |= {"listed": 1.0, "supported": float(now < last), "support_left_seconds": last - now}
    if extended is not None:
        found["extended_support_left_seconds"] = extended - now
    return found


def _row(release: tuple[str, str], pack: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row of this version, or of its first part (`9` for 9.4)."""
    name, version = release
    rows = {(row.get("id"), str(row.get("version"))): row for row in pack.get("systems") or () if isinstance(row, dict)}
    found: Mapping[str, Any] = rows.get((name, version)) or rows.get((name, version.partition(".")[0])) or {}
    return found


def _at(day: Any) -> float | None:
    """The end of a day in UTC."""
    try:
        return datetime.fromisoformat(str(day)).replace(tzinfo=UTC).timestamp() + 86400.0
    except ValueError:
        return None


def windows_here() -> tuple[str, str]:
    """Blocking. Raises Unseen."""
    names = ("CurrentBuildNumber", "DisplayVersion", "ReleaseId", "EditionID", "InstallationType")
    values = {name: str(registry_value(_CURRENT_VERSION, name) or "") for name in names}
    return windows_release(values)


def windows_release(values: Mapping[str, str]) -> tuple[str, str]:
    """(id, version) of a row in the table. Windows 11 still calls itself 10 in places: the build decides."""
    number = values.get("CurrentBuildNumber", "")
    build = int(number) if number.isdigit() else 0
    edition = values.get("EditionID", "").lower()
    version = (values.get("DisplayVersion") or values.get("ReleaseId") or number).lower()
    if values.get("InstallationType", "").lower().startswith("server"):
        return "windows-server", _SERVERS.get(build, version)
    name = "windows-11" if build >= 22000 else "windows-10"
    if edition.startswith(("enterprises", "iotenterprises")):  # EnterpriseS: the long-term channel
        return f"{name}-ltsc", _LTSC.get(build, version)
    long = edition.startswith(("enterprise", "education", "iotenterprise", "serverrdsh"))
    return f"{name}-{'enterprise' if long else 'pro'}", version


def windows_updates(now: float) -> dict[str, float]:
    """Blocking: age of the newest hot fix. Raises Unseen."""
    on = "@{n='On';e={$_.InstalledOn.ToString('yyyy-MM-dd')}}"
    rows = powershell_json(f"Get-CimInstance Win32_QuickFixEngineering | Select-Object HotFixID,{on}")
    return parse_hotfixes(rows, now)


def parse_hotfixes(rows: list[dict[str, Any]], now: float) -> dict[str, float]:
    """The newest day of those that have one."""
    days = [at for at in (_at(row.get("On")) for row in rows) if at is not None]
    return {"update_age_seconds": max(0.0, now - max(days))} if days else {}
