"""Catalogues: English and German say everything, a third language needs no code, what is missing is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from daemons.plaintext import FIGURES, FORBIDDEN, flesch, lix, sentences, words
from healthmon.config.loading import load_text
from healthmon.config.packs import Packs, stock_root
from healthmon.config.problems import Problems
from healthmon.config.texts import catalogues_of, placeholders
from healthmon.model.errors import ConfigError

STOCK = stock_root() / "alerting" / "text"
SITE = "organisation: {{id: st, name: St}}\npacks: ['{packs}']\nwards: {wards}\n"
#: Prefixes of messages that only IT reads.
IT = (
    "brief_",
    "drill_",
    "late_",
    "title_",
    "cause_",
    "entry_",
    "it_",
    "reason_",
    "not_mapped",
    "supplier",
    "spare_",
    "would_",
    "blind",
    "no_loss",
)


def catalogue(language: str) -> dict[str, str]:
    return dict(yaml.safe_load((STOCK / f"{language}.yaml").read_text())["messages"])


def ward_messages(language: str) -> dict[str, str]:
    return {key: text for key, text in catalogue(language).items() if not key.startswith(IT)}


def own_language(folder: Path, *, leave_out: str = "", **changes: str) -> Path:
    """A made-up language: every English message backwards between its placeholders."""
    messages = {key: text.replace("Ring", "Gnir").replace("not available", "kaputo") for key, text in
                catalogue("en").items() if key != leave_out}  # fmt: skip
    file = folder / "alerting" / "text" / "eo.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump({"language": "eo", "messages": messages | changes}))
    return folder


def test_german_says_everything_that_english_says_with_the_same_places_to_fill() -> None:
    english, german = catalogue("en"), catalogue("de")
    assert german.keys() == english.keys()
    assert all(placeholders(german[key]) == placeholders(english[key]) for key in english)
    same = {key for key in english if english[key] == german[key] and words(re.sub(r"{.*?}", "", english[key]))}
    assert same <= {"title_impact", "it_impact"}


def test_a_third_language_is_a_file_and_no_code(tmp_path: Path) -> None:
    site = load_text(SITE.format(packs=own_language(tmp_path), wards="{language: eo}"), env={})
    assert site.text["state_lost"] == "kaputo"
    assert set(site.catalogues) == {"en", "de", "eo"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"leave_out": "ward_ring"}, "eo.yaml:2:1: messages: message 'ward_ring' is missing"),
        ({"ward_rong": "Gnir"}, "ward_rong: unknown message, did you mean 'ward_ring'?"),
        ({"ward_ring": "Gnir {phon}"}, "unknown placeholder {phon} (allowed: desk)"),
        ({"ward_ring": "Gnir {desk"}, "is not a text with {placeholders}"),
    ],
)
def test_what_is_wrong_is_an_error_with_its_file_and_key(tmp_path: Path, change: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_text(SITE.format(packs=own_language(tmp_path, **change), wards="{}"), env={})
    (line,) = raised.value.problems
    assert said in line
    assert "eo.yaml" in line


def test_a_language_that_nobody_speaks_is_named_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no catalogue speaks 'fr' \(allowed: de, en\)"):
        load_text("organisation: {id: st, name: St}\nwards: {language: fr}\n", env={})


def test_a_hospital_overwrites_one_message_of_one_language(tmp_path: Path) -> None:
    file = tmp_path / "alerting" / "text" / "de.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("language: de\nmessages: {ward_calm: Alles ruhig}\n")
    problems = Problems()
    found = catalogues_of(Packs([stock_root(), tmp_path], problems), problems)
    assert problems.lines() == []
    assert found["de"]["ward_calm"] == "Alles ruhig"
    assert found["en"]["ward_calm"] == catalogue("en")["ward_calm"]


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_message_to_a_ward_speaks_of_machines_or_promises(language: str) -> None:
    for key, text in ward_messages(language).items():
        assert not FORBIDDEN.search(text), (key, text)
        assert not FIGURES.search(text), (key, text)


@pytest.mark.parametrize("language", ["en", "de"])
def test_messages_to_wards_are_short_and_plain(language: str) -> None:
    texts = [text for text in ward_messages(language).values() if len(words(text)) > 2]
    longest = max((one for text in texts for one in sentences(text)), key=lambda one: len(words(one)))
    assert len(words(longest)) <= 16, longest
    whole = " ".join(text if text.endswith((".", "?")) else f"{text}." for text in texts)
    assert lix(whole) < 40.0
    assert flesch(whole, language) > 60.0
