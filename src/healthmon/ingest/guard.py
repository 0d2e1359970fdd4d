"""Keeps patient data out: only declared data passes, and what looks like a person's identifier is dropped."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from operator import is_

from healthmon.ingest.identifiers import scrub, suspicious
from healthmon.ingest.rows import RESERVED_TAGS
from healthmon.model.sample import Family, Reading, Sample

__all__ = ["PatientDataGuard", "scrub", "suspicious"]

MAX_SAMPLES = 2_000
MAX_LABEL_CHARS = 120
MAX_STRING_CHARS = 200
_CONTROL = dict.fromkeys((*range(32), 127, *range(128, 160), 0x2028, 0x2029), " ")
#: Longer texts are searched up to here; what is kept of them is shorter anyway.
_SEARCHED_CHARS = 4_000
_SEEN_LIMIT = 20_000

#: Family, field and labels of a sample: all that can be refused about a finite number.
_Kind = tuple[str, str, tuple[tuple[str, str], ...]]


class PatientDataGuard:
    """Admits readings. `counts` is monotone, by reason or by the pattern's name; no refused value is kept."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        self.counts: Counter[str] = Counter()
        self._clean: set[str] = set()
        self.adopt(families)

    def adopt(self, families: Mapping[str, Family]) -> None:
        """From now on these are declared. Raises ValueError for a label that is the name of an inventory tag."""
        for family in families.values():
            clash = RESERVED_TAGS & family.labels
            if clash:
                raise ValueError(f"family {family.name}: labels {sorted(clash)} are names of inventory tags")
        self._families = families
        self._known: set[_Kind] = set()

    def admit(self, reading: Reading) -> Reading:
        """The reading without anything undeclared, suspicious or unstorable; its outcome always stays."""
        if not reading.detail and self._all_known(reading.samples):
            return reading
        samples = reading.samples
        if len(samples) > MAX_SAMPLES:
            self.counts["samples_refused_too_many"] += len(samples) - MAX_SAMPLES
            samples = samples[:MAX_SAMPLES]
        kept = tuple(sample for sample in map(self._sample, samples) if sample is not None)
        detail = self._detail(reading)
        untouched = len(kept) == len(reading.samples) and all(map(is_, kept, reading.samples))
        if untouched and detail == reading.detail:
            return reading
        return replace(reading, samples=kept, detail=detail)

    def faults(self, reading: Reading) -> Iterator[tuple[str, str]]:
        """(place, what is wrong) of everything that `admit` would drop; never the value itself."""
        if len(reading.samples) > MAX_SAMPLES:
            yield "samples", f"too many (allowed: {MAX_SAMPLES})"
        for number, sample in enumerate(reading.samples):
            wrong = self._undeclared(sample) or self._bad_labels(sample)
            if wrong is None and self._sample(sample) is None:
                wrong = "patient_data" if isinstance(sample.value, str) else "not_finite"
            if wrong:
                yield f"samples[{number}]", wrong
        if reading.detail and self._clean_text(reading.detail) is None:
            yield "detail", "patient_data"

    def _all_known(self, samples: tuple[Sample, ...]) -> bool:
        """Whether all are finite numbers under names and labels that were admitted before: nearly always."""
        if len(samples) > MAX_SAMPLES:
            return False
        known = self._known
        for sample in samples:
            value, labels = sample.value, sample.labels
            if type(value) is not float or value - value != 0.0:
                return False
            if (sample.family, sample.field, tuple(labels.items()) if labels else ()) not in known:
                return False
        return True

    def _detail(self, reading: Reading) -> str:
        if not reading.detail:
            return ""
        clean = self._clean_text(reading.detail)
        return str(reading.reason or "") if clean is None else clean

    def _sample(self, sample: Sample) -> Sample | None:
        refused = self._undeclared(sample) or self._bad_labels(sample)
        if refused:
            self.counts[f"samples_refused_{refused}"] += 1
            return None
        self._note_known(sample)
        value = sample.value
        if isinstance(value, bool):
            return sample
        if isinstance(value, str):
            return self._text(sample, value)
        try:
            number = float(value)
        except (OverflowError, TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            self.counts["samples_refused_not_finite"] += 1
            return None
        return sample if type(value) is float else replace(sample, value=number)

    def _note_known(self, sample: Sample) -> None:
        if len(self._known) >= _SEEN_LIMIT:
            self._known.clear()
        self._known.add((sample.family, sample.field, tuple(sample.labels.items())))

    def _undeclared(self, sample: Sample) -> str | None:
        family = self._families.get(sample.family)
        if family is None:
            return "undeclared_family"
        if sample.field not in family.fields:
            return "undeclared_field"
        return None if family.labels.issuperset(sample.labels) else "undeclared_label"

    def _bad_labels(self, sample: Sample) -> str | None:
        for text in sample.labels.values():
            if len(text) > MAX_LABEL_CHARS:
                return "label_too_long"
            clean = self._clean_text(text)
            if clean is None:
                return "patient_data"
            if clean != text:
                return "label_control_character"
        return None

    def _text(self, sample: Sample, text: str) -> Sample | None:
        clean = self._clean_text(text)
        if clean is None:
            self.counts["samples_refused_patient_data"] += 1
            return None
        return sample if clean == text else replace(sample, value=clean)

    def _clean_text(self, text: str) -> str | None:
        """The text on one line and not too long; None, and counted, when it looks like a patient's data."""
        if text in self._clean:
            return text
        clean = text.translate(_CONTROL)[:MAX_STRING_CHARS]
        pattern = suspicious(text[:_SEARCHED_CHARS]) or suspicious(clean)
        if pattern:
            self.counts[f"patient_data_{pattern}"] += 1
            return None
        self._remember(clean)
        return clean

    def _remember(self, text: str) -> None:
        if len(self._clean) >= _SEEN_LIMIT:
            self._clean.clear()
        self._clean.add(text)
