"""Figures over many faults, each with its n and a 95 % interval (Wilson), as a table and as JSON."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.faultbench.trial import Outcome

NOT_FROM_THE_FIELD = (
    "These hospitals and these faults are ours: synthetic, written by the people who wrote the engine.\n"
    "The figures compare versions of healthmon with each other; they are no evidence from the field."
)
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Share:
    """hits of n."""

    hits: int
    n: int

    @property
    def ratio(self) -> float | None:
        return self.hits / self.n if self.n else None

    def interval(self) -> tuple[float, float]:
        """Wilson score interval, 95 %."""
        if not self.n:
            return 0.0, 1.0
        p, z2n = self.hits / self.n, _Z * _Z / self.n
        middle = (p + z2n / 2) / (1 + z2n)
        half = _Z * math.sqrt(p * (1 - p) / self.n + z2n / (4 * self.n)) / (1 + z2n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        if not self.n:
            return "no case"
        low, high = self.interval()
        return f"{self.hits / self.n:7.1%}  [{low:.1%}, {high:.1%}]  n {self.n}"

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval()
        return {"hits": self.hits, "n": self.n, "ratio": self.ratio, "low": low, "high": high}


def share(outcomes: Iterable[Outcome], hit: Callable[[Outcome], bool]) -> Share:
    hits = [hit(outcome) for outcome in outcomes]
    return Share(sum(hits), len(hits))


def shares(outcomes: Sequence[Outcome]) -> dict[str, Share]:
    """Every figure that is a share of cases."""
    right = sum(len(o.hard_truth & o.hard_found) for o in outcomes)
    exact = [
        o.found.get(line) is state for o in outcomes for line, state in o.truth.lines.items() if line in o.hard_truth
    ]
    graded = [o for o in outcomes if o.severity is not None]
    vital = [o for o in outcomes if o.vital_s is not None or o.truth.vital_lost]
    return {
        "raised": share(outcomes, lambda o: o.raised_s is not None),
        "cause top-1": share(outcomes, lambda o: o.top1),
        "cause top-3": share(outcomes, lambda o: o.top3),
        "impact precision (area, service)": Share(right, sum(len(o.hard_found) for o in outcomes)),
        "impact recall (area, service)": Share(right, sum(len(o.hard_truth) for o in outcomes)),
        "lost told from slow": Share(sum(exact), len(exact)),
        "severity exact": share(graded, lambda o: o.severity == o.truth.severity),
        "severity within one": share(graded, lambda o: abs((o.severity or 0) - o.truth.severity) <= 1),
        "severity 1 recalled": share([o for o in outcomes if o.truth.severity == 1], lambda o: o.severity == 1),
        "tier 0/1 loss raised within 10 s": share(vital, lambda o: o.vital_s is not None and o.vital_s <= 10.0),
        "... where the server looks every 2 s": share(
            [o for o in vital if o.vital_every_s is not None and o.vital_every_s <= 2.0],
            lambda o: o.vital_s is not None and o.vital_s <= 10.0,
        ),
        "one page at most": share(outcomes, lambda o: o.pages <= 1),
        "... and one for each worse severity": share(outcomes, lambda o: o.pages - o.worse_pages <= 1),
    }


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All figures as data."""
    paged = [o for o in outcomes if o.pages]
    return {
        "faults": len(outcomes),
        "kinds": len({o.kind for o in outcomes}),
        "shares": {name: one.as_json() for name, one in shares(outcomes).items()},
        "time_to_raise_s": _spread([o.raised_s for o in outcomes]),
        "time_to_right_cause_s": _spread([o.named_s for o in outcomes]),
        "time_from_vital_loss_s": _spread([o.vital_s for o in outcomes]),
        "pages_per_fault": sum(o.pages for o in outcomes) / len(outcomes) if outcomes else 0.0,
        "pages_per_paged_fault": sum(o.pages for o in paged) / len(paged) if paged else 0.0,
        "incidents_per_fault": sum(o.incidents for o in outcomes) / len(outcomes) if outcomes else 0.0,
        "false_pages": sum(o.false_pages for o in outcomes),
        "engine_s": sum(o.busy_s for o in outcomes),
        "slowest_tick_s": max((o.slowest_s for o in outcomes), default=0.0),
        "readings": sum(o.readings for o in outcomes),
        "peer": {
            "raised": share(outcomes, lambda o: o.peer_raised_s is not None).as_json(),
            "names the root alone": share(outcomes, lambda o: o.peer_names_root).as_json(),
            "time_to_page_s": _spread([o.peer_raised_s for o in outcomes]),
            "pages_per_fault": sum(o.peer_pages for o in outcomes) / len(outcomes) if outcomes else 0.0,
            "targets_per_fault": sum(o.peer_alerts for o in outcomes) / len(outcomes) if outcomes else 0.0,
        },
    }


