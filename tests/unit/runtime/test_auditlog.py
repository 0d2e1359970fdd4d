"""The audit's chain: every change of a line shows, a power cut does not break it, and two processes share it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from healthmon.runtime.auditlog import AuditLog, Deed, verify

NOW = 1_800_000_000.0


def written(folder: Path, count: int = 6) -> Path:
    log = AuditLog(folder / "audit.jsonl", now=lambda: NOW)
    for number in range(count):
        log.append(Deed(f"user:u{number}", "incidents ack", about=f"inc-{number}", source="192.0.2.7", by="Dutý"))
    return folder / "audit.jsonl"


def test_what_is_written_can_be_read_and_holds(tmp_path: Path) -> None:
    path = written(tmp_path)
    found = verify(path)
    assert (found.entries, found.problems) == (6, ())
    rows = list(AuditLog(path, now=lambda: NOW).rows())
    assert [row["who"] for row in rows] == [f"user:u{n}" for n in range(6)]
    assert (rows[0]["at"], rows[-1]["hash"]) == ("2027-01-15T08:00:00.000Z", found.head)
    assert path.stat().st_mode & 0o777 == 0o600


def edit(lines: list[str], n: int) -> list[str]:
    return [*lines[:n], lines[n].replace("incidents ack", "incidents own"), *lines[n + 1 :]]


def edit_and_hash_again(lines: list[str], n: int) -> list[str]:
    from healthmon.runtime.auditlog import hash_of

    row = json.loads(lines[n]) | {"who": "user:somebody-else"}
    row["hash"] = hash_of(row)
    return [*lines[:n], json.dumps(row), *lines[n + 1 :]]


def remove(lines: list[str], n: int) -> list[str]:
    return lines[:n] + lines[n + 1 :]


def repeat(lines: list[str], n: int) -> list[str]:
    return [*lines[: n + 1], lines[n], *lines[n + 1 :]]


def swap(lines: list[str], n: int) -> list[str]:
    other = (n + 1) % len(lines)
    moved = list(lines)
    moved[n], moved[other] = moved[other], moved[n]
    return moved


def add_a_field(lines: list[str], n: int) -> list[str]:
    return [*lines[:n], json.dumps(json.loads(lines[n]) | {"note": "x"}), *lines[n + 1 :]]


def spoil(lines: list[str], n: int) -> list[str]:
    return [*lines[:n], lines[n][:20], *lines[n + 1 :]]


@pytest.mark.parametrize("line", range(6))
@pytest.mark.parametrize("how", [edit, edit_and_hash_again, remove, repeat, swap, add_a_field, spoil])
def test_every_tampering_shows(tmp_path: Path, how: Callable[[list[str], int], list[str]], line: int) -> None:
    path = written(tmp_path)
    head = verify(path).head
    lines = path.read_text().splitlines()
    path.write_text("\n".join(how(lines, line)) + "\n")
    found = verify(path)
    at_the_end = line == len(lines) - 1 and how in (edit_and_hash_again, remove)
    assert found.head != head if at_the_end else found.problems, "neither the chain nor the noted head shows it"


def test_a_line_that_a_power_cut_tore_off_keeps_the_rest(tmp_path: Path) -> None:
    path = written(tmp_path, 3)
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[-1])):
        path.write_bytes(whole[:-cut])
        AuditLog(path, now=lambda: NOW).append(Deed("user:after", "login"))
        rows = list(AuditLog(path, now=lambda: NOW).rows())
        assert rows[-1]["who"] == "user:after"
        torn = len(rows) == 3  # only the line end was lost, or the line itself
        assert [problem.partition(":")[2] for problem in verify(path).problems] == ([" is no entry"] if torn else [])


def test_processes_take_turns(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from healthmon.runtime.auditlog import AuditLog, Deed\n"
        "log = AuditLog(Path(sys.argv[1]), now=lambda: 0.0)\n"
        "for n in range(20): log.append(Deed(sys.argv[2], 'login'))"
    )
    path = tmp_path / "audit.jsonl"
    started = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in ("a", "b", "c")]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert (verify(path).entries, verify(path).problems) == (60, ())


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "a-file"
    folder.write_text("not a folder")
    log = AuditLog(folder / "audit.jsonl", now=lambda: NOW)
    log.note(Deed("user:a", "incidents ack"))
    assert log.failures == 1
