"""Checks with their parameters: kind known, pack merged, secrets read, Params validated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from pydantic import ValidationError

from healthmon.config.document import Document
from healthmon.config.forms import CheckForm
from healthmon.config.kinds import Kind, check_kind, check_names, pack_folder
from healthmon.config.packs import Packs
from healthmon.config.problems import Problems, allowed, did_you_mean
from healthmon.config.scalars import duration_s
from healthmon.config.validation import Validator, known_path, note_detail
from healthmon.config.yamlnodes import DataPath, PathStep
from healthmon.model.topology import PUSHED_KINDS, Check

#: The packs of a kind are chosen by what the device says of itself.
AUTO_PACK = "auto"
_DEFAULT_TIMEOUT_S = 5.0
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)|\[(\d+)\]")


class CheckReader:
    """Makes model checks of written ones. `vantages` are the names that `from` may hold; `sources` push."""

    def __init__(
        self, validator: Validator, packs: Packs, vantages: Iterable[str], *, sources: Iterable[str] = ()
    ) -> None:
        self._sources = frozenset(sources)
        self._validator = validator
        self._packs = packs
        self._vantages = frozenset(vantages) | {"poller", "agents"}
        self._linted: list[Document] = []
        self._made: dict[tuple[str, str | None, str], dict[str, Any]] = {}
        self._auto: dict[str, dict[str, Any]] = {}

    def each(self, forms: Iterable[CheckForm], path: DataPath) -> list[tuple[Check, DataPath]]:
        """Every good check of a list with its place; ids must differ."""
        checks: list[tuple[Check, DataPath]] = []
        seen: dict[str, DataPath] = {}
        for number, form in enumerate(forms):
            where = (*path, number)
            check_id = form.id or form.kind
            if check_id in seen:
                spot = self._validator.spot(seen[check_id])
                self._validator.problem(where, f"check id '{check_id}' is already used at {spot}; give one an `id`")
                continue
            seen[check_id] = where
            check = self.one(form, where)
            if check:
                checks.append((check, where))
        return checks

    def one(self, form: CheckForm, path: DataPath) -> Check | None:
        """One check, or None after noting what is wrong."""
        if form.kind not in check_names():
            names = check_names()
            message = f"unknown check kind '{form.kind}'{did_you_mean(form.kind, names)}{allowed(names)}"
            self._validator.problem((*path, "kind"), message)
            return None
        self._vantages_known(form, path)
        if form.kind in PUSHED_KINDS and not set(form.vantages) <= self._sources:
            self._validator.problem((*path, "from"), f"a pushed check names its source{allowed(self._sources)}")
        timeout_s = form.timeout if form.timeout is not None else min(_DEFAULT_TIMEOUT_S, form.every)
        if timeout_s > form.every:
            self._validator.problem((*path, "timeout"), f"is longer than `every` (allowed: up to {form.every:g}s)")
        params = self._params(form, path)
        if params is None:
            return None
        return Check(
            id=form.id or form.kind,
            kind=form.kind,
            every_s=self._every_s(form, params, path),
            timeout_s=timeout_s,
            params=params,
            vantages=tuple(form.vantages),
            recheck=form.recheck,
        )

    def _every_s(self, form: CheckForm, params: Mapping[str, Any], path: DataPath) -> float:
        """The interval, which a kind with `min_every` bounds; one that was not written keeps to it by itself."""
        floor_s = float(params.get("min_every_s", check_kind(form.kind).least_every_s))
        if form.every >= floor_s:
            return form.every
        if "every" in form.model_fields_set:
            self._validator.problem((*path, "every"), f"is shorter than `min_every` (allowed: from {floor_s:g}s)")
        return floor_s

    def _vantages_known(self, form: CheckForm, path: DataPath) -> None:
        for number, name in enumerate(form.vantages):
            if name not in self._vantages:
                hint = did_you_mean(name, self._vantages)
                self._validator.problem(
                    (*path, "from", number), f"unknown vantage '{name}'{hint} (allowed: poller, agents, ids of agents)"
                )

    def _params(self, form: CheckForm, path: DataPath) -> dict[str, Any] | None:
        """Validated parameters; thousands of checks that are written alike share one mapping."""
        own = dict(form.model_extra or {})
        shared = None if any(key.endswith("_file") for key in own) else (form.kind, form.pack, repr(own))
        if shared in self._made:
            return self._made[shared]
        kind = check_kind(form.kind)
        pack = self._pack(form, path, kind)
        if pack is None:
            return None
        params = read_params(kind, own, path, self._validator, defaults=pack)
        if shared and params is not None:
            self._made[shared] = params
        return params

    def _pack(self, form: CheckForm, path: DataPath, kind: Kind) -> dict[str, Any] | None:
        """The pack's data as parameters: whole under `pack` where the kind asks for that, else as defaults."""
        if form.pack is None:
            return {}
        folder = pack_folder(form.kind)
        if form.pack == AUTO_PACK and kind.pack_assembler:
            return self._assembled(kind, folder, path)
        document = self._packs.document(f"{folder}/{form.pack}.yaml")
        if document is None:
            names = self._packs.names(folder)
            message = f"unknown pack '{form.pack}' of {form.kind}{did_you_mean(form.pack, names)}{allowed(names)}"
            self._validator.problem((*path, "pack"), message)
            return None
        if document not in self._linted:
            self._linted.append(document)
            lint_probe_pack(kind, document, self._validator.problems)
        if "pack" in kind.fields:
            return {"pack": document.data}
        return {key: value for key, value in document.data.items() if key != "description" or key in kind.fields}

    def _assembled(self, kind: Kind, folder: str, path: DataPath) -> dict[str, Any] | None:
        """`pack: auto`: the index of the folder with every pack that it names, made once for all checks."""
        if folder not in self._auto:
            document = self._packs.document(f"{folder}/index.yaml")
            if document is None or kind.pack_assembler is None:
                self._validator.problem((*path, "pack"), f"there is no index of packs in {folder}")
                return None

            def load(slug: str) -> Mapping[str, Any] | None:
                found = self._packs.document(f"{folder}/{slug}.yaml")
                return found.data if found else None

            try:
                self._auto[folder] = kind.pack_assembler(document.data, load)
            except ValueError as error:
                self._validator.problem((*path, "pack"), str(error))
                return None
        return {"pack": self._auto[folder]}


