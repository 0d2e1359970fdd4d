"""What the guard takes for a person's data, over two corpora made up for it and the recorded walks."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.ingest.identifiers import REMOVED, mod11, scrub, suspicious

HERE = Path(__file__).parent
WALKS = Path(os.environ.get("HEALTHMON_SHARED_DATA", "../shared/data")) / "snmp" / "snmprec"


def health_number(prefix: str, rng: random.Random) -> str:
    """Ten digits that begin with `prefix` and end in a right check digit."""
    while True:
        nine = prefix + "".join(rng.choice("0123456789") for _ in range(9 - len(prefix)))
        for check in "0123456789":
            if mod11(nine + check):
                return nine + check


def kvnr(rng: random.Random) -> str:
    """A letter and eight digits, weights 1 and 2 over the letter's number and the digits, digit sums."""
    letter, eight = rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), f"{rng.randrange(10**8):08d}"
    total = 0
    for place, digit in enumerate(f"{ord(letter) - 64:02d}{eight}"):
        product = int(digit) * (2 if place % 2 else 1)
        total += sum(map(int, str(product)))
    return f"{letter}{eight}{total % 10}"


def fill(line: str, rng: random.Random) -> str:
    """The corpus line with its numbers made."""

    def number(match: re.Match[str]) -> str:
        kind, gap = match.groups()
        if kind == "kvnr":
            return kvnr(rng)
        prefix = {"nhs": "999", "chi": "250556", "hc": "35"}[kind]
        digits = health_number(prefix, rng)
        return f"{digits[:3]}{gap or ''}{digits[3:6]}{gap or ''}{digits[6:]}"

    return re.sub(r"\{(nhs|chi|hc|kvnr)(?::([ -]))?\}", number, line)


def corpus(name: str) -> list[str]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    rng = random.Random(7)
    return [fill(line, rng) for line in lines if line and not line.startswith("# ")]


@pytest.mark.parametrize("text", corpus("patient_like.txt"))
def test_patient_like_text_is_found_and_removed(text: str) -> None:
    assert suspicious(text)
    assert REMOVED in scrub(text)
    assert not suspicious(scrub(text))


@pytest.mark.parametrize("text", corpus("technical.txt"))
def test_technical_text_passes_unchanged(text: str) -> None:
    assert suspicious(text) is None
    assert scrub(text) == text


def test_the_corpora_are_of_both_kinds() -> None:
    assert len(corpus("patient_like.txt")) >= 90
    assert len(corpus("technical.txt")) >= 120


def test_only_the_person_goes_and_the_rest_stays() -> None:
    assert scrub("timeout for Mr Smith on ehr-web") == "timeout for [removed] on ehr-web"
    assert scrub("a jane@mail.example b 12/03/1956 c") == "a [removed] b [removed] c"
    assert scrub("503") == "503"


@given(st.integers(0, 10**9 - 1), st.sampled_from(["4", "6", "7", "9"]), st.sampled_from(["", " ", "-"]))
def test_every_valid_nhs_number_is_found(seed: int, first: str, gap: str) -> None:
    digits = health_number(first, random.Random(seed))
    text = f"{digits[:3]}{gap}{digits[3:6]}{gap}{digits[6:]}"
    assert suspicious(text) or len(set(digits)) == 1
    assert suspicious(f"not found: {text}, retry") or len(set(digits)) == 1


@given(st.integers(0, 10**9 - 1))
def test_a_wrong_check_digit_is_no_health_number(seed: int) -> None:
    right = health_number("9", random.Random(seed))
    wrong = right[:9] + str((int(right[9]) + 1) % 10)
    assert suspicious(f"id {wrong}") is None


@given(st.integers(0, 10**9 - 1))
def test_every_valid_kvnr_is_found(seed: int) -> None:
    assert suspicious(f"insured {kvnr(random.Random(seed))}") == "kvnr"


@given(st.integers(1_700_000_000, 1_950_000_000))
def test_no_moment_of_this_decade_is_a_health_number(seconds: int) -> None:
    assert suspicious(f"expires {seconds}") is None


@given(st.ip_addresses(), st.integers(0, 2**48 - 1))
def test_no_address_is_a_person(ip: object, mac: int) -> None:
    text = f"{mac:012x}"
    assert suspicious(str(ip)) is None
    assert suspicious(":".join(text[i : i + 2] for i in range(0, 12, 2))) is None
    assert suspicious(".".join(text[i : i + 4] for i in range(0, 12, 4))) is None


@given(st.lists(st.integers(0, 2**31), min_size=5, max_size=14))
def test_no_object_identifier_is_a_person(parts: list[int]) -> None:
    assert suspicious("1.3.6.1." + ".".join(map(str, parts))) is None


@given(st.text(max_size=300))
def test_any_text_is_judged_and_scrubbed_for_good(text: str) -> None:
    assert not suspicious(scrub(text))


def test_recorded_device_texts_pass() -> None:
    """Texts of 25 real devices; what is found there is a supplier's mail address or telephone, rightly."""
    if not WALKS.is_dir():
        pytest.skip(f"no recorded walks in {WALKS}")
    texts = {
        parts[2]
        for path in WALKS.glob("*.snmprec")
        for line in path.read_text(errors="replace").splitlines()
        if len(parts := line.split("|", 2)) == 3 and parts[1] == "4"
    }
    found = {text: kind for text in texts if (kind := suspicious(text))}
    assert len(texts) > 500
    assert set(found.values()) <= {"email", "telephone"}, found
