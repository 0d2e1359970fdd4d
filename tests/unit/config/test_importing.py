"""Exports of other inventories by the maps that are shipped: what is new, changed, wrong, and nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from healthmon.cli.commands import app
from healthmon.config.importing import MAPS, read_map
from healthmon.config.loading import load_text
from healthmon.config.packs import stock_root

SITE = """\
organisation: {id: t, name: T}
areas: [{id: ward-7, name: Ward 7, kind: ward, acuity: inpatient}]
targets:
  - {id: sw-7, kind: switch, address: 192.0.2.7, area: ward-7}
"""
EXPORTS = {
    "ad-computers": 'Name,DNSHostName,IPv4Address,OperatingSystem,Location,Enabled\n'
    'PC-W7-01,pc-w7-01.trust.example,192.0.2.50,Windows 11 Enterprise,Ward 7,True\nOLD,old,192.0.2.9,x,,False\n',
    "intune-devices": '"Device name","OS","OS version","Model","Primary user UPN"\n'
    '"PC-W7-01","Windows","10.0.22631","EliteDesk","someone@trust.example"\n',
    "servicenow-cmdb": json.dumps({"records": [{"name": "PC-W7-01", "ip_address": "192.0.2.50",
                                                "sys_class_name": "cmdb_ci_computer", "location": "Ward 7"}]}),
    "netbox-devices": "Name,Status,Role,Type,Rack,Location,IP Address\n"
    "PC-W7-01,Active,Workstation,X,,Ward 7,192.0.2.50/24\n",
    "librenms-devices": json.dumps({"status": "ok", "devices": [{"hostname": "192.0.2.50", "sysName": "PC-W7-01",
                                    "ip": "192.0.2.50", "type": "server", "location": "Ward 7",
                                    "disabled": 0}]}, indent=1),
    "zabbix-hosts": json.dumps({"result": [{"host": "PC-W7-01", "name": "PC 1", "status": "0",
                                "interfaces": [{"ip": "192.0.2.50"}], "inventory": {"location": "Ward 7"}}]}),
    "cmdb": "name,type,ip,hostname,location,model,status\nPC-W7-01,PC,192.0.2.50,,Ward 7,X,live\n",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "healthmon.yaml").write_text(SITE)
    return tmp_path


def run(folder: Path, name: str, content: str | bytes, *more: str) -> tuple[int, str, str]:
    file = folder / "export"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    argv = ["import", str(file), "--map", name, "-c", str(folder / "healthmon.yaml"), *more]
    result = CliRunner().invoke(app, argv)
    return result.exit_code, result.stdout, result.stderr


def test_every_shipped_map_has_an_export_here() -> None:
    assert {file.stem for file in (stock_root() / MAPS).glob("*.yaml")} == set(EXPORTS)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_new_device_is_proposed_as_a_target_that_the_configuration_takes(folder: Path, name: str) -> None:
    code, text, _ = run(folder, name, EXPORTS[name])
    assert code == 0, text
    (target,) = yaml.safe_load(text)["targets"]
    assert target["id"] == "pc-w7-01"
    assert target["address"] == ("PC-W7-01" if name == "intune-devices" else "192.0.2.50")
    assert target.get("area") == (None if name == "intune-devices" else "ward-7")
    assert "someone@" not in text
    merged = SITE + "".join(f"  - {json.dumps(one)}\n" for one in [target])
    (folder / "healthmon.yaml").write_text(merged)
    assert load_text(merged, env={}).estate.targets["pc-w7-01"].kind == target["kind"]
    assert "No difference from the inventory" in run(folder, name, EXPORTS[name])[1], "run again: nothing twice"


def test_what_moved_is_told_and_a_known_address_keeps_our_id(folder: Path) -> None:
    rows = "name,type,ip,hostname,location,model,status\nsw-7,Switch,192.0.2.8,,Nowhere,,live\n"
    rows += "other,Switch,192.0.2.7,,,,\n"
    code, text, _ = run(folder, "cmdb", rows, "--json")
    found = json.loads(text)
    assert code == 0
    assert found["changed"] == [
        {"target": "sw-7", "field": "address", "was": "192.0.2.7", "now": "192.0.2.8", "line": 2}
    ]
    assert found["unknown_areas"] == [{"written": "Nowhere", "line": 2}]
    assert found["targets"] == []


def test_bad_rows_are_told_with_their_lines_and_the_rest_is_read(folder: Path) -> None:
    rows = "name,type,ip,hostname\npc-1,PC,192.0.2.1,\n,PC,192.0.2.2,\npc-3,PC,,\nPC 1,PC,192.0.2.4,\n"
    code, text, said = run(folder, "cmdb", rows)
    assert code == 1
    file = folder / "export"
    assert said.splitlines() == [
        f"{file}:3:1: no id in name; left out",
        f"{file}:4:1: 'pc-3' has no address in ip, hostname; left out",
        f"{file}:5:1: 'pc-1' stands in line 2 already",
    ]
    assert [one["id"] for one in yaml.safe_load(text)["targets"]] == ["pc-1"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ad-computers", "a,b\n1,2\n", "export:1:1: none of the columns Name"),
        ("zabbix-hosts", '{"results": []}', "there is no list at 'result'"),
        ("zabbix-hosts", "{", "export:1:2: not valid JSON"),
        ("zabbix-hosts", '{"result": [{"host": "a"}]', "export:1:27: not valid JSON"),
        ("zabbix-hosts", "[" * 100_000, "nested too deeply"),
        ("cmdb", 'name,ip\npc-1,192.0.2.1\npc-2,"' + "x" * 140_000, "export:3:1: field larger than field limit"),
        ("nothing", "", "is neither a file nor a map that is shipped (allowed: ad-computers"),
    ],
)
def test_the_wrong_file_or_map_is_a_usage_error(folder: Path, name: str, content: str, said: str) -> None:
    code, _, text = run(folder, name, content)
    assert code == 2
    assert said in text


def test_windows_exports_in_utf_16_and_long_files_with_progress(folder: Path) -> None:
    rows = "name,type,ip,hostname\n" + "".join(f"pc-{n},PC,192.0.2.1,h{n}\n" for n in range(5_001))
    code, text, said = run(folder, "cmdb", rows.encode("utf-16"), "--json")
    assert code == 0
    assert (json.loads(text)["rows"], said) == (5_001, "import: 5000 rows read\n")
    assert read_map("cmdb").format == "csv"


def zabbix(*hosts: str) -> str:
    return '{"jsonrpc": "2.0", "result": [\n' + ",\n".join(hosts) + "]}"


def test_json_escapes_that_no_yaml_knows_are_read_and_lines_are_right(folder: Path) -> None:
    hosts = [
        r'{"host": "pc-1", "name": "a\ud83d\ude00\/b", "interfaces": [{"ip": "192.0.2.1"}]}',
        r'{"host": "pc-2", "name": "half \ud83d", "interfaces": [{"ip": "192.0.2.2"}]}',
        r'{"host": "pc-3", "inventory": {"location": "x\u0000"}}',
        '  "pc-4"',
    ]
    code, text, said = run(folder, "zabbix-hosts", zabbix(*hosts))
    assert code == 1, text
    assert [(one["id"], one["name"]) for one in yaml.safe_load(text)["targets"]] == [
        ("pc-1", "a\U0001f600/b"),
        ("pc-2", "half ?"),
    ]
    assert [line.rpartition("export:")[2].partition(": ")[0] for line in said.splitlines()] == ["4:1", "5:3"]
    assert "no mapping of columns" in said


def test_an_id_that_is_cut_does_not_end_in_a_dash(folder: Path) -> None:
    code, text, _ = run(folder, "cmdb", f"name,ip\n{'a' * 62} b,192.0.2.1\n")
    assert code == 0
    (target,) = yaml.safe_load(text)["targets"]
    assert target["id"] == "a" * 62
    load_text(SITE + f"  - {json.dumps(target)}\n", env={})
