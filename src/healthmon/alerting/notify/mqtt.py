"""A channel that publishes to any MQTT broker, at QoS 1: light towers, home-made boards, automation."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec

from healthmon.alerting.notify.httpcalls import checked_timeout
from healthmon.alerting.notify.message import payload
from healthmon.model.incident import Notice
from healthmon.model.ports import Dead, Retry, Sent


@dataclass(frozen=True, slots=True)
class Params:
    """url: mqtt://host:1883 or mqtts://host:8883; topic may hold `{severity}` and `{incident}`."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    url: str
    topic: str = "healthmon/notices/{severity}"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    retain: bool = False
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        checked_timeout(self.timeout_s)
        if not self.url.startswith(("mqtt://", "mqtts://")) or not urlsplit(self.url).hostname:
            raise ValueError("url must be mqtt://host:port or mqtts://host:port")
        if any(sign in self.topic for sign in "+#"):
            raise ValueError("topic must not hold + or #")


class Mqtt:
    """One connection a message. The broker's PUBACK is all that `sent` means; no person has seen anything."""

    def __init__(self, params: Params) -> None:
        self._params = params

    async def send(self, notice: Notice) -> Sent | Retry | Dead:
        """The JSON of a webhook, with the key in it."""
        import aiomqtt

        params, url = self._params, urlsplit(self._params.url)
        context = ssl.create_default_context(cafile=params.ca_file) if url.scheme == "mqtts" else None
        topic = params.topic.format(severity=notice.severity, incident=notice.incident)
        try:
            async with aiomqtt.Client(
                url.hostname or "", url.port or (8883 if context else 1883), username=params.username,
                password=params.password, tls_context=context, timeout=params.timeout_s,
            ) as client:  # fmt: skip
                body = msgspec.json.encode(payload(notice))
                await client.publish(topic, body, qos=1, retain=params.retain, timeout=params.timeout_s)
        except aiomqtt.MqttCodeError as error:
            return Dead("the broker refuses this user") if _not_allowed(error) else Retry(f"MQTT {error.rc}")
        except aiomqtt.MqttError as error:
            return Dead("the broker refuses this user") if _not_allowed(error) else Retry(type(error).__name__)
        except OSError as error:
            return Retry(type(error).__name__)
        return Sent("taken by the broker")


def _not_allowed(error: Exception) -> bool:
    """Bad user name or password, or not authorised: MQTT 3.1.1 return codes 4 and 5, reasons 134 and 135 of MQTT 5."""
    words = str(error).casefold()
    return "not authori" in words or "bad user name" in words
