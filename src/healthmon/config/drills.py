"""The block `drills`: when a fire drill runs, from where, and who answers it."""

from __future__ import annotations

from itertools import pairwise

from healthmon.config.blocks import channels_known
from healthmon.config.oncall import handovers_of, words_known
from healthmon.config.problems import allowed, did_you_mean
from healthmon.config.written import Written
from healthmon.config.yamlnodes import DataPath
from healthmon.model.drill import DrillPlan

#: Channels that would keep something of a drill: a ticket, an alert that somebody has to close.
LEAVES_SOMETHING = ("jira", "opsgenie", "pagerduty", "servicenow")
_DAY_S = 86_400.0
_WEEK_MINUTES = 7 * 24 * 60


def drills_of(written: Written) -> DrillPlan:
    """The plan, with every name looked up."""
    form, path = written.drills, ("drills",)
    for name in ("channels", "reports"):
        channels_known(written, [one.partition(":")[0] for one in getattr(form, name)], (*path, name))
    for number, name in enumerate(form.channels):
        _fit_for_drills(written, name.partition(":")[0], (*path, "channels", number))
    words_known(written, form.to, (*path, "to"))
    known = {placed.form.id for placed in written.agents}
    for number, agent in enumerate(form.agents):
        if agent not in known:
            said = f"unknown agent '{agent}'{did_you_mean(agent, known)}{allowed(known)}"
            written.validator.problem((*path, "agents", number), said)
    at = tuple((one.weekday, one.minute) for one in handovers_of(written, form.at, (*path, "at"))) if form.at else ()
    return DrillPlan(
        at=at,
        agents=tuple(form.agents),
        to=tuple(form.to),
        channels=tuple(form.channels),
        hop_within_s=form.hop_within,
        answer_within_s=form.answer_within,
        overdue_after_s=form.overdue_after or (_longest_gap_s(at) + _DAY_S if at else None),
        reports=tuple(form.reports),
    )


def _fit_for_drills(written: Written, name: str, path: DataPath) -> None:
    placed = written.channels.get(name)
    if placed is None:
        return
    if placed.form.kind in LEAVES_SOMETHING:
        written.validator.problem(path, f"'{name}' is {placed.form.kind}: a drill would leave something to close there")
    if placed.form.audience != "it":
        written.validator.problem(path, f"'{name}' is read on wards: a drill never reaches ward staff")


def _longest_gap_s(at: tuple[tuple[int, int], ...]) -> float:
    minutes = sorted(weekday * 24 * 60 + minute for weekday, minute in at)
    gaps = [later - earlier for earlier, later in pairwise(minutes)]
    return 60.0 * max([*gaps, minutes[0] + _WEEK_MINUTES - minutes[-1]])
