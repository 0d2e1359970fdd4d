"""`healthmon report`: the monthly service health check as one page to print, with its JSON beside it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config
from healthmon.model.errors import ConfigError


def report(
    month: Annotated[str | None, typer.Option(help="which month, 2026-11; default: the last whole one")] = None,
    area: Annotated[str | None, typer.Option(help="of one area only")] = None,
    output: Annotated[Path | None, typer.Option("-o", help="the page; its JSON goes beside it")] = None,
    tickets: Annotated[Path | None, typer.Option(help="an export of the service desk, CSV or JSON")] = None,
    map_: Annotated[str, typer.Option("--map", help="how to read it: a shipped map or a file")] = "servicenow",
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """The monthly service health check: who was first, what wards had, what it cost them, what was done.

    Example: healthmon report --month 2026-11 -o november.html
    """
    site = need_config(config)
    if area is not None and area not in site.estate.areas:
        raise ConfigError([f"--area {area}: no such area (allowed: {', '.join(sorted(site.estate.areas))})"])
    record, parts = asyncio.run(_gather(site, month, area, _tickets(site, tickets, map_)))
    from healthmon.reports.healthcheck import as_data
    from healthmon.reports.page import html

    data = as_data(record, parts, area=area)
    if json_:
        typer.echo(json.dumps(data, indent=1, sort_keys=True))
    if output is None and json_:
        return
    page = output or Path(f"service-health-check-{record.period.name}{f'-{area}' if area else ''}.html")
    page.write_text(html(record, parts, area=area), encoding="utf-8")
    page.with_suffix(".json").write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    typer.echo(f"{page} and {page.with_suffix('.json').name}: {len(record.raised)} incidents", err=json_)


async def _gather(site: Any, month_name: str | None, area: str | None, tickets: list[Any]) -> tuple[Any, list[Any]]:
    from healthmon.app.reporting import asking, journal_of, record_of
    from healthmon.reports.healthcheck import sections
    from healthmon.reports.period import month
    from healthmon.runtime.clock import SystemClock

    period = month(month_name, now=SystemClock().now(), timezone=site.estate.organisation.timezone)
    journal = journal_of(site)
    try:
        ask, close = asking(site)
        try:
            record = await record_of(
                site, period, ask=ask, journal=journal, tickets=tickets, area=area, progress=progress_bar()
            )
            return record, sections(record)
        finally:
            await close()
    finally:
        journal.close()


def _tickets(site: Any, file: Path | None, map_: str) -> list[Any]:
    """What could not be read is said, and the rest counts."""
    if file is None:
        return []
    from healthmon.config.tickets import read_ticket_map, read_tickets

    found, problems = read_tickets(file, read_ticket_map(map_), site.estate)
    for problem in problems[:20]:
        typer.echo(problem, err=True)
    if problems:
        typer.echo(f"{len(problems)} rows of {file} are left out", err=True)
    return found


def progress_bar() -> Any:
    """On a terminal, a line that fills; else nothing."""
    from healthmon.app.reporting import silent

    if not sys.stderr.isatty():
        return silent

    def show(done: int, of: int, what: str) -> None:
        share = done / of if of else 1.0
        filled = round(30 * share)
        end = "\n" if done >= of else ""
        sys.stderr.write(f"\r{what} [{'#' * filled}{'.' * (30 - filled)}] {share:4.0%}{end}")
        sys.stderr.flush()

    return show


COMMANDS = (("report", report),)
