"""`healthmon whatif`: what a piece of work would take away from whom, and when it hurts least."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config
from healthmon.model.errors import ConfigError
from healthmon.model.incident import ServiceState
from healthmon.model.mute import When

#: Targets that planned work takes down, and when.
Work = tuple[frozenset[str], When]
#: Four weeks: longer than any roster is true.
WINDOW_MOST_S = 28 * 86_400.0


def whatif(
    down: Annotated[str, typer.Option(help="targets or services that are taken down, separated by commas")],
    at: Annotated[str | None, typer.Option(help="when (2026-11-23T14:00, local time of the site); default now")] = None,
    window: Annotated[str | None, typer.Option(help="find the least harmful time in the next 24h, 7d ...")] = None,
    lasts: Annotated[str, typer.Option(help="how long the work takes, with --window")] = "1h",
    live: Annotated[bool, typer.Option("--live", help="ask the server: what fails now stays down")] = False,
    fail_on: Annotated[str | None, typer.Option(help="exit 1 if anything is `lost`, or even `at_risk`")] = None,
    config: ConfigOption = None,
    url: Annotated[
        str | None, typer.Option(help="the server's URL for --live; default: from the configuration")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Which areas would lose which services, which would have no spare left, and how severe that is at that hour.

    Example: healthmon whatif --down sw-ward7 --window 24h --fail-on lost
    """
    from healthmon.runtime.clock import SystemClock

    if fail_on not in (None, "lost", "at_risk"):
        raise ConfigError([f"--fail-on {fail_on}: is not known (allowed: lost, at_risk)"])
    site = need_config(config)
    names = _known(site, down) | (_failing(site, url) if live else frozenset())
    now = SystemClock().now()
    work = _entered(site, url) if live else _configured(site)
    moment = _moment(site, at, now)
    report = asked(site, names, at=moment, window_s=_seconds(window), lasts_s=_seconds(lasts) or 0.0, work=work)
    report["planned_from"] = "server" if live else "configuration"
    typer.echo(json.dumps(report) if json_ else words(site, report))
    raise typer.Exit(1 if _fails(report, fail_on) else 0)


def asked(
    site: Any, down: frozenset[str], *, at: float, window_s: float | None, lasts_s: float, work: Sequence[Work]
) -> dict[str, Any]:
    """The answer as plain data; with a window, at its best time. work: what is planned, and when."""
    from healthmon.alerting.mutes.windows import windows_between
    from healthmon.impact.hours import Calendar
    from healthmon.impact.whatif import WhatIf, behind

    until = at + (window_s or 0.0) + lasts_s
    planned = [(start, end, targets) for targets, when in work for start, end in windows_between(when, at, until)]
    question = WhatIf(site.estate, site.severity, Calendar(site.estate, site.holidays).staffed, planned)
    report: dict[str, Any] = {"down": sorted(down), "behind": list(behind(site.estate, down))}
    if window_s is not None:
        best, worst = question.least_harmful(down, now=at, within_s=window_s, lasts_s=lasts_s)
        report["window"] = {
            "from": _stamp(best.start),
            "to": _stamp(best.end),
            "harm": list(best.worst.harm),
            "worst_would_be": {
                "from": _stamp(worst.start),
                "severity": worst.worst.score.severity,
                "harm": list(worst.worst.harm),
            },
        }
        return report | _as_data(site, best.worst)
    return report | _as_data(site, question.outlook(down, at))


def _as_data(site: Any, outlook: Any) -> dict[str, Any]:
    rows = [
        {
            "area": loss.area,
            "service": loss.service,
            "state": loss.state.value,
            "staffed": loss.area in outlook.staffed,
            "paths": {"left": loss.paths.left, "of": loss.paths.of, "exact": loss.paths.exact},
            "now_alone": list(loss.spares_gone),
            "fallback": (f := site.estate.services[loss.service].fallback) and f.text,
        }
        for loss in outlook.losses
    ]
    score = {"severity": outlook.score.severity, "impact_level": outlook.score.impact, "urgency": outlook.score.urgency}
    also = sorted(outlook.down)
    return {"at": _stamp(outlook.at), **score, "mapped": outlook.mapped, "down_then": also, "losses": rows}


def words(site: Any, report: dict[str, Any]) -> str:
    """For a change ticket."""
    from healthmon.impact.hours import Calendar

    calendar = Calendar(site.estate)
    place = next(iter(site.estate.sites))

    def clock(stamp: str) -> str:
        return calendar.local(place, datetime.fromisoformat(stamp).timestamp()).strftime("%a %d %b %Y %H:%M %Z")

    lines = [f"down: {', '.join(report['down'])}"]
    planned = sorted(set(report["down_then"]) - set(report["down"]))
    if planned:
        lines.append(f"also down then, by the change calendar: {', '.join(planned)}")
    if "window" in report and report["planned_from"] == "configuration":
        lines.append("planned work that was entered on the server is not counted (--live asks for it)")
    if report["behind"]:
        lines.append(f"behind it: {_some(report['behind'])}")
    if "window" in report:
        found = report["window"]
        worst = found["worst_would_be"]
        lines.append(f"least harmful: {clock(found['from'])} to {clock(found['to'])}; at its worst moment:")
        same = worst["harm"] == found["harm"]
        start = f"the most harmful start would be {clock(worst['from'])}, severity {worst['severity']}"
        lines.append("  (no start in this window is better than another)" if same else f"  ({start})")
    level = f"severity {report['severity']} (impact {report['impact_level']}, urgency {report['urgency']})"
    lines.append(f"at {clock(report['at'])}: {level}")
    if not report["losses"]:
        known = "nothing is lost, and every spare is left" if report["mapped"] else "clinical impact not known"
        lines.append(known if report["mapped"] else f"{known}: not everything that is down is mapped to services")
    lines += _section(site, report, ServiceState.LOST, "not available")
    lines += _section(site, report, ServiceState.AT_RISK, "working, no spare route left")
    return "\n".join(lines)


