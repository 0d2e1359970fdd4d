"""The guard at the door: undeclared, unstorable and patient-like data never passes, the outcome always does."""

from __future__ import annotations

import math

import pytest

from healthmon.ingest.guard import MAX_LABEL_CHARS, MAX_SAMPLES, MAX_STRING_CHARS, PatientDataGuard
from healthmon.model.sample import Family, Outcome, Reading, Reason, Sample

FAMILIES = {
    "http": Family("http", frozenset({"status_code", "server", "ok"}), frozenset({"step"})),
    "icmp": Family("icmp", frozenset({"rtt_seconds"})),
}
MRS = "Mrs O'Neill"


def guard() -> PatientDataGuard:
    return PatientDataGuard(FAMILIES)


def reading(*samples: Sample, detail: str = "", reason: Reason | None = Reason.BAD_BODY) -> Reading:
    return Reading("t", "up", "poller", 1.0, 0.1, Outcome.FAILED, reason, detail, samples)


@pytest.mark.parametrize(
    ("sample", "count"),
    [
        (Sample("ehr", "rows", 1.0), "undeclared_family"),
        (Sample("icmp", "patient_name", 1.0), "undeclared_field"),
        (Sample("icmp", "rtt_seconds", 1.0, {"step": "x"}), "undeclared_label"),
        (Sample("icmp", "rtt_seconds", math.nan), "not_finite"),
        (Sample("icmp", "rtt_seconds", math.inf), "not_finite"),
        (Sample("icmp", "rtt_seconds", 10**400), "not_finite"),
        (Sample("icmp", "rtt_seconds", None), "not_finite"),  # type: ignore[arg-type]
        (Sample("http", "status_code", 1.0, {"step": "x" * (MAX_LABEL_CHARS + 1)}), "label_too_long"),
        (Sample("http", "status_code", 1.0, {"step": "a\nb"}), "label_control_character"),
        (Sample("http", "status_code", 1.0, {"step": MRS}), "patient_data"),
        (Sample("http", "server", MRS), "patient_data"),
    ],
)
def test_what_may_not_pass_is_dropped_and_counted(sample: Sample, count: str) -> None:
    door, good = guard(), Sample("http", "status_code", 503.0, {"step": "login"})
    assert door.admit(reading(sample, good)).samples == (good,)
    assert door.counts[f"samples_refused_{count}"] == 1


def test_patterns_are_counted_by_name_and_the_text_is_kept_nowhere() -> None:
    door = guard()
    door.admit(reading(Sample("http", "server", MRS), detail="MRN 4471902"))
    assert door.counts["patient_data_name"] == 1
    assert door.counts["patient_data_hospital_number"] == 1
    assert "Neill" not in repr(vars(door))
    assert "4471902" not in repr(vars(door))


def test_a_suspicious_detail_becomes_the_reason() -> None:
    assert guard().admit(reading(detail=f"no row for {MRS}")).detail == "bad_body"
    assert guard().admit(reading(detail=f"no row for {MRS}", reason=None)).detail == ""
    assert guard().admit(reading(detail="expected 200, got 503")).detail == "expected 200, got 503"


def test_texts_are_one_line_and_of_bounded_length() -> None:
    admitted = guard().admit(reading(Sample("http", "server", "nginx\r\n" + "x" * 500), detail="a\x00b" + "y" * 500))
    assert admitted.samples[0].value == "nginx  " + "x" * (MAX_STRING_CHARS - 7)
    assert admitted.detail == "a b" + "y" * (MAX_STRING_CHARS - 3)


def test_a_person_behind_the_length_limit_or_a_line_break_is_still_seen() -> None:
    assert guard().admit(reading(detail="x" * 300 + " " + MRS)).detail == "bad_body"
    assert guard().admit(reading(detail="Mrs\nJones")).detail == "bad_body"


def test_a_text_known_as_clean_is_not_a_label_for_that() -> None:
    door, long = guard(), "x" * (MAX_LABEL_CHARS + 1)
    assert len(door.admit(reading(Sample("http", "server", long))).samples) == 1
    assert door.admit(reading(Sample("http", "status_code", 1.0, {"step": long}))).samples == ()


def test_too_many_samples_are_cut() -> None:
    door = guard()
    many = [Sample("icmp", "rtt_seconds", float(i)) for i in range(MAX_SAMPLES + 5)]
    assert len(door.admit(reading(*many)).samples) == MAX_SAMPLES
    assert door.counts["samples_refused_too_many"] == 5


def test_whole_numbers_become_float_and_truth_stays() -> None:
    whole, truth = guard().admit(reading(Sample("http", "status_code", 503), Sample("http", "ok", True))).samples
    assert type(whole.value) is float
    assert truth.value is True


def test_a_label_may_not_be_called_like_a_tag_of_the_inventory() -> None:
    with pytest.raises(ValueError, match="target"):
        PatientDataGuard({"x": Family("x", frozenset({"v"}), frozenset({"target"}))})


def test_the_memory_of_clean_texts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("healthmon.ingest.guard._SEEN_LIMIT", 10)
    door = guard()
    for i in range(100):
        door.admit(reading(detail=f"attempt {i}"))
    assert len(door._clean) <= 10
