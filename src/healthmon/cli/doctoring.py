"""`healthmon doctor`: what is wrong with this installation, and what mends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from healthmon.cli.frame import ConfigOption, JsonOption, need_config
from healthmon.model.errors import HealthmonError

_MARKS = {"ok": "ok     ", "look": "LOOK   ", "bad": "BAD    ", "unknown": "unknown"}


def doctor(
    bundle: Annotated[Path | None, typer.Option("--bundle", metavar="FILE", help="write a support bundle")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="read every block of the embedded store")] = False,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="the server's URL; default: from the configuration")] = None,
    json_: JsonOption = False,
) -> None:
    """Look at everything healthmon stands on, from the disk to undelivered pages, and say what mends what is wrong.

    Changes nothing. Exit 0: nothing is bad; 1: something is. The bundle (--bundle healthmon.tar.gz) holds no secret and
    nothing that looks like a patient; MANIFEST.txt in it says what it holds.

    Example: healthmon doctor; healthmon doctor --bundle healthmon.tar.gz
    """
    from healthmon.app import doctor as ward
    from healthmon.app.bundle import finding_json, write_bundle
    from healthmon.app.doctor_looks import LOOKS
    from healthmon.cli.client import Client
    from healthmon.runtime.clock import SystemClock

    site = need_config(config)
    patient = ward.Patient(site, SystemClock(), _asking(Client.of(site, url)), deep)
    findings = ward.examine(patient, LOOKS)
    held = write_bundle(bundle, patient, findings) if bundle else []
    verdict = ward.worst(findings)
    if json_:
        items = [finding_json(one) for one in findings]
        typer.echo(json.dumps({"verdict": verdict, "findings": items, "bundle": held}))
    else:
        for finding in findings:
            typer.echo(f"{_MARKS[finding.verdict]} {finding.check}: {finding.text}")
            if finding.fix:
                typer.echo(f"        fix: {finding.fix}")
        if bundle:
            typer.echo(f"wrote {bundle}: {', '.join(held)}")
    raise typer.Exit(1 if verdict is ward.Verdict.BAD else 0)


def _asking(client: Any) -> Any:
    answers: dict[str, Any] = {}

    def ask(path: str) -> Any:
        if path not in answers:
            try:
                answers[path] = client.get(path)
            except HealthmonError:
                answers[path] = None
        return answers[path]

    return ask


COMMANDS = (("doctor", doctor),)
