"""docs/config.md is what the models say."""

from __future__ import annotations

import re
from pathlib import Path

from healthmon.config.fileforms import SiteFileForm
from healthmon.config.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "config.md"


def test_the_page_is_fresh() -> None:
    fresh = PAGE.read_text(encoding="utf-8") == reference()

    assert fresh, "docs/config.md is stale: python -m healthmon.config.reference docs/config.md"


def test_the_page_names_every_block() -> None:
    page = reference()

    for key in SiteFileForm.model_fields:
        assert f"| `{key}` |" in page


def test_every_link_has_its_heading() -> None:
    page = reference()
    headings = {line.lstrip("# ").lower() for line in page.splitlines() if line.startswith("#")}

    assert set(re.findall(r"\]\(#([a-z0-9-]+)\)", page)) <= headings