def read_params(
    kind: Kind, own: Mapping[str, Any], path: DataPath, validator: Validator, *, defaults: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The parameters of one check or channel, validated; None after noting what is wrong."""
    params = dict(defaults)
    before = len(validator.problems)
    for key, value in own.items():
        name, given = _written_param(kind, key, value, path, validator)
        params[name] = given
    if len(validator.problems) > before:
        return None
    try:
        made = kind.adapter.validate_python(params)
    except ValidationError as error:
        _note_params(kind, error, own, path, validator)
        return None
    dumped: dict[str, Any] = kind.adapter.dump_python(made, mode="json")
    shared = {"pack": defaults["pack"]} if "pack" in defaults else {}  # large, and one for thousands of checks
    return {name: dumped[name] for name in params} | shared


def _written_param(kind: Kind, key: str, value: Any, path: DataPath, validator: Validator) -> tuple[str, Any]:
    """`X_file` is read where only X is a parameter; `every: 5s` style text becomes seconds in `*_s` fields."""
    name = key.removesuffix("_file")
    if name != key and key not in kind.fields and name in kind.fields:
        return name, read_secret(validator.document, (*path, key), str(value), validator)
    if key.endswith("_file") and isinstance(value, str):
        return key, str(beside(validator.document, (*path, key), value))
    if key not in kind.fields and f"{key}_s" in kind.fields:
        key = f"{key}_s"
    if key.endswith("_s") and isinstance(value, str):
        try:
            return key, duration_s(value)
        except ValueError:
            return key, value
    return key, value


def _note_params(
    kind: Kind, error: ValidationError, own: Mapping[str, Any], path: DataPath, validator: Validator
) -> None:
    for detail in error.errors(include_url=False):
        loc = detail["loc"]
        if loc and loc[0] not in own and str(loc[0]).removesuffix("_s") in own:
            loc = (str(loc[0]).removesuffix("_s"), *loc[1:])
        full = known_path(validator.document.data, (*path, *loc))
        note_detail(detail, full, lambda: set(kind.fields), validator.document, validator.problem)


def lint_probe_pack(kind: Kind, document: Document, problems: Problems) -> None:
    """What the kind itself says about one of its packs, at the place it speaks of."""
    for line in kind.pack_linter(document.data) if kind.pack_linter else ():
        place = line.partition(": ")[0]
        steps: list[PathStep] = [name if name else int(number) for name, number in _STEP.findall(place)]
        problems.add(document.spot(tuple(steps)), line)


def beside(document: Document, path: DataPath, name: str) -> Path:
    """A file name, relative to the file in which it is written."""
    return Path(name) if PureWindowsPath(name).is_absolute() else document.folder(path) / name


def read_secret(document: Document, path: DataPath, name: str, validator: Validator) -> str:
    """The content of a secret file without the line end; a missing one is noted."""
    file = beside(document, path, name)
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        validator.problem(path, f"'{name}' cannot be read: {why}")
        return ""
