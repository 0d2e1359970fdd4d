"""`probe_modules`: what a Prometheus that was set up for blackbox_exporter may ask of /probe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from healthmon.config.blackboxfile import Read, read_blackbox
from healthmon.config.checks import CheckReader
from healthmon.config.fileforms import ProbeModulesForm
from healthmon.config.forms import CheckForm
from healthmon.config.kinds import probe_names
from healthmon.config.packs import Packs
from healthmon.config.problems import allowed
from healthmon.config.site import ProbeModule, ProbeModules
from healthmon.config.written import Written

#: Names that stand in blackbox_exporter's own example, so that a job written for it finds them here.
#: It sets no limit to a body; ours is the highest there is.
STOCK: dict[str, dict[str, Any]] = {
    "http_2xx": {"kind": "http", "max_body_bytes": 64 * 1024 * 1024},
    "http_post_2xx": {"kind": "http", "method": "POST", "max_body_bytes": 64 * 1024 * 1024},
    "tcp_connect": {"kind": "tcp"},
    "ssh_banner": {"kind": "tcp", "expect": "^SSH-2.0-"},
    "icmp": {"kind": "icmp", "count": 1},
    "tls_connect": {"kind": "tls"},
}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")


def probe_modules_of(written: Written, packs: Packs, warn: list[str]) -> ProbeModules:
    """The stock modules, those of a blackbox file over them, and the site's own over both, by name."""
    form: ProbeModulesForm = written.probe_modules
    theirs = _theirs(written, warn)
    modules = {name: ProbeModule(*_stock(entry)) for name, entry in STOCK.items()} | theirs.modules
    reader = CheckReader(written.validator, packs, ())
    for name, check in form.modules.items():
        path = ("probe_modules", "modules", name)
        if not _NAME.fullmatch(name):
            written.validator.problem(path, f"'{name}' is not a name of a module", key=True)
        made = reader.one(check, path)
        if made is not None and made.kind not in probe_names():
            written.validator.problem((*path, "kind"), f"'{made.kind}' looks at its own host{allowed(probe_names())}")
        elif made is not None:
            modules[name] = ProbeModule(made.kind, made.params, check.timeout)
    refused = {name: why for name, why in theirs.refused.items() if name not in form.modules}
    return ProbeModules(tuple(form.networks), modules, refused)


def _theirs(written: Written, warn: list[str]) -> Read:
    named, path = written.probe_modules.blackbox, ("probe_modules", "blackbox")
    if named is None:
        return Read()
    try:
        read = read_blackbox(written.document.folder(path) / named, written.validator.problems)
    except OSError as error:
        written.validator.problem(path, f"'{named}' cannot be read: {error.strerror}")
        return Read()
    warn.extend(read.lines)
    return read


def blackbox_file(written: Written) -> tuple[Path, ...]:
    """The module file, for those who watch what the configuration was read from."""
    named = written.probe_modules.blackbox
    return () if named is None else (written.document.folder(("probe_modules", "blackbox")) / named,)


def _stock(entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    form = CheckForm.model_validate(entry)
    return form.kind, dict(form.model_extra or {})
