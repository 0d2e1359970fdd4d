"""Small charts as SVG numbers: a line with gaps where nothing was measured, marks where it failed, and words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from healthmon.model.sample import Series, Value
from healthmon.web.words import LocalTime

WIDTH, HEIGHT, PAD = 360, 84, 5
#: A gap of more than so many steps breaks the line.
GAP_STEPS = 2.5
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_UNITS = ("seconds", "bytes", "ratio", "celsius", "hertz", "volts", "amperes", "watts")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Span:
    """What a chart covers (Unix s)."""

    start: float
    end: float
    step_s: float


@dataclass(frozen=True, slots=True)
class Chart:
    """`d` is the path of the line, `fails` the x of each failed look; the words say the same without the drawing."""

    title: str
    d: str
    fails: tuple[int, ...]
    last: str
    lowest: str
    highest: str
    begins: str
    ends: str
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def words(self) -> str:
        """For who does not see it."""
        failed = f"; {len(self.fails)} times failed" if self.fails else ""
        return f"{self.title}: now {self.last}, between {self.lowest} and {self.highest}{failed}"


def chart(
    title: str, field: str, points: Sequence[Point], *, span: Span, clock: LocalTime, failed: Iterable[float] = ()
) -> Chart | None:
    """None where nothing was measured and nothing failed."""
    fails = tuple(dict.fromkeys(_x(at, span) for at in failed))
    if not points and not fails:
        return None
    values = [value for _, value in points]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    floor = 0.0 if low >= 0.0 else low
    ceiling = high if high > floor else floor + 1.0
    return Chart(
        title=title,
        d=_path(points, floor, ceiling, span),
        fails=fails,
        last=value_words(field, values[-1]) if values else "not measured",
        lowest=value_words(field, low),
        highest=value_words(field, high),
        begins=clock.short(span.start),
        ends=clock.short(span.end),
    )


def numbers(series: Series) -> list[Point]:
    """The points that are numbers; true is 1."""
    return [(at, float(value)) for at, value in series.points if isinstance(value, int | float)]


def per_second(points: Sequence[Point]) -> list[Point]:
    """What a counter grew by; a step back (it began anew) is left out."""
    pairs = pairwise(points)
    return [(b[0], (b[1] - a[1]) / (b[0] - a[0])) for a, b in pairs if b[0] > a[0] and b[1] >= a[1]]


def field_words(family: str, field: str, labels: Iterable[str] = ()) -> str:
    """`host disk used (C:)`: what is measured, without its unit."""
    parts = field.removesuffix("_total").split("_")
    if parts[-1] in _UNITS and len(parts) > 1:
        parts = parts[:-1]
    text = " ".join([*family.split("_"), *parts])
    where = ", ".join(labels)
    return f"{text} ({where})" if where else text


def value_words(field: str, value: Value) -> str:
    """A number with its unit, as short as it can be read."""
    number = float(value) if isinstance(value, int | float) else 0.0
    unit = field.removesuffix("_total").rpartition("_")[2]
    if unit == "seconds":
        return _seconds(number)
    if unit == "ratio":
        return f"{number * 100:.3g} %"
    if unit == "celsius":
        return f"{number:.1f} °C"
    suffix = {"bytes": "B", "hertz": "Hz", "volts": "V", "amperes": "A", "watts": "W"}.get(unit, "")
    for size, letter in _SCALES:
        if abs(number) >= size:
            return f"{number / size:.3g} {letter}{suffix}".strip()
    return f"{number:.3g} {suffix}".strip()


def _seconds(number: float) -> str:
    if abs(number) < 1.0:
        return f"{number * 1000:.3g} ms"
    return f"{number:.3g} s" if abs(number) < 600 else f"{number / 3600:.3g} h"


def _path(points: Sequence[Point], floor: float, ceiling: float, span: Span) -> str:
    parts, before = [], None
    for at, value in points:
        y = HEIGHT - PAD - (value - floor) / (ceiling - floor) * (HEIGHT - 2 * PAD)
        broken = before is None or at - before > GAP_STEPS * span.step_s
        parts.append(f"{'M' if broken else 'L'}{_x(at, span)} {y:.1f}")
        if broken:
            parts.append("h1")  # so that a point alone is seen
        before = at
    return "".join(parts)


def _x(at: float, span: Span) -> int:
    share = (at - span.start) / (span.end - span.start)
    return round(PAD + min(1.0, max(0.0, share)) * (WIDTH - 2 * PAD))
