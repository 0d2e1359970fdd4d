"""Names and passwords with which agents log in to the broker: one file, readable by its owner only."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from healthmon.config import SiteConfig
from healthmon.ingest.pipeline import POLLER
from healthmon.model.errors import ConfigError
from healthmon.model.plan import Broker
from healthmon.runtime.privatefile import write_private

FILE = "identities.json"
#: The server's own name, where the configuration gives none.
SERVER = "healthmon"


class Identities:
    """Password by name. `enrol` and `revoke` write the file; a broker that is ours notices within seconds."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE

    def read(self) -> dict[str, str]:
        """Everyone enrolled; raises ConfigError when the file is there and is none of ours."""
        try:
            found = json.loads(self.path.read_text())
            return {str(name): str(password) for name, password in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as error:
            raise ConfigError([f"{self.path}: cannot be read ({error}); restore it or enrol again"]) from error

    def enrol(self, names: Iterable[str], *, rotate: bool = False) -> list[str]:
        """Give each a password, those who have one only with `rotate`; the names that got a new one."""
        known = self.read()
        fresh = [name for name in names if rotate or name not in known]
        self._write(known | {name: secrets.token_urlsafe(24) for name in fresh})
        return fresh

    def revoke(self, names: Iterable[str]) -> list[str]:
        """Take their passwords away; the names that had one."""
        known, gone = self.read(), set(names)
        self._write({name: password for name, password in known.items() if name not in gone})
        return sorted(gone & known.keys())

    def _write(self, users: dict[str, str]) -> None:
        write_private(self.path, json.dumps(users, indent=1, sort_keys=True) + "\n")


def known_names(site: SiteConfig) -> list[str]:
    """Everyone who may be enrolled: the declared agents and the poller."""
    return sorted({*site.estate.agents, POLLER})


def users_of(site: SiteConfig, *, server_password: str | None) -> tuple[str, dict[str, str]]:
    """(the server's name, password by name with the server's first) for a broker's list of users."""
    users = Identities(site.data_dir).read()
    server = (site.broker.username if site.broker else None) or SERVER
    password = server_password or users.get(server)
    first = {server: password} if password else {}
    return server, first | {name: word for name, word in sorted(users.items()) if name != server}


def enrolled(site: SiteConfig, broker: Broker, name: str) -> Broker:
    """The broker as this agent logs in to it: under its own name once it is enrolled, else as given."""
    password = Identities(site.data_dir).read().get(name)
    return broker if password is None else replace(broker, username=name, password=password)


def own_broker(site: SiteConfig, broker: Broker, name: str) -> Broker:
    """The same for a machine elsewhere, which must not get the server's own password: raises ConfigError then."""
    mine = enrolled(site, broker, name)
    if mine is broker and site.listener is not None:
        raise ConfigError([f"agent '{name}' has no identity on the broker: run `healthmon enrol {name}` first"])
    return mine
