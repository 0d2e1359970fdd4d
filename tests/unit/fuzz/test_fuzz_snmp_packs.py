"""Every stock SNMP pack over devices that answer nonsense: declared and finite samples, or none."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import pytest
import yaml
from fuzz_mutations import EXAMPLES, FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st

from healthmon.config import stock_root
from healthmon.ingest.guard import MAX_LABEL_CHARS
from healthmon.model.sample import Sample
from healthmon.probes.snmp_client import SnmpValue
from healthmon.probes.snmp_pack import pack_families, parse_pack
from healthmon.probes.snmp_rows import Answers, Choices, scalar_samples, table_samples
from healthmon.runtime.rates import Counters

PACKS = {
    file.stem: yaml.safe_load(file.read_text()) for file in sorted((stock_root() / "probes" / "snmp").glob("*.yaml"))
}
PACKS = {name: data for name, data in PACKS.items() if "slug" in data and ("scalars" in data or "tables" in data)}
INDEXES = ["1", "2", "10.1.3", ""]

VALUES = st.one_of(
    st.integers(-(2**63), 2**64),
    st.integers(-3, 12),
    st.floats(),
    st.binary(max_size=40),
    st.text(max_size=200),
    st.sampled_from(
        [b"", b"\x9fx\x04\x7f\xc0\0\0", b"\x9fy\x08\x7f\xf0" + bytes(6), b"12", "1.3.6.1", b"9" * 30, 2**32]
    ),
)


class Nonsense(Answers):
    """Gives every column and every row some value of the pool, the same one when it is asked again."""

    def __init__(self, pool: list[SnmpValue], turn: int) -> None:
        super().__init__(columns=defaultdict(dict), read_at=defaultdict(lambda: 100.0 * turn))
        self._pool, self._turn = pool, turn

    def value(self, oid: str, index: str) -> SnmpValue | None:
        """Nothing now and then."""
        at = sum(map(ord, oid + index)) * 31 + self._turn
        return None if at % 7 == 0 else self._pool[at % len(self._pool)]


def samples_of(data: dict[str, Any], pool: list[SnmpValue]) -> list[Sample]:
    """Two polls: the second has rates."""
    pack, counters, samples = parse_pack(data), Counters(), list[Sample]()
    for turn in (1, 2):
        answers = Nonsense(pool, turn)
        counters.begin(100.0 * turn)
        for part in pack.scalars:
            samples += scalar_samples(part, answers, counters, Choices())
        for table in pack.tables:
            samples += table_samples(table, INDEXES, answers, counters, Choices())
    return samples


@pytest.mark.parametrize("name", PACKS)
def test_nonsense_gives_declared_and_finite_samples_or_none(name: str) -> None:
    declared = {family.name: family for family in pack_families(PACKS[name])}

    @settings(FUZZ, max_examples=max(20, EXAMPLES // 5))
    @given(pool=st.lists(VALUES, min_size=1, max_size=12))
    def run(pool: list[SnmpValue]) -> None:
        for sample in samples_of(PACKS[name], pool):
            assert sample.field in declared[sample.family].fields
            assert declared[sample.family].labels.issuperset(sample.labels)
            assert all(len(text) <= MAX_LABEL_CHARS for text in sample.labels.values())
            assert isinstance(sample.value, bool | str) or math.isfinite(sample.value), sample

    run()


@pytest.mark.parametrize("name", PACKS)
def test_plausible_values_give_samples(name: str) -> None:
    """So that nonsense is not refused at the door."""
    assert any(samples_of(PACKS[name], [at, at + 1, text, 4]) for at in range(8) for text in (b"text", b"12"))
