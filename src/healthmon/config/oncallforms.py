"""The written form of on-call duty: people, rotas with layers, policies with steps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from healthmon.config.forms import Form, Names
from healthmon.config.scalars import Day, Duration, Id, Moment, Timezone


class PersonForm(Form):
    """Somebody who can be paged. A channel alone takes the address of its kind: `mail` the e-mail, `sms` the phone."""

    id: Id
    name: str
    email: str | None = None
    phone: str | None = None
    channels: Names = Field(
        default=[], description="Ways to reach them, the best first; `mail:ops@hospital.example` gives the address"
    )


HANDOVER_SCHEMA = {"type": "string", "pattern": r"^((mon|tue|wed|thu|fri|sat|sun) )?[0-2]?[0-9]:[0-5][0-9]$"}
HandoverText = Annotated[str, WithJsonSchema(HANDOVER_SCHEMA)]


class LayerForm(Form):
    """People who take turns. Of the layers that have somebody, the last wins."""

    id: Id
    people: list[str] = Field(default=[], description="Ids of users, in the order of their turns")
    handover: HandoverText | list[HandoverText] = Field(
        default="mon 09:00", description='Local time: "09:00" every day, "mon 09:00" every week, or a list of these'
    )
    turns: int = Field(default=1, ge=1, le=52, description="A turn lasts so many handovers")
    first: Day = Field(default="2024-01-01", description="The first turn begins at the first handover from this day on")
    hours: dict[str, Any] | Literal["always"] = Field(
        default="always", description='Only then, as in `staffed`: `{mon-fri: "08:00-18:00"}`'
    )
    holidays: Literal["any", "only", "never"] = Field(
        default="any", description="`only` on bank holidays, or `never` on them"
    )
    calendar_file: str | None = Field(
        default=None, description="iCalendar file whose events are the shifts; each names a user"
    )


class OverrideForm(Form):
    """Somebody stands in for a while."""

    user: str
    starts_at: Moment
    ends_at: Moment
    replaces: str | None = Field(default=None, description="Only where this person would be on call")
    reason: str = ""


class RotaForm(Form):
    """Who answers when. `people` alone is one layer of weekly turns."""

    id: Id
    name: str | None = None
    timezone: Timezone | None = Field(default=None, description="Default: the organisation's")
    holidays: str | None = Field(default=None, description="Nation of its bank holidays; default: the organisation's")
    people: list[PersonForm | str] = Field(default=[], description="Ids of users, or people written out here")
    handover: HandoverText | list[HandoverText] = Field(
        default="mon 09:00", description="Of the layer that `people` is"
    )
    layers: list[LayerForm] = Field(default=[])
    overrides: list[OverrideForm] = Field(default=[])


class StepForm(Form):
    """After so long without an owner, tell these channels and these people."""

    after: Duration = 0.0
    channels: Names = Field(default=[])
    to: list[str] = Field(
        default=[], description="`team`, `next`, `duty-manager`, `rota:ID`, `next:ID` or `user:ID`, whoever it is then"
    )
    media: int | None = Field(
        default=None, ge=1, le=4, description="By so many ways of each person at once; default 2 for severity 1, else 1"
    )
    only: list[Annotated[int, Field(ge=1, le=5)]] = Field(default=[], description="Only for these severities")


class PolicyForm(Form):
    """Who is told, in which order."""

    id: Id
    severities: list[Annotated[int, Field(ge=1, le=5)]] = Field(default=[1, 2, 3])
    teams: Names = Field(default=[], description="Empty: every team")
    steps: list[StepForm] = Field(min_length=1)
    quorum: int = Field(default=1, ge=1, le=9, description="So many must accept before the steps stop")
    repeat: int = Field(default=0, ge=0, le=99, description="The whole ladder again, so many times")
    repeat_every: Duration = 900.0
    unack_after: Duration | None = Field(
        default=None, description="An accepted incident without a word for so long is nobody's again, and pages anew"
    )
    one_medium: str = Field(
        default="", description="Why two media of a severity 1 step may hang on the same thing: accepted in words"
    )


class MorningForm(Form):
    """The list of what was held back over night."""

    at: str = Field(default="07:30", description="Local time of the organisation")
    channels: Names = Field(default=[], description="Who gets what belongs to no team with channels of its own")


class OncallForm(Form):
    """Rotas and escalation; policies given here replace those of the packs."""

    users: list[PersonForm] = Field(default=[])
    rotas: list[RotaForm] = Field(default=[])
    duty_manager: str | None = Field(
        default=None, description="`rota:ID` or `user:ID`: the last person who is paged for severity 1 and 2"
    )
    default: str | None = Field(
        default=None, description="`rota:ID` or `user:ID`: who is meant by `team` where the team has no rota"
    )
    policies: list[PolicyForm] = Field(default=[])
    morning_list: MorningForm = MorningForm()
    reports: Names = Field(default=[], description="Channels that hear of shifts with too many pages")
    pages_per_shift: int = Field(default=5, ge=1, description="More pages than this in one shift are reported")
    site_manager: Names = Field(
        default=[], description="Channels that hear when one person breaks the glass; none: every channel"
    )
    reminders: Names = Field(default=[], description="Channels that hear of silences that end soon or cover something")


class DrillsForm(Form):
    """Safe fire drills: planned, marked as drills, never told to a ward."""

    at: HandoverText | list[HandoverText] = Field(
        default=[], description='Local time: "tue 10:30" every week, "10:30" every day, or a list; none: only by hand'
    )
    agents: Names = Field(default=[], description="Agents that speak, in turn; none: every agent in turn")
    to: list[str] = Field(default=[], description="Who is paged, as in a policy: `team`, `rota:ID`, `user:ID`")
    channels: Names = Field(default=[], description="And these channels; without both: as a severity 2 would begin")
    hop_within: Duration = Field(default=60.0, description="Each hop but the answer must come within this")
    answer_within: Duration = Field(default=900.0, description="And the answer of a person within this")
    overdue_after: Duration | None = Field(
        default=None, description="Longer without a drill that passed is told; default with `at`: a day after the next"
    )
    reports: Names = Field(default=[], description="Channels that hear of a failed or overdue drill; default: oncall's")
