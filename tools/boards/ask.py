"""What a panel asks, in no database's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from healthmon.web.metrics import clean, sample_name


class Over(StrEnum):
    """How the points of one series become one value."""

    LAST = "last"  # the newest, if it is fresh
    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    P50 = "p50"
    P95 = "p95"
    RATE = "rate"  # per second, of a counter
    INCREASE = "increase"  # over the step, of a counter


class Fold(StrEnum):
    """How the series of one group become one."""

    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    SUM = "sum"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Ask:
    """One field of one family, by some tags: now (a table, a number) or over time (a chart).

    where: tag to value, or to `/regex/`; only: a comparison that the value must pass (`> 0`); fresh_s: how old
    the newest point may be and still be called present (InfluxDB; the exporter leaves old ones out); share: one
    minus the value; most: so many of the highest. metric, match: Prometheus' name and matchers where they are not those
    of the family. place: the tags of $site and $area that the family has. joined: metric and label through which
    Prometheus learns the place of a series that does not say it.
    """

    name: str
    family: str
    field: str
    by: tuple[str, ...] = ()
    over: Over = Over.LAST
    fold: Fold = Fold.MAX
    where: Mapping[str, str] = field(default_factory=dict)
    only: str = ""
    chart: bool = False
    share: bool = False
    most: int = 0
    fresh_s: int = 900
    metric: str = ""
    match: Mapping[str, str] | None = None
    place: tuple[str, ...] = ("site", "area")
    renamed: Mapping[str, str] = field(default_factory=dict)  # tags that Prometheus calls otherwise
    joined: tuple[str, str] | None = None

    @property
    def metric_name(self) -> str:
        """As the exporter calls it."""
        return self.metric or sample_name(self.family, self.field)[0]

    def label(self, tag: str) -> str:
        """A tag as Prometheus' label."""
        return clean(self.renamed.get(tag, tag))


@dataclass(frozen=True, slots=True)
class Pair:
    """A question that is another one in each language, written out in both."""

    name: str
    by: tuple[str, ...]
    influxql: str
    promql: str
    chart: bool = False

    def label(self, tag: str) -> str:
        """A tag as Prometheus' label."""
        return clean(tag)


#: The choices of a board: variable, tag.
CHOICES = {"site": "$site", "area": "$area"}
#: Where areas and agents are, for metrics that name only them.
BY_AREA = ("healthmon_area_info", "area")
BY_AGENT = ("healthmon_agent_info", "agent")


def place_of(joined: tuple[str, str]) -> str:
    """The second half of a join: only series of the chosen places."""
    metric, label = joined
    return f' and on ({label}) {metric}{{site=~"$site", area=~"$area"}}'
