"""The exec probe with Debian's monitoring plugins, and with programs that try to get out of the box."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from daemons.looking import FAST, fields, look
from daemons.process import free_port
from daemons.wire_faults import hang, serving
from healthmon.model.plan import MedicalAllow, MedicalNetwork, Safety
from healthmon.model.sample import Outcome, Reading, Reason

pytestmark = pytest.mark.wire
PLUGINS = "/usr/lib/nagios/plugins"


async def plugin(*command: str, address: str = "", **params: Any) -> Reading:
    if not Path(PLUGINS, "check_dummy").exists():
        pytest.skip("monitoring-plugins-basic is not installed")
    return await look("exec", address, command=list(command), directories=[PLUGINS], **params)


async def script(folder: Path, text: str, *, name: str = "check_mine", **params: Any) -> Reading:
    """A program of ours in a directory of its own."""
    folder.joinpath(name).write_text(f"#!/bin/sh\n{text}\n")
    folder.joinpath(name).chmod(0o755)
    return await look("exec", "", command=[name], directories=[str(folder)], **params)


@pytest.mark.parametrize(
    ("code", "outcome", "reason", "detail"),
    [
        ("0", Outcome.OK, None, ""),
        ("1", Outcome.OK, None, ""),
        ("2", Outcome.FAILED, Reason.BAD_STATUS, "CRITICAL"),
        ("3", Outcome.UNKNOWN, Reason.NO_ANSWER, "UNKNOWN"),
    ],
)
async def test_the_four_states(code: str, outcome: Outcome, reason: Reason | None, detail: str) -> None:
    reading = await plugin("check_dummy", code, "of Mrs Canary | a=5ms")
    assert (reading.outcome, reading.reason, reading.detail) == (outcome, reason, detail)
    assert fields(reading, "exec")["status_code"] == float(code)
    assert fields(reading, "exec_perf") == {"seconds": 0.005}
    assert "Canary" not in repr(reading)


async def test_a_warning_may_count_as_failed_and_words_may_be_shown() -> None:
    reading = await plugin("check_dummy", "1", "queue is long", warning="failed", show_text=True)
    assert (reading.reason, reading.detail) == (Reason.BAD_STATUS, "WARNING: queue is long")


async def test_figures_of_real_plugins() -> None:
    reading = await plugin("check_load", "-w", "500,500,500", "-c", "600,600,600")
    by_label = {s.labels["figure"]: s.value for s in reading.samples if s.family == "exec_perf"}
    assert reading.outcome is Outcome.OK
    assert by_label["load1"] == pytest.approx(os.getloadavg()[0], abs=1.0)
    disk = await plugin("check_disk", "-w", "1%", "-c", "0%", "-p", "/")
    assert fields(disk, "exec_perf")["bytes"] > 1e6
    few = await plugin("check_load", "-w", "500,500,500", "-c", "600,600,600", figures=["load1?"], max_figures=1)
    assert [s.labels["figure"] for s in few.samples if s.family == "exec_perf"] == ["load15"]


async def test_a_plugin_that_looks_over_the_network() -> None:
    async with serving(hang) as port:
        reading = await plugin("check_tcp", "-H", "{address}", "-p", str(port), address="127.0.0.1")
        assert reading.outcome is Outcome.OK
        assert 0.0 < fields(reading, "exec_perf")["seconds"] < 5.0
    reading = await plugin("check_tcp", "-H", "{address}", "-p", str(free_port()), address="127.0.0.1")
    assert reading.reason is Reason.BAD_STATUS


# the box


async def test_the_box_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTHMON_SECRET", "canary")
    leak = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(leak, True)
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    try:
        reading = await script(
            tmp_path,
            'env="$(/usr/bin/env | /usr/bin/cut -d= -f1 | /usr/bin/sort | /usr/bin/tr "\\n" " ")"\n'
            f"[ -e /proc/self/fd/{leak} ] && leak=1 || leak=0\n"
            'group="$(ps -o pgid= $$ | tr -d " ")"\n'
            'echo "$env:$(ls -A | wc -l):$PASS:$(read x && echo input)|leak=$leak group=$group pid=$$"',
            show_text=True,
            environment_files={"PASS": str(secret)},
        )
    finally:
        os.close(leak)
    assert reading.detail == "LC_ALL PASS PATH PWD :0:s3cret:", reading
    figures = {s.labels["figure"]: s.value for s in reading.samples if s.family == "exec_perf"}
    assert figures["leak"] == 0.0
    assert figures["group"] == figures["pid"] != float(os.getpgrp())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


async def test_a_hang_ends_with_all_its_children(tmp_path: Path) -> None:
    begun = time.monotonic()
    reading = await script(tmp_path, f"sleep 300 & echo $! > {tmp_path}/pid; trap '' TERM; wait", timeout_s=0.5)
    assert (reading.outcome, reading.reason) == (Outcome.FAILED, Reason.TIMEOUT)
    assert time.monotonic() - begun < 3.0
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_a_child_left_behind_delays_nothing_and_ends(tmp_path: Path) -> None:
    begun = time.monotonic()
    reading = await script(tmp_path, f"sleep 300 & echo $! > {tmp_path}/pid; echo 'OK|a=1'; exit 0")
    assert reading.outcome is Outcome.OK
    assert fields(reading, "exec_perf") == {"value": 1.0}
    assert time.monotonic() - begun < 3.0
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_one_that_leaves_the_group_and_holds_the_pipe_delays_until_the_timeout_at_most(tmp_path: Path) -> None:
    reading = await script(tmp_path, "setsid sleep 2 & sleep 0.1; echo 'OK|a=1'", timeout_s=0.5)
    assert reading.reason is Reason.TIMEOUT
    assert reading.took < 1.5


async def test_many_at_once_leave_nothing_open(tmp_path: Path) -> None:
    await script(tmp_path, "echo 'OK|a=1'")
    before = len(os.listdir("/proc/self/fd"))
    readings = await asyncio.gather(*(script(tmp_path, "echo 'OK|a=1'", name=f"check_{n}") for n in range(40)))
    assert {reading.outcome for reading in readings} == {Outcome.OK}
    assert len(os.listdir("/proc/self/fd")) <= before + 1


@pytest.mark.parametrize(
    ("text", "params", "detail"),
    [
        ("exec yes", {"max_output_bytes": 1000}, "the plugin said more than 1000 bytes"),
        ("while :; do :; done", {"max_cpu_s": 1}, "the plugin was ended by SIGXCPU"),
        ("kill -SEGV $$", {}, "the plugin was ended by SIGSEGV"),
        ("exit 127", {}, "exit code 127 is none of a plugin's"),
        ("exec /nowhere/at-all 2>/dev/null", {}, "exit code 127 is none of a plugin's"),
    ],
)
async def test_what_a_plugin_does_wrong_is_not_the_targets_fault(
    tmp_path: Path, text: str, params: dict[str, Any], detail: str
) -> None:
    reading = await script(tmp_path, text, **params)
    assert (reading.outcome, reading.reason, reading.detail) == (Outcome.UNKNOWN, Reason.NO_ANSWER, detail)
    assert "status_code" not in fields(reading, "exec")


async def test_memory_and_files_are_bounded(tmp_path: Path) -> None:
    eats = 'exec /usr/bin/perl -e \'$x = "a" x 200000000; print "OK\\n"\''
    assert (await script(tmp_path, eats)).outcome is Outcome.OK
    assert (await script(tmp_path, eats, max_memory_bytes=64 * 1024**2)).reason is Reason.NO_ANSWER
    reading = await script(tmp_path, "head -c 20000000 /dev/zero > big; stat -c 'OK|b=%sB' big")
    assert fields(reading, "exec_perf")["bytes"] == 16 * 1024**2


# what may be run


async def test_only_from_the_directories_named(tmp_path: Path) -> None:
    named, other = tmp_path / "named", tmp_path / "other"
    named.mkdir()
    other.mkdir()
    assert (await script(named, "exit 0")).outcome is Outcome.OK
    (other / "check_other").write_text("#!/bin/sh\n")
    (other / "check_other").chmod(0o755)
    (named / "check_link").symlink_to(other / "check_other")
    (named / "check_plain").write_text("#!/bin/sh\n")
    (named / "check_plain").chmod(0o644)

    async def refused(name: str) -> tuple[Reason | None, str]:
        reading = await look("exec", "", command=[name], directories=[str(named)])
        assert reading.outcome is Outcome.UNKNOWN
        return reading.reason, reading.detail

    assert (await refused("check_other"))[0] is Reason.BAD_PARAMS
    assert await refused("check_link") == (
        Reason.NOT_ALLOWED,
        "check_link is a link out of the directories that are named",
    )
    assert (await refused("check_plain"))[0] is Reason.NO_PERMISSION
    for name in ("../other/check_other", str(other / "check_other"), "", "-c"):
        assert (await refused(name))[0] is Reason.BAD_PARAMS
    (named / "check_mine").chmod(0o777)
    assert (await refused("check_mine"))[0] is Reason.NOT_ALLOWED
    (named / "check_mine").chmod(0o755)
    named.chmod(0o777)
    assert (await refused("check_mine"))[0] is Reason.NOT_ALLOWED


async def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    reading = await plugin("check_dummy", "0", f"$(touch {tmp_path}/made); `id` > {tmp_path}/made", show_text=True)
    assert reading.outcome is Outcome.OK
    assert not (tmp_path / "made").exists()


async def test_the_safety_block_holds(tmp_path: Path) -> None:
    deny = Safety(deny=("127.0.0.1/32",), rates=FAST)
    medical = Safety(medical=(MedicalNetwork("127.0.0.0/8", (MedicalAllow("exec", "a", "2026-11-01"),)),), rates=FAST)
    for safety in (deny, medical):
        for command, address in ((["check_mine"], "127.0.0.1"), (["check_mine", "127.0.0.1"], "[::1]:80")):
            (tmp_path / "check_mine").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
            (tmp_path / "check_mine").chmod(0o755)
            reading = await look("exec", address, safety=safety, command=command, directories=[str(tmp_path)])
            assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.NOT_ALLOWED), reading
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "params",
    [
        {"command": []},
        {"command": ["/bin/sh"]},
        {"directories": []},
        {"directories": ["bin"]},
        {"environment": {"LD_PRELOAD": "x"}},
        {"max_memory_bytes": 1},
        {"warning": "maybe"},
    ],
)
async def test_wrong_params_are_ours(params: dict[str, Any]) -> None:
    reading = await look("exec", "", **{"command": ["check_dummy", "0"], "directories": [PLUGINS], **params})
    assert (reading.outcome, reading.reason) == (Outcome.UNKNOWN, Reason.BAD_PARAMS)
