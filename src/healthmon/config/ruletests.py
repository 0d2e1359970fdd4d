"""Rule tests as packs write them: `alerting/rules/NAME.test.yaml` beside `NAME.yaml`, read with their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from healthmon.config.document import Document
from healthmon.config.forms import Form, Names
from healthmon.config.loading import load_document
from healthmon.config.packs import Packs, read_pack, stock_root
from healthmon.config.problems import Problems, Spot, allowed, did_you_mean
from healthmon.config.scalars import DURATION_SCHEMA, Duration, Moment, duration_s
from healthmon.config.site import SiteConfig
from healthmon.config.validation import Placed, Validator
from healthmon.config.yamlnodes import DataPath
from healthmon.model.errors import ConfigError
from healthmon.model.sample import Outcome, Reason

SUFFIX = ".test.yaml"
_FOLDER = ("alerting", "rules")
#: A Monday in working hours, for tests that do not say when they begin.
BEGINS_AT = 1_795_428_000.0  # 2026-11-23T10:00:00Z
_SITE: dict[str, Any] = {"organisation": {"id": "test", "name": "Test", "timezone": "UTC"}, "data_dir": "/nonexistent"}


def _ramp(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Values = Annotated[
    list[float | bool | str],
    BeforeValidator(_ramp),
    WithJsonSchema({"description": "one value, or [first, last] of a straight line"}),
]


class ReadingsForm(Form):
    """What is read: once at `at`, or from `at` to `to` at the check's interval (or `every`)."""

    at: Duration
    to: Duration | None = None
    every: Annotated[float, BeforeValidator(duration_s), WithJsonSchema(DURATION_SCHEMA)] | None = None
    target: str | None = Field(default=None, description="Default: the only target of the site")
    check: str | None = Field(default=None, description="Default: the only check of the target")
    vantage: str = "poller"
    outcome: Outcome = Outcome.OK
    reason: Reason | None = None
    values: dict[str, Values] = Field(default={}, description="By `family.field`")
    labels: dict[str, str] = Field(default={}, description="Dimension labels of these values")
    agent: str | None = Field(default=None, description="Instead of a reading: this agent speaks, or says goodbye")
    heard: Literal["up", "stopped"] = "up"

    @model_validator(mode="after")
    def _goes_on(self) -> ReadingsForm:
        if self.to is not None and self.to < self.at:
            raise ValueError("`to` must not be before `at`")
        if self.every is not None and self.every <= 0:
            raise ValueError("`every` must be more than 0s")
        return self


class ExpectForm(Form):
    """What must be so at one time; each name is `rule` or `rule/target`."""

    at: Duration
    firing: Names = Field(default=[])
    pending: Names = Field(default=[])
    quiet: Names = Field(default=[])


class RuleTestForm(Form):
    """One story: readings in, alerts out."""

    name: str
    begins: Moment = Field(default=BEGINS_AT, validate_default=False)
    site: dict[str, Any] | None = Field(default=None, description="Instead of the file's own site")
    readings: list[ReadingsForm] = Field(min_length=1)
    expect: list[ExpectForm] = Field(default=[])
    never: Names = Field(default=[], description="Rules that must not fire at any time")

    @model_validator(mode="after")
    def _asks_something(self) -> RuleTestForm:
        if not self.never and not any(one.firing or one.pending or one.quiet for one in self.expect):
            raise ValueError("a test expects something (allowed: expect, never)")
        return self


