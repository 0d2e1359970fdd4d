"""What recordings of real devices say, and what the SNMP probe makes of it: `make bench-devices`.

Every recording is replayed over UDP and read by the real probe with `pack: auto`, twice: the second poll may rest what
the first found absent, and must say the same. A fact of a truth file is right when a sample that was read from the
fact's OID has its value in whole base units, wrong when it has another one, missing when there is no such sample.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.facts import Fact, facts_of
from healthmon.model.plan import Job
from healthmon.model.sample import Reading, Sample
from healthmon.probes.snmp import SnmpProbe
from healthmon.probes.snmp_auto import SYS_DESCR, SYS_OBJECT_ID
from healthmon.probes.snmp_pack import assemble_pack, read_index
from healthmon.probes.snmp_read import Reads
from healthmon.probes.snmp_rows import Answers, plain_text, row_names
from healthmon.probes.snmp_shapes import Gauge, PackField, State, Table

ROOT = Path(__file__).parents[1]
RECORDINGS = ROOT.parent / "shared" / "data" / "snmp"
sys.path.insert(0, str(ROOT / "tests"))

from daemons.snmpd import COMMUNITY, agent, as_value, read_recording  # noqa: E402
from daemons.snmpsight import Sight  # noqa: E402

#: The samples that came from one OID, and under BESIDE + OID all of its row: a total stands beside what is used.
Sources = dict[str, list[Sample]]
BESIDE = "beside "


def packs() -> dict[str, Any]:
    """`pack: auto` as the configuration makes it."""
    folder = ROOT / "probes" / "snmp"

    def load(slug: str) -> Mapping[str, Any] | None:
        file = folder / f"{slug}.yaml"
        return yaml.safe_load(file.read_text("utf-8")) if file.exists() else None

    return assemble_pack(yaml.safe_load((folder / "index.yaml").read_text("utf-8")), load)


async def look(values: Mapping[str, Any], pack: Mapping[str, Any]) -> tuple[Reading, Reading, tuple[int, int]]:
    """Two polls, and how many requests the first and, when all is known, the third took."""
    probe = SnmpProbe()
    async with agent(dict(values)) as (server, port):
        params = {"pack": pack, "community": COMMUNITY, "port": port}
        job = Job("device", "snmp", "snmp", "127.0.0.1", 60.0, 50.0, params)
        first = await probe.probe(job, Sight())
        asked = len(server.requests)
        second = await probe.probe(job, Sight())
        server.requests.clear()
        await probe.probe(job, Sight())
        counts = (asked, len(server.requests))
    await probe.close()
    return first, second, counts


def chosen(values: Mapping[str, Any], pack: Mapping[str, Any]) -> tuple[tuple[str, ...], Reads]:
    """The packs that the probe takes for this device."""
    known = read_index(pack)
    assert known is not None
    index, every = known
    object_id, descr = (plain_text(as_value(values.get(oid))) for oid in (SYS_OBJECT_ID, SYS_DESCR))
    slugs = index.choose(object_id, descr, values)
    return slugs, Reads.of(every[slug] for slug in slugs)


def sources(values: Mapping[str, Any], reads: Reads, reading: Reading) -> Sources:
    """Which OID gave which sample. The values are the reading's; only names of rows are worked out again."""
    said: dict[tuple[str, tuple[str, ...]], list[Sample]] = {}
    for sample in reading.samples:
        said.setdefault((sample.family, tuple(sample.labels.values())), []).append(sample)
    found: Sources = {}
    for part in reads.scalars:
        row = said.get((part.family, tuple(dict(part.labels).values())), [])
        _note(found, part.fields, "", row)
    for table, needs in reads.tables:
        oids = {table.rows, *needs.labels, *needs.conditions, *(oid for group in needs.groups for oid in group)}
        answers = _answers(values, oids)
        indexes = answers.columns[table.rows] or _named(table, answers)
        for index, name in row_names(table, indexes, answers).items():
            _note(found, table.fields, f".{index}", said.get((table.family, (name,)), []))
    return found


def _answers(values: Mapping[str, Any], columns: Iterable[str]) -> Answers:
    answers = Answers()
    for column in columns:
        rows = [(oid[len(column) + 1 :], as_value(raw)) for oid, raw in values.items() if oid.startswith(f"{column}.")]
        answers.put(column, [(index, raw) for index, raw in rows if raw is not None], 0.0)
    return answers


def _named(table: Table, answers: Answers) -> dict[str, Any]:
    return {index: 0 for text in table.texts for index in answers.columns[text.oid]}


