"""The documentation as a site: docs, runbooks and the packs' pages put together and built by zensical. `make site`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE, SITE = ROOT / "build" / "site-source", ROOT / "build" / "site"
#: Section to pages of docs/, in the order of reading. A page that is in none of them fails a test.
SECTIONS: dict[str, tuple[str, ...]] = {
    "Start": ("first-hour", "install", "concepts", "shadow", "ports"),
    "Care": ("board", "wards", "languages", "readiness", "standards", "report", "presence"),
    "On call": ("oncall", "channels", "mutes", "drill"),
    "Watching": ("probes", "probing", "discover", "rules", "stock-rules", "tools", "prometheus", "boards"),
    "Running it": ("pipeline", "stores", "upgrade", "scaling", "doctor", "chaos", "security", "users"),
    "Reference": ("config", "cli", "api", "metrics"),
    "What is proven": ("performance", "benchmark", "untested", "architecture"),
}
#: Pages of other folders, by the name that they get.
ELSEWHERE = {
    "grafana": ROOT / "grafana" / "README.md",
    **{f"packs-{name}": ROOT / name / "README.md" for name in ("probes", "collectors", "alerting")},
}


def assemble() -> None:
    """Everything that the site is made of, in one folder; links out of docs/ lead to the repository's own pages."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", SOURCE)
    shutil.copytree(ROOT / "alerting" / "runbooks", SOURCE / "runbooks")
    for name, path in ELSEWHERE.items():
        (SOURCE / f"{name}.md").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    for page in SOURCE.glob("*.md"):
        text = page.read_text(encoding="utf-8").replace("](../alerting/runbooks/", "](runbooks/")
        text = re.sub(r"\]\(\.\./grafana/(?:README\.md)?\)", "](grafana.md)", text)
        text = re.sub(r"\]\(\.\./(probes|collectors|alerting)/README\.md\)", r"](packs-\1.md)", text)
        # what is no page of the site keeps its name and loses its link
        page.write_text(re.sub(r"\[([^\]\n]+)\]\((?:\.\./|docs/)[^)\n]*\)", r"\1", text), encoding="utf-8")


def configuration() -> str:
    """zensical.toml."""
    lines = [
        "[project]",
        'site_name = "healthmon"',
        f'docs_dir = "{SOURCE.name}"',
        f'site_dir = "{SITE.name}"',
        "nav = [",
    ]
    lines.append('  { "healthmon" = "index.md" },')
    for section, pages in SECTIONS.items():
        there = ", ".join(f'"{name}.md"' for name in pages if (SOURCE / f"{name}.md").exists())
        lines.append(f'  {{ "{section}" = [{there}] }},')
    runbooks = ", ".join(f'"runbooks/{path.name}"' for path in sorted((SOURCE / "runbooks").glob("*.md")))
    extra = ", ".join(f'"{name}.md"' for name in ELSEWHERE)
    lines += [f'  {{ "Runbooks" = [{runbooks}] }},', f'  {{ "Packs and boards" = [{extra}] }},', "]"]
    return "\n".join([*lines, "[project.theme]", 'features = ["navigation.sections", "search.highlight"]', ""])


def main() -> int:
    """0 when the site is built."""
    assemble()
    config = ROOT / "build" / "zensical.toml"
    config.write_text(configuration(), encoding="utf-8")
    zensical = Path(sys.prefix) / "bin" / "zensical"
    if not zensical.exists():
        print("zensical is not installed: pip install 'healthmon[docs]'", file=sys.stderr)
        return 2
    return subprocess.run([zensical, "build", "-f", str(config), "--clean"], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