def table(title: str, outcomes: Sequence[Outcome]) -> str:
    """For people: the figures, the peer, each kind, and every miss by name."""
    data = summary(outcomes)
    lines = [f"-- {title}: {data['faults']} faults of {data['kinds']} kinds, {data['readings']:,} readings"]
    lines += [f"{name:36} {one}" for name, one in shares(outcomes).items()]
    lines += [
        f"{'time to raise':36} {_words(data['time_to_raise_s'])}",
        f"{'time to the right cause':36} {_words(data['time_to_right_cause_s'])}",
        f"{'tier 0/1 loss to raised':36} {_words(data['time_from_vital_loss_s'])}",
        f"{'pages per fault':36} {data['pages_per_fault']:.2f}  (where anybody is paged: "
        f"{data['pages_per_paged_fault']:.2f}; incidents {data['incidents_per_fault']:.2f}; "
        f"pages about nothing {data['false_pages']})",
        f"{'engine':36} {data['engine_s']:.1f} s of CPU, slowest step {data['slowest_tick_s'] * 1000:.0f} ms",
        *(_beside(data["peer"]) if any(o.peer_raised_s is not None for o in outcomes) else []),
        "",
        *_by_kind(outcomes),
    ]
    return "\n".join(lines)


def _beside(peer: dict[str, Any]) -> list[str]:
    return [
        "   beside it, Prometheus rules and Alertmanager grouping (an emulation, same readings):",
        f"{'   raised':36} {_share_words(peer['raised'])}",
        f"{'   names the root alone':36} {_share_words(peer['names the root alone'])}",
        f"{'   time to page':36} {_words(peer['time_to_page_s'])}",
        f"{'   pages per fault':36} {peer['pages_per_fault']:.2f}, {peer['targets_per_fault']:.1f} targets to read",
    ]


def _by_kind(outcomes: Sequence[Outcome]) -> list[str]:
    heads = "".join(f"{head:>7}" for head in ("top-1", "top-3", "prec", "recall", "sev ="))
    lines = [f"{'kind':18}{'n':>4}{heads}{'raise':>8}{'pages':>7}{'inc':>6}"]
    for kind in sorted({o.kind for o in outcomes}):
        own = [o for o in outcomes if o.kind == kind]
        figures = shares(own)
        names = ("cause top-1", "cause top-3", "impact precision (area, service)", "impact recall (area, service)",
                 "severity exact")  # fmt: skip
        cells = "".join(f"{_percent(figures[name].ratio):>7}" for name in names)
        raised = [o.raised_s for o in own if o.raised_s is not None]
        typical = f"{statistics.median(raised):.0f} s" if raised else "never"
        pages, incidents = (sum(getattr(o, what) for o in own) / len(own) for what in ("pages", "incidents"))
        lines.append(f"{kind:18}{len(own):>4}{cells}{typical:>8}{pages:>7.1f}{incidents:>6.1f}")
        lines += [f"    {miss}" for miss in misses(own)]
    return lines


def misses(outcomes: Iterable[Outcome]) -> list[str]:
    """What went wrong, one line for each fault, so that somebody can look at it."""
    found: list[str] = []
    for o in outcomes:
        words: list[str] = []
        if o.raised_s is None:
            words.append("never raised")
        elif not o.top1:
            wanted = "|".join(o.roots[:3])
            words.append(f"named {', '.join(o.named[:3])} for {wanted}{' (in the first three)' if o.top3 else ''}")
        missed, made_up = o.hard_truth - o.hard_found, o.hard_found - o.hard_truth
        words += [f"missed {len(missed)} of {len(o.hard_truth)} lines, as {_line(missed)}"] if missed else []
        words += [f"{len(made_up)} lines not hurt, as {_line(made_up)}"] if made_up else []
        if o.severity is not None and o.severity != o.truth.severity:
            words.append(f"severity {o.severity} for {o.truth.severity}")
        if words:
            found.append(f"#{o.number} {'; '.join(words)}")
    return found


def _line(lines: set[tuple[str, str]]) -> str:
    return "/".join(min(lines))


def _spread(values: Iterable[float | None]) -> dict[str, float | int | None]:
    known = sorted(value for value in values if value is not None)
    if not known:
        return {"n": 0, "p50": None, "p95": None, "max": None}
    return {
        "n": len(known),
        "p50": statistics.median(known),
        "p95": known[min(len(known) - 1, math.ceil(0.95 * len(known)) - 1)],
        "max": known[-1],
    }


def _words(spread: dict[str, Any]) -> str:
    if not spread["n"]:
        return "no case"
    return f"p50 {spread['p50']:.1f} s  p95 {spread['p95']:.1f} s  max {spread['max']:.1f} s  n {spread['n']}"


def _share_words(data: dict[str, Any]) -> str:
    return str(Share(data["hits"], data["n"]))


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.0%}"
