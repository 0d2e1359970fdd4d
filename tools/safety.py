"""docs/safety/*.md from docs/safety/hazards.yaml: intended use, the maker's hazard log, a template for the hospital."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "safety"
SEVERITIES = ("minor", "significant", "considerable", "major", "catastrophic")
LIKELIHOODS = ("very low", "low", "medium", "high", "very high")
#: DCB0129 and DCB0160: rows from very low to very high likelihood, columns from minor to catastrophic.
MATRIX = ((1, 1, 2, 2, 3), (1, 2, 2, 3, 4), (2, 2, 3, 3, 4), (2, 3, 3, 4, 5), (3, 4, 4, 5, 5))
MEANING = {
    1: "acceptable",
    2: "acceptable where the cost of more outweighs its benefit",
    3: "undesirable; acceptable only where further reduction is impractical",
    4: "mandatory elimination or control",
    5: "unacceptable",
}
SIGNERS = ("clinical safety officer", "IT operations manager", "chief clinical information officer")
MADE = "<!-- Made by tools/safety.py from hazards.yaml; do not edit here. -->\n"
NO_CLAIM = (
    "This page claims no compliance with DCB0129, DCB0160 or any other standard, and no certificate stands behind it. "
    "It uses their matrix so that a clinical safety officer can check and take over what fits. The likelihoods are the "
    "makers' judgement; no figures from the field stand behind them.\n"
)


def load(path: Path = FOLDER / "hazards.yaml") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def score(place: dict[str, str]) -> int:
    """1 to 5 for a severity and a likelihood."""
    return MATRIX[LIKELIHOODS.index(place["likelihood"])][SEVERITIES.index(place["severity"])]


def named_tests(hazards: list[dict[str, Any]]) -> set[str]:
    """Every test id that a control names."""
    return {test for hazard in hazards for control in hazard["controls"] for test in control["tests"]}


def missing_tests(hazards: list[dict[str, Any]], root: Path = ROOT) -> list[str]:
    """Named tests that no file defines."""
    known: dict[str, set[str]] = {}
    missing = []
    for test in sorted(named_tests(hazards)):
        file, _, name = test.partition("::")
        if file not in known:
            path = root / file
            tree = ast.parse(path.read_text()) if path.is_file() else ast.Module([], [])
            functions = (ast.FunctionDef, ast.AsyncFunctionDef)
            known[file] = {node.name for node in ast.walk(tree) if isinstance(node, functions)}
        if name not in known[file]:
            missing.append(test)
    return missing


def unproven(hazards: list[dict[str, Any]], passed: set[str]) -> list[str]:
    """Named tests of which no case passed in a whole run."""
    bare = {one.partition("[")[0] for one in passed}
    return sorted(named_tests(hazards) - bare)


def place_words(place: dict[str, str]) -> str:
    found = score(place)
    return f"{place['severity']} x {place['likelihood']} = **{found}**, {MEANING[found]}"


def intended_use(found: dict[str, Any]) -> str:
    use = found["intended_use"]
    parts = [MADE, "# Intended use\n", use["does"].strip() + "\n", "## Who uses it\n", *_listed(use["users"])]
    parts += ["\n## What it is not for\n", *_listed(use["not_for"]), "\n## Limits\n", *_listed(use["limits"])]
    parts += [
        "\n## What this page is\n",
        NO_CLAIM,
        "The hazards and what holds them back: [hazard-log.md](hazard-log.md).",
    ]
    parts += ["What a hospital fills in: [hospital-template.md](hospital-template.md).\n"]
    return "\n".join(parts)


def hazard_log(found: dict[str, Any]) -> str:
    parts = [MADE, "# Hazard log of the maker\n", NO_CLAIM]
    parts += [
        "Every control of the maker names the tests that fail without it; CI fails when one of them does not exist, "
        "and a whole run fails when one of them did not pass. Controls marked **hospital** are not ours to prove.\n",
        "| | hazard | before | after |",
        "|---|---|---|---|",
    ]
    parts += [
        f"| [{one['id']}](#{one['id'].lower()}) | {one['hazard']} | {score(one)} | {score(one['residual'])} |"
        for one in found["hazards"]
    ]
    parts += [_hazard(one) for one in found["hazards"]]
    return "\n".join(parts) + "\n"


def _hazard(one: dict[str, Any]) -> str:
    lines = [
        f"\n## {one['id']}\n",
        f"**{one['hazard']}.** Cause: {_small(one['cause'])}. Harm: {_small(one['harm'])}.\n",
        f"- Before controls: {place_words(one)}.",
        f"- After controls: {place_words(one['residual'])}.",
        f"- Owner: {one['owner']}.\n",
        "Controls:\n",
    ]
    for control in one["controls"]:
        who = " (**hospital**)" if control.get("by") == "hospital" else ""
        lines.append(f"- {control['what']}.{who}")
        lines += [f"  - `{test}`" for test in control["tests"]]
    return "\n".join(lines)


def hospital_template(found: dict[str, Any]) -> str:
    parts = [MADE, "# Hazard log of the hospital: a template\n", NO_CLAIM]
    parts += [
        "Copy this page. For each hazard the hospital's clinical safety officer scores it anew for this site, names "
        "who does what is left to the hospital, and signs. Rows may be added; none should go without a reason.\n",
        "Severity: " + ", ".join(SEVERITIES) + ". Likelihood: " + ", ".join(LIKELIHOODS) + ".\n",
        _matrix(),
    ]
    for one in found["hazards"]:
        own = [control["what"] for control in one["controls"] if control.get("by") == "hospital"]
        parts += [
            f"\n## {one['id']}: {one['hazard']}\n",
            f"The maker's residual score: {score(one['residual'])} ({one['residual']['severity']} x "
            f"{one['residual']['likelihood']}); suggested owner: {one['owner']}.\n",
            "| here | severity | likelihood | score | done by (role) | reviewed on |",
            "|---|---|---|---|---|---|",
            "| before local controls | | | | | |",
            *(f"| {what} | | | | | |" for what in own or ["local control:"]),
            "| after local controls | | | | | |",
        ]
    parts += ["\n## Acceptance\n", "| role | name | date | residual risk accepted |", "|---|---|---|---|"]
    parts += [f"| {role} | | | |" for role in SIGNERS]
    return "\n".join(parts) + "\n"


def _matrix() -> str:
    lines = ["| | " + " | ".join(SEVERITIES) + " |", "|---" * (len(SEVERITIES) + 1) + "|"]
    for name, row in reversed(list(zip(LIKELIHOODS, MATRIX, strict=True))):
        lines.append(f"| {name} | " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def _listed(texts: list[str]) -> list[str]:
    return [f"- {text.strip()}" for text in texts]


def _small(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


PAGES = {
    "intended-use.md": intended_use,
    "hazard-log.md": hazard_log,
    "hospital-template.md": hospital_template,
}


def main() -> None:
    found = load()
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(found))


if __name__ == "__main__":
    main()