class RuleTestFileForm(Form):
    """alerting/rules/*.test.yaml"""

    description: str = ""
    site: dict[str, Any] = Field(default={}, description="A configuration: areas, targets with checks, agents")
    tests: list[RuleTestForm]


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One test with its site and the rules that it is about. `spot_of` gives the place of a path within it."""

    form: RuleTestForm
    site: SiteConfig
    rules: frozenset[str]
    spot: Spot
    expect_spots: tuple[Spot, ...]
    never_spot: Spot


def rule_test_files(path: Path | None) -> list[Path]:
    """The test files meant by a file or a folder; without either, those of the stock packs. No order but by name."""
    folder = path or stock_root().joinpath(*_FOLDER)
    return [folder] if folder.is_file() else sorted(folder.rglob(f"*{SUFFIX}"))


def read_rule_tests(file: Path) -> list[RuleTest]:
    """The tests of one file. Raises ConfigError with every problem as `file:line:col: message`."""
    problems = Problems()
    document = read_pack(file, problems)
    problems.raise_if_any()
    assert document is not None
    reader = _Reader(file, document, problems)
    tests = list(reader.tests())
    problems.raise_if_any()
    return tests


def pack_root_of(file: Path) -> Path | None:
    """The pack folder that a file under alerting/rules belongs to."""
    here = file.resolve().parent
    return here.parents[1] if here.parts[-2:] == _FOLDER else None


class _Reader:
    def __init__(self, file: Path, document: Document, problems: Problems) -> None:
        self._file = file
        self._document = document
        self._problems = problems
        self._validator = Validator(document, problems)
        self._roots = [root for root in (pack_root_of(file),) if root is not None and root != stock_root()]
        self._packs = Packs([stock_root(), *self._roots], problems)
        self._pack = file.name.removesuffix(SUFFIX)
        self._known: dict[DataPath, SiteConfig] = {}

    def tests(self) -> Iterator[RuleTest]:
        data = self._document.data
        self._validator.one(RuleTestFileForm, (), {**data, "tests": data.get("tests") and []})
        rules = self._rule_ids()
        for placed in self._validator.each(RuleTestForm, ("tests",)):
            self._names_known(placed, rules)
            if len(self._problems):
                continue
            site = self._site(("site",) if placed.form.site is None else (*placed.path, "site"))
            self._metrics_known(placed, site)
            self._series_known(placed, site)
            yield self._test(placed, site, rules)

    def _test(self, placed: Placed[RuleTestForm], site: SiteConfig, rules: frozenset[str]) -> RuleTest:
        return RuleTest(
            placed.form,
            site,
            rules,
            self._document.spot(placed.path),
            tuple(self._document.spot((*placed.path, "expect", n)) for n in range(len(placed.form.expect))),
            self._document.spot((*placed.path, "never")),
        )

    def _rule_ids(self) -> frozenset[str]:
        """The rules of the pack beside the tests."""
        pack = self._packs.document(f"{'/'.join(_FOLDER)}/{self._pack}.yaml")
        if pack is None:
            beside = self._file.with_name(f"{self._pack}.yaml")
            self._problems.add(Spot(str(self._file), 1, 1), f"no rule pack {beside} is there for these tests")
            self._problems.raise_if_any()
        assert pack is not None
        return frozenset(str(rule["id"]) for rule in _mappings(pack.data.get("rules")) if "id" in rule)

    def _site(self, path: DataPath) -> SiteConfig:
        """The configuration written at this path, with this pack's rules; read once."""
        if path not in self._known:
            data: Any = self._document.data
            for step in path:
                data = (data.get(step) or {}) if isinstance(data, dict) else data[step]
            whole = {**_SITE, **data, "alerting": {"packs": [self._pack], **(data.get("alerting") or {})}}
            document = self._document.part(path, whole)
            self._known[path] = load_document(document, Problems(), pack_dirs=self._roots)
        return self._known[path]

    def _names_known(self, placed: Placed[RuleTestForm], rules: frozenset[str]) -> None:
        form = placed.form
        lists: list[tuple[DataPath, Sequence[str]]] = [((*placed.path, "never"), form.never)]
        for number, one in enumerate(form.expect):
            for key in ("firing", "pending", "quiet"):
                lists.append(((*placed.path, "expect", number, key), getattr(one, key)))
        for path, names in lists:
            for number, name in enumerate(names):
                rule = name.partition("/")[0]
                if rule not in rules:
                    hint = did_you_mean(rule, rules) + allowed(rules)
                    self._validator.problem((*path, number), f"no rule '{rule}' in {self._pack}.yaml{hint}")

    def _metrics_known(self, placed: Placed[RuleTestForm], site: SiteConfig) -> None:
        known = self._packs.metrics()
        pushed = site.line_protocol.families if site.line_protocol else {}
        for number, one in enumerate(placed.form.readings):
            for metric in one.values:
                if metric not in known and metric.partition(".")[0] not in {"agent", *pushed}:
                    path = (*placed.path, "readings", number, "values", metric)
                    hint = did_you_mean(metric, known)
                    self._validator.problem(path, f"nothing emits '{metric}'{hint}", key=True)

    def _series_known(self, placed: Placed[RuleTestForm], site: SiteConfig) -> None:
        for number, one in enumerate(placed.form.readings):
            path = (*placed.path, "readings", number)
            if one.agent is not None:
                if one.agent not in site.estate.agents:
                    self._validator.problem((*path, "agent"), f"unknown agent{allowed(site.estate.agents)}")
                continue
            targets = site.estate.targets
            target = targets.get(one.target) if one.target else _only(targets)
            if target is None:
                self._validator.problem(path, f"say which target is read{allowed(targets)}")
            elif one.check is None and len(target.checks) != 1:
                checks = [check.id for check in target.checks]
                self._validator.problem(path, f"say which check of {target.id} is read{allowed(checks)}")


def series_of(form: ReadingsForm, site: SiteConfig) -> tuple[str, str, float]:
    """(target, check, interval in seconds) of a reading whose names were checked."""
    target = site.estate.targets[form.target] if form.target else _only(site.estate.targets)
    assert target is not None
    check = form.check or target.checks[0].id
    every_s = next((one.every_s for one in target.checks if one.id == check), 60.0)
    return target.id, check, form.every or every_s


def _only(things: Mapping[str, Any]) -> Any:
    return next(iter(things.values())) if len(things) == 1 else None


def rule_test_problems(roots: Sequence[Path]) -> list[str]:
    """What is wrong with the test files beside these packs, as `file:line:col: message` lines."""
    found: dict[str, None] = {}
    for file in _beside(roots):
        try:
            read_rule_tests(file)
        except ConfigError as error:
            found.update(dict.fromkeys(error.problems))
    return list(found)


def tested_rules(roots: Sequence[Path]) -> dict[str, frozenset[str]]:
    """Rules that some test beside these packs sees `firing`, and those that some test expects `quiet`.

    What is not written as a test is passed over: `rule_test_problems` says what is wrong with it.
    """
    firing: set[str] = set()
    quiet: set[str] = set()
    for file in _beside(roots):
        document = read_pack(file, Problems())
        for test in _mappings(document.data.get("tests")) if document else ():
            expected = _mappings(test.get("expect"))
            firing.update(name for one in expected for name in _named(one.get("firing")))
            quiet.update(name for one in expected for name in _named(one.get("quiet")))
            quiet.update(_named(test.get("never")))
    return {"firing": frozenset(firing), "quiet": frozenset(quiet)}


def _beside(roots: Sequence[Path]) -> list[Path]:
    return [file for root in roots for file in sorted(root.joinpath(*_FOLDER).glob(f"*{SUFFIX}"))]


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _named(value: Any) -> list[str]:
    names = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [str(name).partition("/")[0] for name in names]
