"""The block `line_protocol`: which measurements of other tools are taken, and whose hosts are which targets."""

from __future__ import annotations

from healthmon.config.lineforms import families_of
from healthmon.config.problems import did_you_mean
from healthmon.config.site import LineProtocolConfig
from healthmon.config.written import Written


def lines_of(written: Written) -> LineProtocolConfig | None:
    """None: nobody listens to `lp`."""
    form = written.line_protocol
    if form is None:
        return None
    targets = written.raw_ids("targets")
    for host, target in form.hosts.items():
        if target not in targets:
            message = f"unknown target '{target}'{did_you_mean(target, targets)}"
            written.validator.problem(("line_protocol", "hosts", host), message)
    return LineProtocolConfig(families_of(form.measurements), dict(form.hosts), frozenset(form.drop_tags))
