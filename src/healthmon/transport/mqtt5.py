"""What MQTT 5 (OASIS, 2019) adds where a broker has it: how long a session lasts is said, and what is refused."""

from __future__ import annotations

import logging
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

log = logging.getLogger(__name__)

#: A session that ends with its connection, and one that never does (section 3.1.2.11.2).
_ENDS, _STAYS = 0, 0xFFFFFFFF
_UNSUPPORTED = (1, 132)  # an older broker's return code, and the reason code of a newer one


class ClosedEarly(aiomqtt.MqttError):  # type: ignore[misc]  # aiomqtt's types are Any to whoever checks ours
    """The broker closed the connection before it let us in, and did not say why."""


def session(*, clean: bool) -> Any:
    """Properties of CONNECT: without them a session ends with its connection."""
    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = _ENDS if clean else _STAYS
    return properties


def is_older(error: aiomqtt.MqttError) -> bool:
    """Whether a broker that answers so may know 3.1.1 only."""
    if isinstance(error, ClosedEarly):
        return True
    rc = getattr(error, "rc", None)
    return getattr(rc, "value", rc) in _UNSUPPORTED


def tell_refusals(client: aiomqtt.Client) -> None:
    """Say it, once for each reason, when the broker takes a publish and refuses it: 3.1.1 confirms it as any other."""
    paho: Any = client._client
    heard, told = paho.on_publish, set[str]()

    def published(*answer: Any) -> None:
        reason = answer[3]  # client, user data, number, reason, properties
        if getattr(reason, "is_failure", False) and str(reason) not in told:
            told.add(str(reason))
            log.warning("the broker refuses what is published", extra={"reason": str(reason)})
        heard(*answer)

    paho.on_publish = published
