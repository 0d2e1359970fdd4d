"""`healthmon rules test`: every story told, every difference with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from healthmon.cli.frame import JsonOption
from healthmon.model.errors import ConfigError

_HISTORY_MOST = 20


def rules(
    action: Annotated[str, typer.Argument(help="test")] = "test",
    path: Annotated[Path | None, typer.Argument(help="a .test.yaml file or a folder; default: the stock packs")] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="say what every alert did")] = False,
    json_: JsonOption = False,
) -> None:
    """Unit tests of alerting rules: readings in at times, alerts out at times. Exit 1 when one fails.

    Example: healthmon rules test /etc/healthmon/packs
    """
    if action != "test":
        raise ConfigError([f"rules {action}: no such action (allowed: test)"])
    text, ok = tested(path, as_json=json_, verbose=verbose)
    typer.echo(text)
    raise typer.Exit(0 if ok else 1)


def tested(path: Path | None, *, as_json: bool, verbose: bool) -> tuple[str, bool]:
    """The report, and whether all went as expected. Raises ConfigError for tests that cannot be read."""
    from healthmon.app.ruletests import run_rule_test
    from healthmon.config.ruletests import read_rule_tests, rule_test_files

    files = rule_test_files(path)
    if not files:
        raise ConfigError([f"{path}: no file here ends in .test.yaml"])
    found = {file: [run_rule_test(test) for test in read_rule_tests(file)] for file in files}
    every = [verdict for verdicts in found.values() for verdict in verdicts]
    lacking = _lacking(every)
    if as_json:
        return json.dumps(_as_data(found, lacking)), all(one.ok for one in every)
    lines: list[str] = []
    for file, verdicts in found.items():
        failed = [verdict for verdict in verdicts if not verdict.ok]
        lines.append(f"{file.name}: {len(verdicts) - len(failed)} of {len(verdicts)} as expected")
        for verdict in verdicts if verbose else failed:
            lines += _told(verdict)
    lines += [f"{rule}: no test sees it {word}" for rule, word in lacking]
    total = sum(one.ok for one in every)
    return "\n".join([*lines, f"{total} of {len(every)} tests as expected"]), total == len(every)


def _told(verdict: Any) -> list[str]:
    """One test: each miss with its place, then what really happened."""
    head = f"  {'ok' if verdict.ok else 'FAILED'}: {verdict.test.form.name} ({verdict.test.spot})"
    history = verdict.history[:_HISTORY_MOST] or ("no alert ever moved",)
    left = len(verdict.history) - _HISTORY_MOST
    more = [f"      and {left} more"] if left > 0 else []
    return [head, *(f"    {miss}" for miss in verdict.misses), *(f"      {line}" for line in history), *more]


def _lacking(verdicts: list[Any]) -> list[tuple[str, str]]:
    """Rules of the tested packs without a test that sees them firing, or without one that must not."""
    known = frozenset().union(*(verdict.test.rules for verdict in verdicts))
    fired = frozenset().union(*(verdict.fired for verdict in verdicts))
    quiet = frozenset().union(*(verdict.kept_quiet for verdict in verdicts))
    return [(rule, "firing") for rule in sorted(known - fired)] + [(rule, "quiet") for rule in sorted(known - quiet)]


def _as_data(found: dict[Path, list[Any]], lacking: list[tuple[str, str]]) -> dict[str, Any]:
    tests = [
        {
            "file": str(file),
            "line": verdict.test.spot.line,
            "name": verdict.test.form.name,
            "ok": verdict.ok,
            "misses": [
                {"file": miss.spot.file, "line": miss.spot.line, "at_s": miss.at_s, "rule": miss.rule,
                 "expected": miss.expected, "found": miss.found}
                for miss in verdict.misses
            ],
            "history": list(verdict.history),
        }
        for file, verdicts in found.items()
        for verdict in verdicts
    ]  # fmt: skip
    return {
        "ok": all(one["ok"] for one in tests),
        "tests": tests,
        "not_tested": [{"rule": rule, "never_seen": word} for rule, word in lacking],
    }


COMMANDS = (("rules", rules),)
