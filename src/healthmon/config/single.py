"""One probe outside any schedule, as `healthmon probe` makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from healthmon.config.checks import CheckReader
from healthmon.config.document import document_of_text
from healthmon.config.forms import CheckForm
from healthmon.config.packs import SITE_PACKS, Packs, stock_root
from healthmon.config.problems import Problems
from healthmon.config.validation import Validator
from healthmon.model.errors import ConfigError
from healthmon.model.plan import Job

_PLACE = "--param"


def job_for(kind: str, *, target: str, address: str, params: Mapping[str, str], pack_dirs: Sequence[Path] = ()) -> Job:
    """A job from parameters as typed: YAML values by key, `pack` names a pack. Raises ConfigError."""
    lines = [f"- kind: {kind}", *(f"  {key}: {value}" for key, value in params.items())]
    problems = Problems()
    document = document_of_text("checks:\n" + "\n".join(lines), name=_PLACE, env={}, problems=problems)
    validator = Validator(document, problems)
    forms = [placed.form for placed in validator.each(CheckForm, ("checks",))]
    packs = Packs([stock_root(), SITE_PACKS, *pack_dirs], problems)
    checks = CheckReader(validator, packs, ()).each(forms, ("checks",))
    if len(problems) or not checks:
        raise ConfigError([line.split(": ", 1)[1] for line in problems.lines()])
    check, _ = checks[0]
    return Job(target, check.id, check.kind, address, check.every_s, check.timeout_s, dict(check.params), recheck=0)
