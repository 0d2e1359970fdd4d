"""Ways to reach people. One file and one line here per kind; the libraries are imported when a channel sends."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import msgspec

from healthmon.alerting.notify.lane import Pace
from healthmon.model.ports import Notifier

#: kind -> module:Class. The module also has `Params`, a frozen dataclass, the only argument of the class.
CHANNELS: Mapping[str, str] = {
    "apprise": "healthmon.alerting.notify.chat:Apprise",
    "gateway": "healthmon.alerting.notify.gateway:Gateway",
    "inbox": "healthmon.alerting.notify.inbox:Inbox",
    "jira": "healthmon.alerting.notify.jira:Jira",
    "mail": "healthmon.alerting.notify.mail:Mail",
    "mqtt": "healthmon.alerting.notify.mqtt:Mqtt",
    "opsgenie": "healthmon.alerting.notify.opsgenie:Opsgenie",
    "pagerduty": "healthmon.alerting.notify.pagerduty:PagerDuty",
    "servicenow": "healthmon.alerting.notify.servicenow:ServiceNow",
    "snmptrap": "healthmon.alerting.notify.snmptrap:SnmpTrap",
    "syslog": "healthmon.alerting.notify.syslog:Syslog",
    "webhook": "healthmon.alerting.notify.webhook:Webhook",
}

#: Kinds that keep one record of each incident, as long as it lasts, and wake nobody (alerting/oncall/records.py).
KEEPS_RECORDS = frozenset({"jira", "servicenow"})

#: Kinds that people read one by one: so many messages a minute unless the channel says otherwise, the rest in a digest.
PEOPLE_READ: Mapping[str, float] = {"apprise": 20.0, "gateway": 10.0, "mail": 30.0}


def pace_of(kind: str, per_minute: float | None = None) -> Pace:
    """How fast a channel goes; 0 a minute: as fast as it can. What machines read is never folded."""
    usual = PEOPLE_READ.get(kind, 0.0)
    return Pace(usual if per_minute is None else per_minute, folds=kind in PEOPLE_READ)


def params_type(kind: str) -> type[Any]:
    """The Params of a kind of channel; KeyError for an unknown kind."""
    params: type[Any] = import_module(CHANNELS[kind].partition(":")[0]).Params
    return params


def make_channel(kind: str, params: Mapping[str, Any] | object) -> Notifier:
    """A channel from its validated parameters (a mapping or the Params themselves)."""
    module, _, name = CHANNELS[kind].partition(":")
    wanted = params_type(kind)
    given = params if isinstance(params, wanted) else msgspec.convert(params, wanted)
    notifier: Notifier = getattr(import_module(module), name)(given)
    return notifier
