"""What a simulated agent sends: how many, how often, and the readings of a batch, which follow from its moment."""

from __future__ import annotations

from dataclasses import dataclass

from healthmon.model.sample import Outcome, Reading, Sample
from healthmon.transport import codec

#: What is stored of one look besides its samples: duration, outcome, success.
POINTS_OF_A_LOOK = 3
_SAMPLES = ("iowait_ratio", "utilisation_ratio", "load1", "load5", "load15", "steal_ratio", "cores")
#: The checks of a simulated PC; more points are more looks at the same.
CHECKS = ("cpu", "cpu-1", "cpu-2", "cpu-3", "cpu-4", "cpu-5", "cpu-6", "cpu-7", "cpu-8", "cpu-9")


@dataclass(frozen=True, slots=True)
class Load:
    """What each agent does: a batch of so many points, every so many seconds."""

    site: str
    agents: int
    every_s: float
    points: int


def shape(points: int) -> tuple[int, ...]:
    """How many samples each look of a batch has, so that the batch is stored as exactly so many points (>= 4)."""
    looks = max(1, min(len(CHECKS), points // (POINTS_OF_A_LOOK + 2)))
    samples = min(points - looks * POINTS_OF_A_LOOK, looks * len(_SAMPLES))
    return tuple(samples // looks + (number < samples % looks) for number in range(looks))


def body(agent: str, made_at: float, of: tuple[int, ...]) -> bytes:
    """The readings of one batch of this shape, encoded."""
    return codec.encode_readings(
        Reading(host_name(agent), CHECKS[number], agent, made_at, 0.01, Outcome.OK, None, "",
                tuple(Sample("host_cpu", name, _value(name, made_at)) for name in _SAMPLES[:samples]))
        for number, samples in enumerate(of)
    )  # fmt: skip


def agent_name(number: int) -> str:
    """The id of a simulated agent."""
    return f"sim-{number:05}"


def host_name(agent: str) -> str:
    """The id of the target that a simulated agent stands for."""
    return f"pc-{agent}"


def _value(name: str, made_at: float) -> float:
    """Something that varies as a PC's load does, with as many digits as a ratio of psutil has."""
    return 4.0 if name == "cores" else round(0.05 + (made_at * 0.37 + len(name)) % 0.3, 4)
