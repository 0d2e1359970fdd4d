"""Who may say what on the broker: users and topic permissions for mosquitto and nats-server. Pure text in, text out."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping

from healthmon.transport import topics

#: What an agent says under its own name, and what it hears.
AGENT_SAYS = ("batch", "lp", "state")
AGENT_HEARS = ("ack", "ask")
#: Passwords are 24 random bytes, so that stretching buys nothing; this is what mosquitto_passwd writes by default.
_ITERATIONS = 101
#: nats-server delivers QoS 1 to MQTT clients over these; without it a limited user's SUBSCRIBE is refused.
_NATS_MQTT = "$MQTT.sub.>"


def mosquitto_acl(site: str, *, server: str) -> str:
    """An `acl_file`: every user under the topics of its own name, `server` in its part. Lists no agents: they come."""
    lines = [
        f"# Topics of healthmon for {site}. A user is an agent's id; %u is the name that it has logged in with.",
        "",
    ]
    lines += [f"user {server}"]
    lines += [f"topic read {topics.every(site, kind)}" for kind in AGENT_SAYS]
    lines += [f"topic write {topics.every(site, kind)}" for kind in AGENT_HEARS]
    lines += [f"topic write {topics.probing(site)}", ""]
    lines += [f"pattern write {topics.ROOT}/{site}/%u/{kind}" for kind in AGENT_SAYS]
    lines += [f"pattern read {topics.ROOT}/{site}/%u/{kind}" for kind in AGENT_HEARS]
    return "\n".join([*lines, f"pattern read {topics.probing(site)}", ""])


def mosquitto_passwords(users: Mapping[str, str]) -> str:
    """A `password_file` of mosquitto 2 (PBKDF2 with SHA-512)."""
    return "".join(f"{name}:{_hashed(password)}\n" for name, password in users.items())


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, 64)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def nats_users(site: str, users: Mapping[str, str], *, server: str) -> str:
    """The inside of nats-server's `authorization { }`: `server` unlimited, every other one under its own name.

    Passwords stand there as they are: a bcrypt of each would cost the broker minutes when a fleet comes back.
    """
    lines = [
        _nats_user(name, password, "" if name == server else _limits(site, name)) for name, password in users.items()
    ]
    return "users: [\n" + "\n".join(lines) + "\n]\n"


def _nats_user(name: str, password: str, limits: str) -> str:
    return f"  {{ user: {quoted(name)}, password: {quoted(password)}{limits} }}"


def _limits(site: str, agent: str) -> str:
    says = [_subject(f"{topics.ROOT}/{site}/{agent}/{kind}") for kind in AGENT_SAYS]
    hears = [_subject(f"{topics.ROOT}/{site}/{agent}/{kind}") for kind in AGENT_HEARS]
    hears += [_subject(topics.probing(site)), _NATS_MQTT]
    return f", permissions: {{ publish: {{ allow: {json.dumps(says)} }}, subscribe: {{ allow: {json.dumps(hears)} }} }}"


def _subject(topic: str) -> str:
    """A topic as nats-server calls it inside; ours have no dots."""
    return topic.replace("/", ".")


def quoted(text: str) -> str:
    """A string in nats-server's configuration language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
