"""Who may sign an action, and with what: staff have titles, patients have numbers."""

from __future__ import annotations

import pytest

from healthmon.ingest.identifiers import suspicious
from healthmon.web.actions import check_person, check_texts
from healthmon.web.problem import Problem


@pytest.mark.parametrize("by", ["Dr Example", "Sister Example, Ward 7", "duty-engineer", None, "network on call"])
def test_staff_sign_with_their_title(by: str | None) -> None:
    check_person(suspicious, by)


@pytest.mark.parametrize("by", ["943 476 5919", "Dr Example 943 476 5919", "someone@mail.example", "Dr Example\x1b[2J"])
def test_a_signature_is_no_way_in_for_identifiers(by: str) -> None:
    with pytest.raises(Problem):
        check_person(suspicious, by)


def test_the_text_itself_names_nobody() -> None:
    with pytest.raises(Problem):
        check_texts(suspicious, "Mrs Example cannot be admitted")
