"""docs/mutes.md: every command of it is run against a real server, and says what the page says."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from daemons.onesite import OneSite, one_site
from healthmon.cli.commands import app
from healthmon.config import load
from healthmon.model.render import rfc3339

pytestmark = [pytest.mark.wire, pytest.mark.slow]

PAGE = (Path(__file__).parents[2] / "docs" / "mutes.md").read_text()
CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//EN
BEGIN:VEVENT
UID:patch@example
SUMMARY:Patch night
DESCRIPTION:targets: srv-ed\\nexpected: down
DTSTART;TZID=Europe/London:20370302T220000
DTEND;TZID=Europe/London:20370303T020000
RRULE:FREQ=WEEKLY;COUNT=3
END:VEVENT
END:VCALENDAR
"""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneSite]:
    with one_site(tmp_path_factory.mktemp("mutes"), role_name="server") as found:
        yield found


def run(site: OneSite, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "-c", str(site.config)])


def test_every_example_works(site: OneSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site.folder)
    Path("changes.ics").write_text(CALENDAR)
    said = {}
    for line in "".join(blocks("sh")).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "healthmon"
        result = run(site, *arguments)
        assert result.exit_code == 0, (line, result.output)
        said[line] = result.output
    imports = [output for line, output in said.items() if "import" in line]
    assert [output.splitlines()[-1] for output in imports[:2]] == [
        "1 would be added, 0 ended, 0 unchanged",
        "1 added, 0 ended, 0 unchanged",
    ]
    assert json.loads(imports[2])["unchanged"]
    assert "Noisy until the new module comes" in said["healthmon silences list"]
    assert "New firmware" in said["healthmon changes list"]
    assert "THE CLINICAL FLOOR IS LIFTED" in next(output for line, output in said.items() if "--approved-by" in line)


def test_an_event_that_moved_replaces_the_old_one_and_what_names_no_target_is_said(site: OneSite) -> None:
    path = site.folder / "moved.ics"
    path.write_text(CALENDAR.replace("patch@", "other@"))
    assert run(site, "changes", "import", str(path)).exit_code == 0
    path.write_text(CALENDAR.replace("patch@", "other@").replace("20370302T22", "20370302T21"))
    result = run(site, "changes", "import", str(path))
    assert result.output.splitlines()[-1] == "1 added, 1 ended, 0 unchanged"
    path.write_text(CALENDAR.replace("targets: srv-ed", "no idea").replace("patch@", "third@"))
    result = run(site, "changes", "import", str(path))
    assert result.exit_code == 1
    assert "names no target" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("silences add --target srv-ed --for 1h", "say why"),
        ("silences add --target srv-ed --reason x", "say when it ends"),
        ("silences add --target srv-ed --reason x --for soon", "is not a duration"),
        ("silences end", "which one?"),
        ("silences frobnicate", "no such action"),
        ("changes add --target srv-ed --for 1h", "say what is done"),
        ("changes import nowhere.ics", "is not an iCalendar file"),
    ],
)
def test_what_is_wrong_is_one_clear_line(site: OneSite, arguments: str, words: str) -> None:
    result = run(site, *arguments.split())
    assert result.exit_code == 2
    assert words in result.output


def test_the_changes_of_the_configuration_are_as_the_page_writes_them(site: OneSite) -> None:
    (written,) = blocks("yaml")
    config = site.folder / "with-changes.yaml"
    config.write_text(yaml.safe_dump(yaml.safe_load(site.config.read_text()) | yaml.safe_load(written)))
    (change,) = load(config, env={}).changes
    assert (change.id, change.when.repeat, change.expected) == ("ups-test", "FREQ=MONTHLY;BYDAY=1TU", ("down",))


def test_what_people_set_comes_back_as_files_and_commands(site: OneSite) -> None:
    """The exported changes load as configuration; the exported commands make the same silences."""
    made = run(
        site, "changes", "add", "--title", "Core: firmware", "--target", "srv-ed", "--expected", "down", "--for", "3d"
    )
    noisy = 'Noisy: it\'s the "new" module'
    run(site, "silences", "add", "--target", "srv-*", "--rule", "http-slow", "--for", "2d", "--reason", noisy)
    over = run(site, "silences", "add", "--target", "srv-icu", "--for", "1h", "--reason", "Over at once").output
    assert run(site, "silences", "end", over.partition(":")[0]).exit_code == 0
    text = run(site, "export").output
    assert "Over at once" not in text
    exported = {one["id"]: one for one in yaml.safe_load(text)["changes"]}
    assert exported[made.output.partition(":")[0]]["title"] == "Core: firmware"

    kept = site.folder / "rebuilt.yaml"
    written = {key: value for key, value in yaml.safe_load(site.config.read_text()).items() if key != "changes"}
    kept.write_text(yaml.safe_dump(written | {"include": "live.yaml"}))
    result = run(site, "export", "-o", str(site.folder / "live.yaml"))
    assert result.output.startswith(f"{site.folder / 'live.yaml'}: {len(exported)} changes, ")
    loaded = {one.id: one for one in load(kept, env={}).changes}
    assert loaded.keys() == exported.keys()
    listed = {one["id"]: one for one in json.loads(run(site, "changes", "list", "--json").output)}
    for id_, change in loaded.items():
        assert list(change.targets) == listed[id_]["targets"]
        assert rfc3339(change.when.ends_at) == listed[id_]["ends_at"]

    before = json.loads(run(site, "silences", "list", "--json").output)
    commands = [shlex.split(line[2:]) for line in text.splitlines() if line.startswith("# healthmon silences")]
    assert len(commands) == len(before)
    (again,) = [one for one in commands if noisy in one]
    assert run(site, *again[1:]).exit_code == 0
    twins = [one for one in json.loads(run(site, "silences", "list", "--json").output) if one["reason"] == noisy]
    assert len(twins) == 2
    first, second = ({name: one[name] for name in ("match", "ends_at", "owner")} for one in twins)
    assert first == second


def test_an_export_that_cannot_be_written_is_one_clear_line(site: OneSite) -> None:
    result = run(site, "export", "-o", str(site.folder / "no" / "where.yaml"))
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert "cannot be written" in result.output
