"""A channel through apprise: one of its chat and push services (Teams, Slack, Matrix, ntfy, Pushover and others)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from healthmon.alerting.notify.httpcalls import checked_timeout
from healthmon.alerting.notify.message import read_status
from healthmon.model.incident import Notice, Why
from healthmon.model.ports import Dead, Retry, Sent

_KIND = {1: "failure", 2: "failure", 3: "warning", 4: "info", 5: "info"}
_ENDED = (Why.MITIGATED, Why.RESOLVED)
#: How apprise's plugins write the HTTP status of a refusal into their log.
_STATUS = re.compile(r"error[=: ]+(\d{3})\b")


@dataclass(frozen=True, slots=True)
class Params:
    """url: one service as apprise writes it (`ntfys://ntfy.example/oncall`); it holds secrets and is never printed."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str = field(repr=False)
    timeout_s: float = 15.0

    def __post_init__(self) -> None:
        checked_timeout(self.timeout_s)
        if "://" not in self.url or any(sign.isspace() for sign in self.url):
            raise ValueError("url must be one apprise URL (service://...)")


class Apprise:
    """One service a channel, so that a retry goes to nobody who has it. The key ends the text."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._service: Any = None

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """`async_notify`, and what its log says of a refusal; without a status it is worth another try."""
        try:
            service = self._opened()
        except ImportError:
            return Dead("apprise is not installed: pip install 'healthmon[chat]'")
        if service is None:
            return Dead("apprise knows no service of this URL")
        kind = "success" if notice.why in _ENDED else _KIND.get(notice.severity, "info")
        body = f"{notice.text}\n({'repeat, ' if notice.repeat else ''}healthmon {notice.key})"
        try:
            async with asyncio.timeout(self._params.timeout_s):
                result = await service.async_notify(body=body, title=notice.subject, notify_type=kind)
        except TimeoutError:
            return Retry(f"no answer in {self._params.timeout_s:g} s")
        return Sent("taken") if result else refused(list(_log_of(result)))

    def _opened(self) -> Any:
        import apprise

        if self._service is None:
            made = apprise.Apprise(asset=apprise.AppriseAsset(app_id="healthmon", async_mode=True))
            self._service = made if made.add(self._params.url) else None
        return self._service


def refused(log: list[str]) -> Retry | Dead:
    """The status of the service, if a plugin logged one. The log itself may hold secrets and goes nowhere."""
    codes = [int(code) for line in log for code in _STATUS.findall(line)]
    answer = read_status(codes[-1]) if codes else Retry("the service did not take it")
    return answer if isinstance(answer, Retry | Dead) else Retry("the service did not take it")


def _log_of(result: Any) -> Iterator[str]:
    """Newer versions of apprise give the log with the result; older ones only say no."""
    with contextlib.suppress(AttributeError, TypeError):
        for entry in result.logs():
            yield str(getattr(entry, "message", entry))
