"""Every page of docs/ has its place in the site, and every place a page."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_page_has_a_place_in_the_site() -> None:
    spec = importlib.util.spec_from_file_location("site_tool", ROOT / "tools" / "site.py")
    assert spec
    assert spec.loader
    site = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(site)
    placed = [name for pages in site.SECTIONS.values() for name in pages]
    assert len(set(placed)) == len(placed)
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages - set(placed) == set(), "give the page a place in tools/site.py"
