"""Every `.test.yaml` beside the stock rules, told to the detection code."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthmon.app.ruletests import run_rule_test
from healthmon.config.ruletests import read_rule_tests, rule_test_files

FILES = rule_test_files(None)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.yaml"))
def test_the_stock_rules_do_what_their_stories_say(file: Path) -> None:
    verdicts = [run_rule_test(test) for test in read_rule_tests(file)]
    assert verdicts
    assert [str(miss) for verdict in verdicts for miss in verdict.misses] == []
