"""exec: run a monitoring plugin that the hospital has, in a box, and read its exit code and performance data."""

from __future__ import annotations

import ipaddress
import re
import signal
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from healthmon.model.errors import HealthmonError
from healthmon.model.plan import Job
from healthmon.model.ports import Sight
from healthmon.model.sample import Family, Reading, Reason, Sample
from healthmon.probes.address import host_port
from healthmon.probes.exec_sandbox import Ended, Limits, find_command, run_boxed
from healthmon.probes.look import Look, Settings, samples_of
from healthmon.probes.param_checks import check_choice, check_range
from healthmon.probes.perfdata import FIELDS, Output, parse_output
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import Fault, Finding

FAMILIES = (
    Family(
        "exec",
        frozenset({"status_code", "run_seconds", "dns_seconds", "duration_seconds"})
        | {"output_bytes", "figures", "unread_figures"},
    ),
    Family("exec_perf", FIELDS, frozenset({"figure"})),
)

STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_TEXT = 160


@dataclass(frozen=True, slots=True)
class Params:
    """`command` is a list: a program's bare name, found in `directories` only, and its arguments; no shell reads it.

    `{address}` in an argument is the target's address after the safety block, `{host}` its name as written.
    `environment_files`: variable -> file that holds the secret; a command line can be read by everybody.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    command: tuple[str, ...]
    directories: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    environment_files: dict[str, str] = field(default_factory=dict)
    warning: str = "ok"
    figures: tuple[str, ...] = ("*",)
    max_figures: int = 50
    show_text: bool = False
    max_cpu_s: int = 10
    max_memory_bytes: int = 512 * 1024 * 1024
    max_output_bytes: int = 64 * 1024

    def __post_init__(self) -> None:
        if not self.command or not _NAME.fullmatch(self.command[0]):
            raise ValueError("command: begins with the bare name of a program (no path), then its arguments")
        if not self.directories or not all(directory.startswith("/") for directory in self.directories):
            raise ValueError("directories: name at least one, each from the root (like /usr/lib/nagios/plugins)")
        if any("\0" in part for part in (*self.command, *self.environment.values())):
            raise ValueError("command: a zero byte cannot be passed")
        for name in (*self.environment, *self.environment_files):
            if not _VARIABLE.fullmatch(name) or name.startswith("LD_"):
                raise ValueError(f"environment: {name!r} cannot be set (allowed: letters, digits, _; not LD_...)")
        check_choice("warning", self.warning, ("ok", "failed"))
        check_range("max_figures", self.max_figures, 0, 500)
        check_range("max_cpu_s", self.max_cpu_s, 1, 600)
        check_range("max_memory_bytes", self.max_memory_bytes, 16 * 1024**2, 16 * 1024**3)
        check_range("max_output_bytes", self.max_output_bytes, 1, 4 * 1024**2)

    def limits(self) -> Limits:
        """What the plugin may use."""
        return Limits(self.max_cpu_s, self.max_memory_bytes, self.max_output_bytes)


class ExecProbe:
    """0 is ok, 1 ok with `status_code` 1 (or failed, by `warning`), 2 failed, 3 and everything else unknown."""

    def __init__(self) -> None:
        self._settings = Settings(Params)

    async def probe(self, job: Job, sight: Sight) -> Reading:
        """ok, failed (bad_status, timeout) or unknown (no_answer, not_allowed, bad_params, no_permission)."""
        params = self._settings.of(job)
        look, phases = Look(job, sight), Phases(sight)
        samples: list[Sample] = []
        try:
            path = find_command(params.command[0], params.directories)
            phases.enter("dns")
            arguments = await _arguments(params, job.address, sight)
            phases.enter("run")
            sight.trace(f"running {params.command[0]} with {len(arguments)} arguments")
            left_s = max(0.01, job.timeout_s - phases.total_s())
            environment = {**params.environment, **_secrets(params)}
            argv, limits = [path, *arguments], params.limits()
            ended = await run_boxed(argv, environment=environment, limits=limits, timeout_s=left_s, clock=sight.clock)
            phases.enter("")
            sight.trace(f"ended with {ended.code} and {len(ended.output)} bytes of output")
            said = parse_output(ended.output.decode("utf-8", "replace"))
            fault = _judge(params, ended, said)
            samples = _samples(params, ended, said)
        except (OSError, HealthmonError) as error:
            fault = phases.fault_of(error, job.timeout_s)
        found = samples_of("exec", phases.fields()) + samples
        return look.ok(found, _shown(params, said)) if fault is None else look.bad(fault, found)


async def _arguments(params: Params, address: str, sight: Sight) -> list[str]:
    """Placeholders filled. The target and every address that stands among the arguments pass the safety block."""
    host = host_port(address, 1)[0] if address else "localhost"
    admitted = await sight.resolve(host, 0)
    if admitted[0].gentle:
        raise Finding(Reason.NOT_ALLOWED, "a plugin cannot be held to one connection: not in a medical network")
    for part in params.command[1:]:
        if _is_address(part) and part != admitted[0].ip and (await sight.resolve(part, 0))[0].gentle:
            raise Finding(Reason.NOT_ALLOWED, "a plugin cannot be held to one connection: not in a medical network")
    filled = {"{address}": admitted[0].ip, "{host}": host}
    return [_filled(part, filled) for part in params.command[1:]]


def _filled(part: str, filled: dict[str, str]) -> str:
    for name, value in filled.items():
        part = part.replace(name, value)
    return part


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _secrets(params: Params) -> dict[str, str]:
    return {name: Path(file).read_text().rstrip("\r\n") for name, file in params.environment_files.items()}


def _judge(params: Params, ended: Ended, said: Output) -> Fault | None:
    if ended.over:
        return Fault(Reason.NO_ANSWER, f"the plugin said more than {params.max_output_bytes} bytes")
    if ended.code < 0:
        return Fault(Reason.NO_ANSWER, f"the plugin was ended by {_signal(-ended.code)}")
    if ended.code == 0 or (ended.code == 1 and params.warning == "ok"):
        return None
    if ended.code > 3:
        return Fault(Reason.NO_ANSWER, f"exit code {ended.code} is none of a plugin's")
    text = _shown(params, said) or STATES[ended.code]
    return Fault(Reason.BAD_STATUS if ended.code < 3 else Reason.NO_ANSWER, text)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _shown(params: Params, said: Output) -> str:
    """The plugin's own words only where the config wants them: they may quote a log or a record."""
    return said.text[:_MOST_TEXT] if params.show_text else ""


def _samples(params: Params, ended: Ended, said: Output) -> list[Sample]:
    wanted = [perf for perf in said.perfs if any(fnmatchcase(perf.label, pattern) for pattern in params.figures)]
    kept = wanted[: params.max_figures] if not ended.over else []
    fields = {"output_bytes": float(len(ended.output)), "figures": float(len(kept))}
    fields["unread_figures"] = float(said.unread + len(wanted) - len(kept))
    if 0 <= ended.code <= 3 and not ended.over:
        fields["status_code"] = float(ended.code)
    found = samples_of("exec", fields)
    for perf in kept:
        found += samples_of("exec_perf", {perf.field: perf.value}, {"figure": perf.label[:120]})
    return found
