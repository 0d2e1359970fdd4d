"""`probe_modules`: what a Prometheus that was set up for blackbox_exporter may ask of /probe."""

from __future__ import annotations

import re
from typing import Any

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


def probe_modules_of(written: Written, packs: Packs) -> ProbeModules:
    """The stock modules with the site's laid over them by name."""
    form: ProbeModulesForm = written.probe_modules
    modules = {name: ProbeModule(*_stock(entry)) for name, entry in STOCK.items()}
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
    return ProbeModules(tuple(form.networks), modules)


def _stock(entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    form = CheckForm.model_validate(entry)
    return form.kind, dict(form.model_extra or {})
