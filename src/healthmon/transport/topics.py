"""The topic tree `healthmon/v1/<site>/<agent>/<kind>`: the only place that spells it."""

from __future__ import annotations

import re
from typing import NamedTuple

ROOT = "healthmon/v1"
_LEVEL = r"[a-z0-9][a-z0-9_-]{0,62}"
_TOPIC = re.compile(rf"healthmon/v1/({_LEVEL})/({_LEVEL})/(batch|lp|state|ack|ask)")


class Topic(NamedTuple):
    """A parsed topic. kind: batch, lp, state, ack or ask."""

    site: str
    agent: str
    kind: str


def parse(topic: str) -> Topic | None:
    """The parts of one of our topics, or None when it is not one."""
    found = _TOPIC.fullmatch(topic)
    return Topic(*found.groups()) if found else None


def batch(site: str, agent: str) -> str:
    """Readings, agent to server, QoS 1."""
    return f"{ROOT}/{site}/{agent}/batch"


def lp(site: str, agent: str) -> str:
    """Influx line protocol of any other tool."""
    return f"{ROOT}/{site}/{agent}/lp"


def state(site: str, agent: str) -> str:
    """Retained presence hint and last will."""
    return f"{ROOT}/{site}/{agent}/state"


def ack(site: str, agent: str) -> str:
    """Durable ranges, server to agent."""
    return f"{ROOT}/{site}/{agent}/ack"


def ask(site: str, agent: str) -> str:
    """Probe this now, server to agent."""
    return f"{ROOT}/{site}/{agent}/ask"


def probing(site: str) -> str:
    """The stop button, retained, from the server to every agent of a site."""
    return f"{ROOT}/{site}/probing"


def every(site: str, kind: str) -> str:
    """The filter for one kind from every agent of a site."""
    return f"{ROOT}/{site}/+/{kind}"
