"""Performance data: what plugins print, in base units; what cannot be read is counted, never guessed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.probes.exec_pack import lint_pack
from healthmon.probes.perfdata import FIELDS, Perf, base_unit, parse_output


def test_one_line_of_a_real_plugin() -> None:
    said = parse_output(
        "DISK OK - free space: / 77832MiB (83% inode=96%);| /=16179527680B;243497277849;257024904396;0;270552530944\n"
    )
    assert said.text == "DISK OK - free space: / 77832MiB (83% inode=96%);"
    assert said.perfs == (Perf("/", "bytes", 16179527680.0, "243497277849", "257024904396"),)
    assert said.unread == 0


def test_figures_below_long_text_count_too() -> None:
    said = parse_output("OK | a=1\nmore text\neven more | b=2s;~:5;@10:20\n'c c'=3%\n")
    assert [(p.label, p.field, p.value) for p in said.perfs] == [
        ("a", "value", 1.0),
        ("b", "seconds", 2.0),
        ("c c", "ratio", pytest.approx(0.03)),
    ]
    assert (said.perfs[1].warn, said.perfs[1].crit) == ("~:5", "@10:20")


@pytest.mark.parametrize(
    ("written", "field", "value"),
    [
        ("t=12ms", "seconds", 0.012),
        ("t=7us;;;0", "seconds", 7e-6),
        ("t=7µs", "seconds", 7e-6),
        ("t=0,25s", "seconds", 0.25),
        ("p=99.5%;80;90;0;100", "ratio", 0.995),
        ("b=1KB", "bytes", 1024.0),
        ("b=2MiB", "bytes", 2 * 1024.0**2),
        ("b=1.5GB", "bytes", 1.5 * 1024.0**3),
        ("b=512", "value", 512.0),
        ("n=42c", "counter", 42.0),
        ("n=21.5C", "celsius", 21.5),
        ("n=-4e3", "value", -4000.0),
        ("'it''s=here'=1", "value", 1.0),
    ],
)
def test_units_become_base_units(written: str, field: str, value: float) -> None:
    (perf,) = parse_output(f"OK|{written}").perfs
    assert (perf.field, perf.value) == (field, pytest.approx(value))


@pytest.mark.parametrize("written", ["a=U", "a=", "a=1parsec", "=1", "nonsense", "a=1e999", "''=3"])
def test_what_is_no_figure_is_counted(written: str) -> None:
    said = parse_output(f"OK|{written}")
    assert said.perfs == ()
    assert said.unread >= 1


def test_a_label_that_comes_twice_counts_once() -> None:
    said = parse_output("OK|a=1 a=2 a=3s")
    assert [(p.field, p.value) for p in said.perfs] == [("value", 1.0), ("seconds", 3.0)]


@given(st.text(max_size=400))
def test_any_output_is_read_without_harm(output: str) -> None:
    said = parse_output(output)
    assert all(perf.field in FIELDS and perf.label for perf in said.perfs)


@given(st.sampled_from(["s", "ms", "%", "B", "KB", "TB", "c", ""]), st.integers(-(10**9), 10**9))
def test_a_figure_comes_back_as_it_was(unit: str, number: int) -> None:
    found = base_unit(unit)
    assert found is not None
    (perf,) = parse_output(f"OK|'x'={number}{unit};1;2").perfs
    assert perf.value == pytest.approx(number * found[1])


def test_a_pack_names_no_directory_and_no_path() -> None:
    assert lint_pack({"description": "d", "command": ["check_x", "-a"]}) == []
    assert lint_pack({"description": "d", "command": ["/bin/sh"]})
    assert lint_pack({"description": "d", "command": ["x"], "directories": ["/"]})
    assert lint_pack({"description": "d", "command": "check_x -a"})


@pytest.mark.parametrize("piece", ["'", "a", "a=", "'a", "a=1x ", "='", "''=", "a=1;", "| ", "1e"])
def test_hostile_output_costs_little(piece: str) -> None:
    begun = time.process_time()
    parse_output("OK|" + piece * (4 * 1024**2 // len(piece) // 16))
    assert time.process_time() - begun < 1.0
