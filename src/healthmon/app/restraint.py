"""How gentle each prober was, in numbers: probes let through, held back and refused, and runs left out, by reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from healthmon.model.sample import Family, Sample

FIELDS = frozenset(
    {
        "probes_admitted_total",
        "probes_waited_total",
        "probes_refused_total",
        "runs_rested_total",
        "looks_starved_total",
        "checks_resting",
    }
)
LABELS = frozenset({"limit", "why"})
_LABEL = {"waited": "limit", "refused": "why"}


class Counts(Protocol):
    """A guard's counts: `admitted`, `waited.LIMIT`, `refused.WHY`."""

    @property
    def counts(self) -> Mapping[str, int]: ...


class Stats(Protocol):
    """A runner's numbers."""

    def stats(self) -> Mapping[str, int]: ...


def numbers(guard: Counts, runner: Stats) -> Iterator[tuple[str, dict[str, str], float]]:
    """(field, labels, value) of one prober; what never happened is left out, but for what it let through."""
    yield "probes_admitted_total", {}, float(guard.counts.get("admitted", 0))
    for key in sorted(guard.counts):
        kind, _, why = key.partition(".")
        if why:
            yield f"probes_{kind}_total", {_LABEL[kind]: why}, float(guard.counts[key])
    stats = runner.stats()
    yield "runs_rested_total", {}, float(stats["rested"])
    yield "looks_starved_total", {}, float(stats["starved"])
    yield "checks_resting", {}, float(stats["resting"])


def samples(guard: Counts, runner: Stats) -> tuple[Sample, ...]:
    """For the reading in which an agent speaks of itself."""
    return tuple(Sample("agent", name, value, labels) for name, labels, value in numbers(guard, runner))


def counters(prober: str, guard: Counts, runner: Stats) -> dict[str, float]:
    """For `/metrics` of the server in whose process the prober runs."""
    return {
        _key(name, {"prober": prober, **labels}): value
        for name, labels, value in numbers(guard, runner)
        if name.endswith("_total")
    }


def with_restraint(family: Family) -> Family:
    """The family of an agent's own readings with these fields."""
    return Family(family.name, family.fields | FIELDS, family.labels | LABELS)


def _key(name: str, labels: Mapping[str, str]) -> str:
    """As the exporter reads it."""
    return f"{name}{{{','.join(f'{label}={value}' for label, value in labels.items())}}}"
