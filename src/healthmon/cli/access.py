"""The commands `users`, `tokens` and `audit`."""

from __future__ import annotations

import getpass
import json
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config, person
from healthmon.cli.tables import table
from healthmon.model.errors import ConfigError, Conflict, NotFound
from healthmon.runtime.auditlog import FILE as AUDIT_FILE
from healthmon.runtime.auditlog import AuditLog, Deed, verify
from healthmon.runtime.clock import SystemClock

if TYPE_CHECKING:
    from healthmon.web.accounts import Account, Accounts

ACTIONS = ("list", "add", "passwd", "set", "disable", "enable")
_Url = Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")]


class RoleWord(StrEnum):
    """Each holds those before it."""

    VIEW = "view"
    ACT = "act"
    SILENCE = "silence"
    CONFIGURE = "configure"


def users(
    action: Annotated[str, typer.Argument(help=", ".join(ACTIONS))] = "list",
    user: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    name: Annotated[str | None, typer.Option(help="the name that people read (default: the id)")] = None,
    role: Annotated[RoleWord | None, typer.Option(help="what they may do")] = None,
    group: Annotated[list[str] | None, typer.Option(help="a group, repeated; web.groups says what it may")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Local users of the board: who they are and what they may do. Taken over at once, without a restart.

    The password is asked for twice at a terminal, else it is the first line of the standard input; it never stands on
    the command line.

    Example: healthmon users add dana --name "Dana Example" --role act; healthmon users disable dana
    """
    from healthmon.web.accounts import FILE, Accounts

    site = need_config(config)
    accounts = Accounts(site.data_dir / FILE)
    if action == "list":
        typer.echo(listed(accounts, as_json=json_))
        return
    if action not in ACTIONS:
        raise ConfigError([f"users {action}: no such action (allowed: {', '.join(ACTIONS)})"])
    if user is None:
        raise ConfigError([f"users {action}: whom?"])
    changed = change(accounts, action, user, name=name, role=role, groups=group)
    AuditLog(site.data_dir / AUDIT_FILE, now=SystemClock().now).append(
        Deed(f"cli:{person()}", f"users {action}", about=changed.id, detail=words_of(changed))
    )
    typer.echo(json.dumps(changed.as_json()) if json_ else f"{changed.id}: {words_of(changed)}")


def change(
    accounts: Accounts, action: str, user: str, *, name: str | None, role: RoleWord | None, groups: list[str] | None
) -> Account:
    """Do it, and give the user as it is then."""
    from healthmon.web.accounts import Account, checked_id
    from healthmon.web.permissions import Role

    given: dict[str, Any] = {"name": name} if name else {}
    given |= {"role": Role(role)} if role else {}
    given |= {"groups": tuple(groups)} if groups is not None else {}
    if action == "add":
        if role is None and not groups:
            raise ConfigError(["users add: what may they do? give --role, or a --group that has one in web.groups"])
        made = Account(checked_id(user), name or user, given.get("role"), given.get("groups", ()))
        accounts.put(made, password=asked_password(), new=True)
        return made
    found = accounts.get(user)
    if action == "set":
        found = replace(found, **given)
    if action in ("disable", "enable"):
        found = replace(found, disabled=action == "disable")
    accounts.put(found, password=asked_password() if action == "passwd" else None)
    return found


def asked_password() -> str:
    """From the terminal, twice, or the first line of a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("New password: ")
    if getpass.getpass("Again: ") != first:
        raise ConfigError(["the two are not the same"])
    return first


def listed(accounts: Accounts, *, as_json: bool) -> str:
    everyone = sorted(accounts.all().values(), key=lambda one: one.id)
    if as_json:
        return json.dumps([one.as_json() for one in everyone])
    if not everyone:
        return "no users: whoever has the site's token signs in with it (healthmon users add ID --role act)"
    return table(("user", "name", "may"), [(one.id, one.name, words_of(one)) for one in everyone])


def words_of(account: Account) -> str:
    groups = f"groups {', '.join(account.groups)}" if account.groups else ""
    parts = [part for part in (account.role or "", groups) if part]
    return "disabled" if account.disabled else " and ".join(parts) or "nothing"


def tokens(
    action: Annotated[str, typer.Argument(help="list, add, revoke")] = "list",
    name: Annotated[str | None, typer.Argument(metavar="NAME|ID", help="add: what it is for; revoke: its id")] = None,
    role: Annotated[RoleWord, typer.Option(help="what it may do")] = RoleWord.VIEW,
    days: Annotated[float, typer.Option(help="how long it is good for")] = 365.0,
    config: ConfigOption = None,
    url: _Url = None,
    json_: JsonOption = False,
) -> None:
    """API tokens for other tools: one for each, with a role and an end. The text is shown once and kept nowhere.

    Example: healthmon tokens add grafana --role view --days 90
    """
    from healthmon.cli.client import Client

    client = Client.of(need_config(config), url)
    if action == "list":
        found = client.items("tokens")
        rows = [(t["id"], t["name"], t["role"], t["state"], t["expires_at"] or "never", t["made_by"]) for t in found]
        heads = ("id", "for", "may", "state", "until", "made by")
        typer.echo(json.dumps(found) if json_ else table(heads, rows) if rows else "no API tokens")
        return
    if action not in ("add", "revoke"):
        raise ConfigError([f"tokens {action}: no such action (allowed: list, add, revoke)"])
    if name is None:
        raise ConfigError([f"tokens {action}: {'what is it for' if action == 'add' else 'which one'}?"])
    if action == "revoke":
        done = client.post(f"tokens/{name}/revoke", {"by": person()})
        typer.echo(json.dumps(done) if json_ else f"{done['id']}: revoked")
        return
    made = client.post("tokens", {"name": name, "role": role, "days": days, "by": person()})
    if json_:
        typer.echo(json.dumps(made))
        return
    typer.echo(f"{made['id']} may {role} until {made['expires_at']}", err=True)
    typer.echo(made["token"])


def audit(
    check: Annotated[bool, typer.Option("--verify", help="read the whole chain; exit 1 when it is broken")] = False,
    head: Annotated[str | None, typer.Option(help="with --verify: a hash noted earlier, which must be in it")] = None,
    who: Annotated[str | None, typer.Option(help="only this identity, e.g. user:dana")] = None,
    limit: Annotated[int, typer.Option(help="how many of the newest")] = 50,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Who did what, who was refused, when and from where. Each line is bound to the one before by its hash.

    Example: healthmon audit --verify
    """
    path = need_config(config).data_dir / AUDIT_FILE
    if not path.exists():
        raise NotFound(f"{path}: no audit yet; a server writes it")
    if check:
        typer.echo(verified(path, head, as_json=json_))
        return
    kept = AuditLog(path, now=SystemClock().now)
    rows = [row for row in kept.rows() if who is None or row.get("who") == who][-limit:]
    if json_:
        typer.echo(json.dumps(rows))
        return
    heads = ("at", "who", "as", "what", "about", "from", "result")
    names = ("at", "who", "by", "what", "about", "source", "result")
    typer.echo(table(heads, [[row.get(name, "") for name in names] for row in rows]))


def verified(path: Path, head: str | None, *, as_json: bool) -> str:
    """The verdict in words; raises with every problem."""
    found = verify(path)
    problems = list(found.problems)
    if head and not any(row.get("hash") == head for row in AuditLog(path, now=SystemClock().now).rows()):
        problems.append(f"no line has the hash {head}: the end was cut off, or all of it was written anew")
    if problems:
        raise Conflict("\n".join([f"the audit is broken ({len(problems)})", *problems[:50]]))
    if as_json:
        return json.dumps({"entries": found.entries, "head": found.head, "whole": True})
    return f"whole: {found.entries} entries, head {found.head} (note it elsewhere)"


COMMANDS = (("users", users), ("tokens", tokens), ("audit", audit))
