"""Lint of whole pack folders, used or not: what `healthmon check` and our own tests ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from healthmon.config.blocks import severity_of, waking_of
from healthmon.config.care import standards_of
from healthmon.config.checks import CheckReader, lint_probe_pack
from healthmon.config.document import document_of_text
from healthmon.config.kinds import check_kind, probe_names, probe_of_folder
from healthmon.config.lineforms import LinesForm, measurements_of
from healthmon.config.packs import Packs, stock_root
from healthmon.config.problems import Problems, allowed
from healthmon.config.rulepacks import RolePackForm
from healthmon.config.rules import policies_of, rules_of
from healthmon.config.texts import catalogues_of
from healthmon.config.validation import Validator
from healthmon.config.wards import stages_of
from healthmon.config.written import read_written
from healthmon.model.sample import Family
from healthmon.probes import trap_pack


def lint_packs(pack_dirs: Sequence[Path] = (), *, lines: Mapping[str, Family] | None = None) -> list[str]:
    """Problems of the stock packs with these laid over them, as `file:line:col: message` lines.

    lines: what other tools send as line protocol, so that rules may use it.
    """
    problems = Problems()
    packs = Packs([stock_root(), *pack_dirs], problems)
    document = document_of_text("organisation: {id: lint, name: lint}", name="(lint)", env={}, problems=problems)
    written = read_written(document, problems)
    written.line_protocol = LinesForm(measurements=measurements_of(lines or {}))
    rules_of(written, packs)
    policies_of(written, packs)
    severity_of(packs, problems)
    waking_of(packs, problems)
    standards_of(packs, problems)
    stages_of(packs, problems, catalogues_of(packs, problems))
    for role in packs.names("collectors/roles"):
        _role(packs, role, problems)
    for folder in _probe_folders(packs):
        _probe_packs(packs, folder, problems)
    return problems.lines()


def _role(packs: Packs, role: str, problems: Problems) -> None:
    document = packs.document(f"collectors/roles/{role}.yaml")
    if document is None:
        return
    validator = Validator(document, problems)
    form: RolePackForm | None = validator.one(RolePackForm, (), document.data)
    if form is not None:
        CheckReader(validator, packs, ()).each(form.collect, ("collect",))


def _probe_folders(packs: Packs) -> list[Path]:
    return sorted({folder for root in packs.roots for folder in (root / "probes").glob("*") if folder.is_dir()})


def _probe_packs(packs: Packs, folder: Path, problems: Problems) -> None:
    for file in sorted(folder.glob("*.yaml")):
        document = packs.document(f"probes/{folder.name}/{file.name}")
        if document is None:
            continue
        kind = probe_of_folder(folder.name)
        if folder.name == trap_pack.FOLDER:
            for wrong in trap_pack.lint_pack(document.data):
                problems.add(document.spot(()), wrong)
        elif kind is not None:
            lint_probe_pack(check_kind(kind), document, problems)
        else:
            problems.add(document.spot(()), f"no probe is called '{folder.name}'{allowed(probe_names())}")
