"""`traps`: the example of the page loads, secrets stay hidden, and a hospital's own pack wins."""

from __future__ import annotations

import re
from pathlib import Path

from healthmon.config import load

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "probes.md").read_text(encoding="utf-8")
HEAD = "organisation: {id: st-elsewhere, name: St Elsewhere}\n"
LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"


def written(folder: Path, text: str) -> Path:
    file = folder / "healthmon.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    return file


def test_the_example_of_the_page_loads_and_shows_no_secret(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```yaml\n(traps:.*?)^```", PAGE, flags=re.M | re.S)
    for name in re.findall(r"_file: ([\w./-]+)", block):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("not-a-secret\n")

    traps = load(written(tmp_path, block), env={}).traps

    assert traps is not None
    assert (traps.host, traps.port, traps.community, traps.per_sender_hz) == ("0.0.0.0", 162, "not-a-secret", 10.0)
    assert [(user.user, user.auth_protocol, user.priv_protocol) for user in traps.users] == [("net", "SHA-256", "AES")]
    assert traps.meanings[LINK_DOWN].event == "link_down"
    assert "not-a-secret" not in repr(traps)


def test_without_the_block_nothing_listens(tmp_path: Path) -> None:
    assert load(written(tmp_path, ""), env={}).traps is None


def test_a_pack_of_the_hospital_says_what_its_devices_mean(tmp_path: Path) -> None:
    folder = tmp_path / "packs" / "probes" / "snmp-traps"
    folder.mkdir(parents=True)
    (folder / "aaa.yaml").write_text(
        "{slug: aaa, title: Ours, source: its manual, verified: none, traps: "
        f"{{{LINK_DOWN}: {{event: port_lost}}, 1.3.6.1.4.1.99999.0.1: {{event: door_open, effect: warning}}}}}}\n"
    )
    traps = load(written(tmp_path, "packs: [packs]\ntraps: {community: x}\n"), env={}).traps

    assert traps is not None
    assert traps.meanings[LINK_DOWN].event == "port_lost"
    assert traps.meanings["1.3.6.1.4.1.99999.0.1"].effect == "warning"