def _section(site: Any, report: dict[str, Any], state: ServiceState, title: str) -> list[str]:
    """By area: its services, and for what is lost what people would use instead."""
    areas: dict[str, list[dict[str, Any]]] = {}
    for loss in report["losses"]:
        if loss["state"] == state.value:
            areas.setdefault(loss["area"], []).append(loss)
    lines = ["", f"{title}:"] if areas else []
    for area, losses in areas.items():
        lines.append(f"  {_area(site.estate.areas[area], staffed=losses[0]['staffed'])}")
        losses.sort(key=lambda loss: (site.estate.services[loss["service"]].tier, loss["service"]))
        if state is ServiceState.LOST:
            lines += [f"    {_service(site, loss)}" for loss in losses]
        else:
            names = [site.estate.services[loss["service"]].name for loss in losses]
            alone = sorted({id_ for loss in losses for id_ in loss["now_alone"]})
            lines.append(f"    {', '.join(names)}" + (f"; would then hang on {_some(alone)}" if alone else ""))
    return lines


def _area(area: Any, *, staffed: bool) -> str:
    beds = f" with {area.beds} beds" if area.beds else ""
    return f"{area.name}{beds}" + ("" if staffed else ", nobody there then")


def _service(site: Any, loss: dict[str, Any]) -> str:
    service = site.estate.services[loss["service"]]
    return f"{service.name} (tier {service.tier}); instead: {loss['fallback'] or 'nothing is declared'}"


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _fails(report: dict[str, Any], fail_on: str | None) -> bool:
    states = {loss["state"] for loss in report["losses"]}
    return bool(states & ({"lost"} if fail_on == "lost" else {"lost", "at_risk"} if fail_on else set()))


def _known(site: Any, text: str) -> frozenset[str]:
    from healthmon.config.problems import did_you_mean

    names = [name.strip() for name in text.split(",") if name.strip()]
    known = set(site.estate.targets) | set(site.estate.services)
    unknown = [f"--down {name}: no such target or service{did_you_mean(name, known)}" for name in names
               if name not in known]  # fmt: skip
    if unknown or not names:
        raise ConfigError(unknown or ["--down: name at least one target or service"])
    return frozenset(names)


def _failing(site: Any, url: str | None) -> frozenset[str]:
    from healthmon.cli.client import Client

    found = Client.of(site, url).items("targets?outcome=failed")
    return frozenset(one["id"] for one in found if one["id"] in site.estate.targets)


def _configured(site: Any) -> list[Work]:
    return [(frozenset(change.targets), change.when) for change in site.changes]


def _entered(site: Any, url: str | None) -> list[Work]:
    """Planned work as the server has it: of its configuration, of calendars, and what people entered."""
    from healthmon.cli.client import Client

    return [
        (frozenset(one["targets"]), _when(one)) for one in Client.of(site, url).items("changes") if not one["ended_at"]
    ]


def _when(change: dict[str, Any]) -> When:
    starts_at, ends_at = (datetime.fromisoformat(change[key]).timestamp() for key in ("starts_at", "ends_at"))
    return When(starts_at, ends_at, change["repeat"], change["timezone"], tuple(change["except_on"]))


def _moment(site: Any, text: str | None, now: float) -> float:
    """A time without an offset is the clock on the wall of the first site."""
    from healthmon.impact.hours import Calendar

    if text is None:
        return now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError([f"--at {text}: is not a time (allowed: 2026-11-23T14:00, 2026-11-23T14:00Z)"]) from None
    if moment.tzinfo is None:
        zone = Calendar(site.estate).local(next(iter(site.estate.sites)), now).tzinfo
        moment = moment.replace(tzinfo=zone)
    return moment.timestamp()


def _seconds(text: str | None) -> float | None:
    from healthmon.config.scalars import duration_s

    if text is None:
        return None
    try:
        seconds = float(text) * 3600.0 if text.isdigit() else duration_s(text)
    except ValueError as error:
        raise ConfigError([f"{text}: {error}; a bare number means hours"]) from None
    if seconds > WINDOW_MOST_S:
        raise ConfigError([f"{text}: is too long (allowed: up to 28d)"])
    return seconds


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


COMMANDS = (("whatif", whatif),)
