"""The commands `silences` and `changes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config, person
from healthmon.model.errors import ConfigError
from healthmon.runtime.clock import SystemClock

_Id = Annotated[str | None, typer.Argument(metavar="ID")]
_By = Annotated[str | None, typer.Option(help="who acts (default: login name)")]
_Url = Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")]
_For = Annotated[str | None, typer.Option("--for", help="how long from now: 30m, 2h, 1d")]
_Ends = Annotated[str | None, typer.Option(help="or until when: 2027-01-31T22:00:00Z")]
_Starts = Annotated[str | None, typer.Option(help="from when (default: now)")]
_Repeat = Annotated[str | None, typer.Option(help="RRULE in local time, e.g. FREQ=WEEKLY;BYDAY=TU")]
_Approved = Annotated[str | None, typer.Option(help="a second named person: lifts the clinical floor for at most 4 h")]
_Reason = Annotated[str, typer.Option(help="why")]
_Owner = Annotated[str | None, typer.Option(help="who answers for it: a team or a person (default: who acts)")]
_All = Annotated[bool, typer.Option("--all", help="list those that are over too")]


def silences(
    action: Annotated[str, typer.Argument(help="list, add, end, extend, preview, review")] = "list",
    id_: _Id = None,
    target: Annotated[str | None, typer.Option(help="target id; * and ? stand for any text")] = None,
    area: Annotated[str | None, typer.Option(help="area id")] = None,
    rule: Annotated[str | None, typer.Option(help="rule id")] = None,
    check: Annotated[str | None, typer.Option(help="check id")] = None,
    kind: Annotated[str | None, typer.Option(help="kind of target")] = None,
    site: Annotated[str | None, typer.Option(help="site id")] = None,
    reason: _Reason = "",
    owner: _Owner = None,
    for_: _For = None,
    ends: _Ends = None,
    starts: _Starts = None,
    repeat: _Repeat = None,
    approved_by: _Approved = None,
    break_glass: Annotated[
        bool, typer.Option(help="lift the clinical floor alone, at most 1 h, told and reviewed")
    ] = False,
    by: _By = None,
    everything: _All = False,
    config: ConfigOption = None,
    url: _Url = None,
    json_: JsonOption = False,
) -> None:
    """Hold back pages of what matches. The board shows everything; recoveries and last ways of care are never silenced.

    Example: healthmon silences add --target sw-ward7 --for 2h --reason "Noisy until the new module comes"
    """
    from healthmon.cli import mutes
    from healthmon.cli.client import Client

    client = Client.of(need_config(config), url)
    match = {"target": target, "area": area, "rule": rule, "check": check, "kind": kind, "site": site}
    if action in ("add", "preview"):
        body = {
            "match": {name: value for name, value in match.items() if value},
            "reason": reason or ("preview" if action == "preview" else ""),
            "by": by or person(),
            "owner": owner or by or person(),
            "floor": "break_glass" if break_glass else "two_people" if approved_by else "keep",
            **_times(for_ or ("1h" if action == "preview" and not ends else None), ends, starts, repeat, approved_by),
        }
        if not reason and action == "add":
            raise ConfigError(["silences add: say why (--reason)"])
        do = mutes.made if action == "add" else mutes.previewed
        typer.echo(do(client, "silences", body, as_json=json_))
        return
    typer.echo(_others(client, "silences", action, id_, by, for_, ends, everything=everything, as_json=json_))


def changes(
    action: Annotated[str, typer.Argument(help="list, add, import, end, extend, preview")] = "list",
    id_: Annotated[str | None, typer.Argument(metavar="ID|FILE.ics")] = None,
    title: Annotated[str, typer.Option(help="what is done")] = "",
    target: Annotated[list[str] | None, typer.Option(help="target or service worked on, repeated")] = None,
    expected: Annotated[
        list[str] | None, typer.Option(help="rule, check, reason, down, degraded or warning, repeated")
    ] = None,
    reason: _Reason = "",
    owner: _Owner = None,
    for_: _For = None,
    ends: _Ends = None,
    starts: _Starts = None,
    repeat: _Repeat = None,
    approved_by: _Approved = None,
    dry_run: Annotated[bool, typer.Option(help="import: say what would happen")] = False,
    by: _By = None,
    everything: _All = False,
    config: ConfigOption = None,
    url: _Url = None,
    json_: JsonOption = False,
) -> None:
    """Planned work: expected signals page nobody in its window; everything else pages and is put down to it.

    Example: healthmon changes add --title "Core firmware" --target sw-core-a --expected down --for 2h
    """
    from healthmon.cli import mutes
    from healthmon.cli.calendarimport import imported
    from healthmon.cli.client import Client

    loaded = need_config(config)
    client = Client.of(loaded, url)
    now = SystemClock().now()
    if action == "import":
        if id_ is None:
            raise ConfigError(["changes import: which file? (for example changes.ics)"])
        text, code = imported(
            client, Path(id_), by=by or person(), timezone=loaded.estate.organisation.timezone,
            targets=target or [], expected=expected or [], now=now, preview=dry_run, as_json=json_,
        )  # fmt: skip
        typer.echo(text)
        raise typer.Exit(code)
    if action in ("add", "preview"):
        body = {
            "title": title or ("preview" if action == "preview" else ""),
            "targets": target or [],
            "expected": expected or [],
            "owner": owner or by or person(),
            "reason": reason,
            "by": by or person(),
            "floor": "two_people" if approved_by else "keep",
            "starts_at": mutes.until(now, ends=None, for_="0m"),
            **_times(for_ or ("1h" if action == "preview" and not ends else None), ends, starts, repeat, approved_by),
        }
        if not body["title"]:
            raise ConfigError(["changes add: say what is done (--title)"])
        do = mutes.made if action == "add" else mutes.previewed
        typer.echo(do(client, "changes", body, as_json=json_))
        return
    typer.echo(_others(client, "changes", action, id_, by, for_, ends, everything=everything, as_json=json_))


def _times(
    for_: str | None, ends: str | None, starts: str | None, repeat: str | None, approved_by: str | None
) -> dict[str, Any]:
    """The parts of a body that may be left out; `--for` counts from the start."""
    from healthmon.cli.mutes import moment_s, until

    now = moment_s(starts) if starts else SystemClock().now()
    given = {"starts_at": starts, "repeat": repeat, "approved_by": approved_by}
    return {"ends_at": until(now, ends=ends, for_=for_)} | {name: value for name, value in given.items() if value}


def _others(
    client: Any, noun: str, action: str, id_: str | None, by: str | None, for_: str | None, ends: str | None, *,
    everything: bool, as_json: bool,
) -> str:  # fmt: skip
    from healthmon.cli import mutes

    if action == "list":
        return mutes.listing(client, noun, everything=everything, as_json=as_json)
    allowed = ("end", "extend", "review") if noun == "silences" else ("end", "extend")
    if action not in allowed:
        known = ", ".join(("list", "add", "preview", *allowed, *(("import",) if noun == "changes" else ())))
        raise ConfigError([f"{noun} {action}: no such action (allowed: {known})"])
    if id_ is None:
        raise ConfigError([f"{noun} {action}: which one? `healthmon {noun} list` shows the ids"])
    body = {"by": by or person()}
    if action == "extend":
        body["ends_at"] = mutes.until(SystemClock().now(), ends=ends, for_=for_)
    return mutes.acted(client, noun, id_, action, body, as_json=as_json)


COMMANDS = (("silences", silences), ("changes", changes))
