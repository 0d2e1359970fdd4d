"""The registry: every kind loads, declares what it may emit, and refuses params that are not its own."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import msgspec
import pytest

from healthmon.probes import PROBES, families, load_probe

ROOT = Path(__file__).parents[3]
MINE = ("http", "icmp", "tcp", "tls")
PACKS = sorted((ROOT / "probes" / "http").glob("*.yaml"))


@pytest.mark.parametrize("kind", PROBES)
def test_every_kind_loads_once(kind: str) -> None:
    assert load_probe(kind) is load_probe(kind)


def test_an_unknown_kind_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        load_probe("telepathy")


def test_families_have_fields_with_units() -> None:
    known = families()
    assert set(known) >= {"http", "icmp", "tcp", "tls"}
    plain = {
        "status_code",
        "hop_limit",
        "version",
        "verified",
        "sent",
        "received",
        "redirects",
        "certificates",
        "cipher",
    }
    plain |= {"subject", "issuer", "alternatives", "fingerprint_sha256", "serial"}
    units = ("_seconds", "_bytes", "_ratio")
    for name in ("http", "icmp", "tcp", "tls"):
        assert {field for field in known[name].fields if not field.endswith(units)} <= plain


@pytest.mark.parametrize("kind", MINE)
def test_params_are_frozen_with_defaults_and_forbid_others(kind: str) -> None:
    params = import_module(PROBES[kind].partition(":")[0]).Params
    assert dataclasses.is_dataclass(params)
    assert params.__pydantic_config__ == {"extra": "forbid"}
    made = params()
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.ip_version = 4
    assert msgspec.convert(msgspec.to_builtins(made), params) == made


@pytest.mark.parametrize(
    ("kind", "params", "word"),
    [
        ("icmp", {"count": 0}, "count"),
        ("icmp", {"spacing_s": 0.001}, "spacing_s"),
        ("icmp", {"max_loss_ratio": 1.5}, "max_loss_ratio"),
        ("icmp", {"ip_version": 5}, "ip_version"),
        ("tcp", {"port": 70000}, "port"),
        ("tcp", {"expect": "("}, "expect"),
        ("tls", {"min_version": "ssl3"}, "min_version"),
        ("http", {"method": "BREW"}, "method"),
        ("http", {"statuses": [99]}, "statuses"),
        ("http", {"user": "only"}, "password_file"),
        ("http", {"header_regex": {"X": "["}}, "X"),
    ],
)
def test_params_out_of_range_name_themselves(kind: str, params: dict[str, object], word: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=word):
        msgspec.convert(params, import_module(PROBES[kind].partition(":")[0]).Params)


def test_probes_import_no_heavy_library() -> None:
    code = (
        "import sys; from healthmon.probes import families; families();"
        "print([m for m in ('pydantic','yaml','aiohttp','pysnmp','gufo','cryptography') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("pack", PACKS, ids=lambda path: path.stem)
def test_http_packs_are_params_with_a_description(pack: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="packs are YAML (server extra)")
    pydantic = pytest.importorskip("pydantic", reason="params are validated with pydantic (server extra)")
    content = yaml.safe_load(pack.read_text())
    assert content.pop("description").endswith(".")
    pydantic.TypeAdapter(import_module("healthmon.probes.http").Params).validate_python(content)
    assert "://" not in pack.read_text(), "packs know no addresses"


def test_there_are_http_packs() -> None:
    assert {pack.stem for pack in PACKS} >= {"web-page", "fhir-metadata", "health-json"}
