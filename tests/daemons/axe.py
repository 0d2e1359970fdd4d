"""axe-core in a page: what would shut somebody out, in words."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from daemons.browser import Page

SOURCE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
EVERYTHING = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']"
CONTRAST = "{type: 'rule', values: ['color-contrast']}"
RUN = """
axe.run(document, {runOnly: %s}).then((found) =>
  found.violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${one.help}: ${node.html.slice(0, 160)} ` +
    node.any.concat(node.all, node.none).map((check) => check.message).join('; ').slice(0, 200))))
"""


@cache
def _source() -> str:
    return SOURCE.read_text(encoding="utf-8")


async def shut_out(page: Page, rules: str = EVERYTHING) -> list[str]:
    """Every violation on the page as it stands, with what is at fault."""
    await page.eval(f"{_source()}; 0")
    return [str(line) for line in await page.eval(RUN % rules)]