def _note(found: Sources, fields: Iterable[PackField], suffix: str, row: list[Sample]) -> None:
    for one in fields:
        if isinstance(one, Gauge | State):
            names = {one.name} if isinstance(one, Gauge) else {"state", "state_code", "ok"}
            for source in one.sources:
                oid = f"{source.oid}{suffix}"
                found.setdefault(oid, []).extend(sample for sample in row if sample.field in names)
                found.setdefault(BESIDE + oid, []).extend(row)


def judge(fact: Fact, came: Sources, reading: Reading) -> str:
    """right, wrong or missing."""
    candidates = [sample for oid in fact.oids for sample in came.get(oid, ())]
    if fact.row:
        candidates += [sample for oid in fact.oids for sample in came.get(BESIDE + oid, ())]
    if fact.system:
        candidates += [sample for sample in reading.samples if sample.family == "snmp_system"]
    return fact.verdict(candidates)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=RECORDINGS, help="holds snmprec/ and truth/")
    parser.add_argument("-v", "--verbose", action="store_true", help="name every fact that is not right")
    asked = parser.parse_args()
    truths = sorted((asked.folder / "truth").glob("*.json"))
    if not truths:
        sys.exit(f"no truth files in {asked.folder}")
    pack, whole = packs(), Counter[str]()
    by_group: dict[str, Counter[str]] = {}
    print(f"{'device':30} {'right':>6} {'wrong':>6} {'missing':>8}   requests  packs")
    for path in truths:
        recording = asked.folder / "snmprec" / f"{path.stem}.snmprec"
        counts = one_device(json.loads(path.read_text("utf-8")), recording, pack, by_group, verbose=asked.verbose)
        whole += counts
    print()
    for group, counts in sorted(by_group.items()):
        print(f"{group:30} {counts['right']:6} {counts['wrong']:6} {counts['missing']:8}")
    total = sum(whole.values())
    print(f"{'all':30} {whole['right']:6} {whole['wrong']:6} {whole['missing']:8}   "
          f"{100 * whole['right'] / total:.1f} % of {total} facts right")  # fmt: skip
    sys.exit(1 if whole["wrong"] else 0)


def one_device(
    truth: Mapping[str, Any],
    recording: Path,
    pack: Mapping[str, Any],
    by_group: dict[str, Counter[str]],
    *,
    verbose: bool,
) -> Counter[str]:
    """Judge and print one device."""
    values = read_recording(recording)
    first, second, requests = asyncio.run(look(values, pack))
    slugs, reads = chosen(values, pack)
    came = (sources(values, reads, first), sources(values, reads, second))
    counts: Counter[str] = Counter()
    lines: list[str] = []
    for fact in facts_of(truth, values):
        verdicts = {judge(fact, came[0], first), judge(fact, came[1], second)}
        verdict = next(word for word in ("wrong", "missing", "right") if word in verdicts)
        counts[verdict] += 1
        by_group.setdefault(fact.group, Counter())[verdict] += 1
        if verbose and verdict != "right":
            lines.append(f"    {verdict}: {fact}  {list(shown(fact, came[0]))}")
    print(f"{recording.stem:30} {counts['right']:6} {counts['wrong']:6} {counts['missing']:8}   "
          f"{requests[0]:4} {requests[1]:4}  {' '.join(slugs)}")  # fmt: skip
    for outcome in {first.outcome.value, second.outcome.value} - {"ok"}:
        lines.append(f"    outcome {outcome}: {first.reason} {first.detail}")
    lines += [f"    odd: {text}" for text in odd(first)]
    print("".join(f"{line}\n" for line in lines), end="")
    return counts


def shown(fact: Fact, came: Sources) -> Iterator[str]:
    for oid in fact.oids:
        for sample in came.get(oid, ())[:4]:
            yield f"{sample.family}.{sample.field}={sample.value}"


def odd(reading: Reading) -> Iterator[str]:
    """What cannot be, whatever a truth file says."""
    for sample in reading.samples:
        value = sample.value
        if isinstance(value, str):
            continue
        text = f"{sample.family}.{sample.field} {dict(sample.labels)} = {value}"
        if sample.field.endswith("celsius") and not -60 <= value <= 150:
            yield text
        if sample.field.endswith("_ratio") and not -0.001 <= value <= 2.0:
            yield text
        if sample.field.endswith(("_bytes", "_seconds")) and value < 0:
            yield text


if __name__ == "__main__":
    main()
