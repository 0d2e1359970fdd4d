"""`healthmon oncall`: who is on call, schedules, calendars, overrides and swaps, through the server's API."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from healthmon.cli.client import Client
from healthmon.cli.frame import ConfigOption, JsonOption, need_config, person
from healthmon.cli.mutes import moment_s, until
from healthmon.cli.tables import table
from healthmon.model.errors import ConfigError
from healthmon.runtime.clock import SystemClock

_ACTIONS = "now, schedule, export, import, override, swap, end"


def oncall(
    action: Annotated[str, typer.Argument(help=_ACTIONS)] = "now",
    what: Annotated[str | None, typer.Argument(metavar="ID|FILE.ics", help="end: an override; import: a file")] = None,
    rota: Annotated[str | None, typer.Option(help="rota id")] = None,
    user: Annotated[str | None, typer.Option(help="who stands in, or whose shift is swapped")] = None,
    with_: Annotated[str | None, typer.Option("--with", help="swap: the other person")] = None,
    at: Annotated[str | None, typer.Option(help="now: at another moment, 2027-01-31T22:00:00Z")] = None,
    starts: Annotated[str | None, typer.Option(help="from when (default: now)")] = None,
    ends: Annotated[str | None, typer.Option(help="until when: 2027-01-31T22:00:00Z")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="or for how long: 2h, 7d")] = None,
    with_starts: Annotated[str | None, typer.Option(help="swap: the other's shift, from")] = None,
    with_ends: Annotated[str | None, typer.Option(help="swap: the other's shift, until")] = None,
    replaces: Annotated[str | None, typer.Option(help="override: only where this person is on call")] = None,
    reason: Annotated[str, typer.Option(help="why")] = "",
    output: Annotated[Path | None, typer.Option("-o", help="export: where to write it (default: stdout)")] = None,
    by: Annotated[str | None, typer.Option(help="who acts (default: login name)")] = None,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """Who is on call, and who stands in for whom.

    Example: healthmon oncall override --rota net --user net-2 --for 8h --reason "Swapped by telephone"
    """
    site = need_config(config)
    client = Client.of(site, url)
    now = SystemClock().now()
    if action == "now":
        typer.echo(standing(client, at, as_json=json_))
    elif action == "schedule":
        typer.echo(schedule(client, _needed(rota, "--rota"), starts, ends, as_json=json_))
    elif action == "export":
        _export(client, _needed(rota, "--rota"), starts, ends, user, output)
    elif action == "end":
        done = client.post(f"oncall/overrides/{_needed(what, 'the id of the override')}/end", {"by": by or person()})
        typer.echo(json.dumps(done) if json_ else "\n".join(f"{one['id']}: ended" for one in done["overrides"]))
    elif action in ("override", "swap"):
        body: dict[str, Any] = {"by": by or person(), **({"reason": reason} if reason else {})}
        mine = {"user": _needed(user, "--user"), "ends_at": _until(now, starts, ends, for_), "starts_at": starts}
        if action == "override":
            body |= {**mine, "replaces": replaces}
        else:
            mine["starts_at"] = _needed(starts, "--starts")
            other = {"starts_at": _needed(with_starts, "--with-starts"), "ends_at": _needed(with_ends, "--with-ends")}
            body |= {"first": mine, "second": {"user": _needed(with_, "--with"), **other}}
        done = client.post(f"oncall/{_needed(rota, '--rota')}/{action}s", body)
        typer.echo(json.dumps(done) if json_ else _made(done))
    elif action == "import":
        typer.echo(imported(client, site, Path(_needed(what, "a file")), _needed(rota, "--rota"), by or person(), now))
    else:
        raise ConfigError([f"oncall {action}: no such action (allowed: {_ACTIONS})"])


def standing(client: Client, at: str | None, *, as_json: bool) -> str:
    """Every rota with whoever answers, until when, and who is asked next."""
    items = client.items("oncall" if at is None else f"oncall?at={at.replace('+', '%2B')}")
    if as_json:
        return json.dumps(items)
    rows = [
        [one["rota"], _name(one["now"]["user"]), _local(one["now"]["ends_at"], one["timezone"]), _name(one["backup"]),
         _name(one["following"]["user"]), one["pages_in_shift"] or ""]
        for one in items
    ]  # fmt: skip
    return table(["rota", "on call", "until", "if they do not answer", "then", "pages"], rows) if rows else "no rotas"


def schedule(client: Client, rota: str, starts: str | None, ends: str | None, *, as_json: bool) -> str:
    """Shifts and gaps, local time."""
    body = client.get(f"oncall/{rota}{_query(starts, ends)}")
    if as_json:
        return json.dumps(body)
    zone = body["timezone"]
    rows = [
        [_local(s["starts_at"], zone), _local(s["ends_at"], zone), _name(s["user"]), s["via"]] for s in body["shifts"]
    ]
    return table(["from", "until", "on call", "by"], rows)


def imported(client: Client, site: Any, path: Path, rota: str, by: str, now: float) -> str:
    """Events of a calendar as overrides; those that are there already stay."""
    from healthmon.config.rotacalendar import BadCalendar, spans_of

    if rota not in site.oncall.rotas:
        raise ConfigError([f"--rota {rota}: no such rota (allowed: {', '.join(sorted(site.oncall.rotas))})"])
    try:
        zone = site.oncall.rotas[rota].timezone
        spans = list(spans_of(path.read_bytes(), site.oncall.users, timezone=zone, start=now, end=now + 366 * 86_400.0))
    except (OSError, BadCalendar) as error:
        raise ConfigError([f"{path}: {error}"]) from None
    known = {(one["user"], _unix(one["starts_at"]), _unix(one["ends_at"]))
             for one in client.get(f"oncall/{rota}")["overrides"]}  # fmt: skip
    new = [span for span in spans if (span.user, round(span.start), round(span.end)) not in known]
    for span in new:
        times = {"starts_at": _text(span.start), "ends_at": _text(span.end)}
        reason = f"calendar {path.name}"
        client.post(f"oncall/{rota}/overrides", {"user": span.user, "by": by, "reason": reason, **times})
    return f"{len(new)} added, {len(spans) - len(new)} unchanged"


def _export(
    client: Client, rota: str, starts: str | None, ends: str | None, user: str | None, output: Path | None
) -> None:
    more = f"user={user}" if user else ""
    text = client.text(f"oncall/{rota}/calendar{_query(starts, ends, more)}")
    if output is None:
        typer.echo(text)
    else:
        output.write_text(text, encoding="utf-8", newline="")


def _made(done: dict[str, Any]) -> str:
    made = done.get("overrides", [done])
    return "\n".join(f"{one['id']}: {one['user']} from {one['starts_at']} to {one['ends_at']}" for one in made)


def _query(starts: str | None, ends: str | None, more: str = "") -> str:
    given = [f"{name}={value.replace('+', '%2B')}" for name, value in (("start", starts), ("end", ends)) if value]
    given += [more] if more else []
    return "?" + "&".join(given) if given else ""


def _until(now: float, starts: str | None, ends: str | None, for_: str | None) -> str:
    return until(moment_s(starts) if starts else now, ends=ends, for_=for_)


def _needed(value: str | None, name: str) -> str:
    if not value:
        raise ConfigError([f"oncall: say {name}"])
    return value


def _name(user: dict[str, Any] | None) -> str:
    return str(user["name"]) if user else "NOBODY"


def _local(text: str, zone: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M}"


def _unix(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp())


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


COMMANDS = (("oncall", oncall),)
