"""The thin port to Windows: the few calls that collectors make there. Never run on Windows; parsers stand elsewhere."""

from __future__ import annotations

import json
import sys
from typing import Any

from healthmon.collectors.commands import run
from healthmon.collectors.look import Unseen
from healthmon.model.sample import Reason


def powershell_json(script: str) -> list[dict[str, Any]]:
    """What a script of ours prints through ConvertTo-Json: always a list. Raises Unseen."""
    text = run(["powershell.exe", "-NoProfile", "-NonInteractive", "-Command", f"{script} | ConvertTo-Json -Compress"])
    return json_rows(text)


def json_rows(text: str) -> list[dict[str, Any]]:
    """ConvertTo-Json gives nothing for no object, a mapping for one and a list for several. Raises Unseen."""
    if not text.strip():
        return []
    try:
        found = json.loads(text.lstrip("\ufeff"))
    except ValueError:
        raise Unseen(Reason.NO_ANSWER, "PowerShell did not answer in JSON") from None
    rows = found if isinstance(found, list) else [found]
    return [row for row in rows if isinstance(row, dict)]


def events_xml(log: str, which: str, *, most: int, window_s: float | None = None) -> str:
    """Events as XML, newest first, without their rendered messages. Raises Unseen.

    which: a condition on their System part, as XPath; window_s: none that is older.
    """
    recent = f" and TimeCreated[timediff(@SystemTime) <= {int(window_s * 1000)}]" if window_s is not None else ""
    return run(["wevtutil.exe", "qe", log, f"/q:*[System[({which}){recent}]]", "/f:xml", f"/c:{most}", "/rd:true"])


def registry_value(key: str, name: str) -> Any:
    """A value below HKEY_LOCAL_MACHINE; None when it is not there. Raises Unseen elsewhere than on Windows."""
    if sys.platform != "win32":
        raise Unseen(Reason.NO_LIBRARY, "there is no registry on this platform")
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
            return winreg.QueryValueEx(opened, name)[0]
    except FileNotFoundError:
        return None


def registry_key_exists(key: str) -> bool:
    """Whether a key below HKEY_LOCAL_MACHINE is there."""
    if sys.platform != "win32":
        raise Unseen(Reason.NO_LIBRARY, "there is no registry on this platform")
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key):
            return True
    except FileNotFoundError:
        return False


def service_status(name: str) -> tuple[str, str] | None:
    """(status, start type) of a service as psutil names them; None for one that is not installed."""
    if sys.platform != "win32":
        raise Unseen(Reason.NO_LIBRARY, "there are no Windows services on this platform")
    import psutil

    try:
        service = psutil.win_service_get(name)
        return str(service.status()), str(service.start_type())
    except psutil.NoSuchProcess:
        return None
