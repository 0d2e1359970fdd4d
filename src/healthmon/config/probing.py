"""docs/probing.md from code and packs: `python -m healthmon.config.probing docs/probing.md` writes it."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from healthmon.config.askings import ASKINGS
from healthmon.config.forms import CheckForm
from healthmon.config.kinds import check_kind, pack_folder, probe_names
from healthmon.config.packs import Packs, stock_root
from healthmon.config.problems import Problems
from healthmon.model.plan import MedicalNetwork, Rates
from healthmon.probes import dns, icmp, ntp, rests
from healthmon.probes.snmp import Params as SnmpParams
from healthmon.probes.snmp_client import GET_CHUNK
from healthmon.probes.snmp_needs import scalar_oids, table_needs
from healthmon.probes.snmp_pack import parse_pack
from healthmon.probes.snmp_read import KEEP_S
from healthmon.probes.snmp_shapes import Pack

_IP_UDP_BYTES, _IP_ICMP_BYTES = 28, 28

_INTRO = """# What healthmon asks, and how often

Generated from the code and the packs by `python -m healthmon.config.probing docs/probing.md`; do not edit. It is the
page to show to whoever owns a device. What each probe checks, with examples, is in [probes.md](probes.md); every
parameter is in [config.md](config.md). Traps ask nothing.

Everything below is at defaults. The limits of the first table hold for every probe whatever its origin: schedule,
recheck, ask of the engine, command line, `/probe`, redirects, `discover`. `safety.rates` sets them otherwise; what is
denied there, or medical and not approved, no other setting opens.
"""


def page() -> str:
    """The whole page."""
    parts = [_INTRO, *_limits(), *_kinds(), *_snmp(), *_other_packs(), _AGENTS]
    return "\n".join(parts).rstrip() + "\n"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = tuple(heads)
    lines = [heads, tuple("---" for _ in heads), *map(tuple, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _limits() -> Iterator[str]:
    rates, medical = Rates(), MedicalNetwork("")
    every_s = _every_s({})
    recheck = CheckForm.model_fields["recheck"].default
    yield "## The limits\n"
    yield _table(
        ("what", "at most"),
        [
            ("runs of checks against one address of a target", f"{rates.per_target_hz:g} a second"),
            ("runs in one /24 (IPv6: /64)", f"{rates.per_subnet_hz:g} a second"),
            ("runs of one process", f"{rates.global_hz:g} a second"),
            (
                "a medical network",
                "nothing at all; a kind that was approved with a name and a date: one run in flight in the network, "
                f"one in {medical.every_s:g} s for each device, ICMP with a single packet",
            ),
            ("a check that says nothing of `every`", f"one run in {every_s:g} s, spread over the interval"),
            ("a first failure", f"{recheck} quick rechecks within a quarter of the interval, 20 a second in all"),
            (
                f"a check that timed out {rests.PATIENCE} times in a row",
                f"every second, then every {rests.MOST_INTERVALS}th of its intervals, gaps of at most "
                f"{rests.MOST_GAP_S:g} s; a check that is no oftener than that does not rest",
            ),
            ("after the stop button", "nothing"),
        ],
    )
    yield (
        "What did not fit waits, and where it would wait longer than its timeout it is not sent: the reading is "
        "`unknown/rate_limited` and says which limit.\nAll of it is counted by reason (`healthmon_probes_*` in "
        "[metrics.md](metrics.md)).\n"
    )


def _every_s(params: Mapping[str, Any], kind: str = "") -> float:
    default = float(CheckForm.model_fields["every"].default)
    floor = params.get("min_every_s", check_kind(kind).least_every_s) if kind else 0.0
    return max(default, float(floor))


def _kinds() -> Iterator[str]:
    yield "## By kind of probe\n"
    yield (
        "One run at its defaults. Bytes are those of the request with its IP header. What goes over TCP costs the\n"
        "packets of a connection beside what is said, about 7; TLS the server's certificates on top of it.\n"
    )
    rows = []
    for kind in sorted(probe_names()):
        least_s = check_kind(kind).least_every_s
        floor = f"{least_s:g} s (`min_every`)" if least_s else ""
        asking = ASKINGS[kind]
        rows.append((f"`{kind}`", f"{_every_s({}, kind):g} s", floor, asking.sends, _bytes(kind), asking.never))
    yield _table(("kind", "every", "never oftener than", "one run sends", "bytes", "never sent"), rows)


def _bytes(kind: str) -> str:
    """What can be worked out; a connection is another matter."""
    match kind:
        case "icmp":
            params = icmp.Params()
            each = params.size_bytes + _IP_ICMP_BYTES
            return f"{params.count} x {each} = {params.count * each}"
        case "ntp":
            return f"{ntp.PACKET_BYTES + _IP_UDP_BYTES} a packet"
        case "dns":
            return f"{len(dns.query_of(dns.Params(name='ehr.example')).to_wire()) + _IP_UDP_BYTES} for ehr.example"
        case _:
            return ""


def _snmp() -> Iterator[str]:
    params = SnmpParams()
    yield "## SNMP, by kind of device\n"
    again = f"{KEEP_S / 60:g} minutes"
    yield (
        "`pack: auto` asks for sysObjectID once and then for the packs that fit; several packs share one run.\n"
        f"A GET carries at most {GET_CHUNK} OIDs, a GETBULK asks for at most {params.max_repetitions} rows,\n"
        f"a column ends at {params.max_rows} rows, a lost request is repeated {params.retries} time.\n"
        f"Columns of names, types and units are asked for once in {again}, what was absent twice in a row as seldom.\n"
        "**Requests** are those of a run on a device that has every column, each short enough for one answer.\n"
    )
    rows = []
    for slug, pack in _snmp_packs():
        gets, columns, seldom = snmp_requests(pack)
        rows.append((f"`{slug}`", pack.title, str(gets), str(columns), str(seldom), str(gets + columns)))
    heads = ("pack", "device", "GETs", "columns each run", f"columns each {KEEP_S / 60:g} min", "requests a run")
    yield _table(heads, rows)


def _snmp_packs() -> Iterator[tuple[str, Pack]]:
    packs = Packs((stock_root(),), Problems())
    for name in packs.names(pack_folder("snmp")):
        document = packs.document(f"{pack_folder('snmp')}/{name}.yaml")
        if document is not None and "verified" in document.data:
            yield name, parse_pack(document.data)


def snmp_requests(pack: Pack) -> tuple[int, int, int]:
    """GETs of one run, columns walked in every run, and columns that are kept between runs."""
    often: set[str] = set()
    seldom: set[str] = set()
    for table in pack.tables:
        needs = table_needs(table)
        asked = {table.rows, *needs.conditions, *needs.labels, *(oid for group in needs.groups for oid in group)}
        seldom |= asked & needs.kept
        often |= asked - needs.kept
    scalars = len(scalar_oids(pack.scalars, pack.tables))
    return max(1, math.ceil(scalars / (GET_CHUNK - 1))), len(often), len(seldom - often)


def _other_packs() -> Iterator[str]:
    yield "## The other stock packs\n"
    yield "The interval is that of the kind unless the site says another one.\n"
    packs, rows = Packs((stock_root(),), Problems()), []
    for kind in sorted(probe_names() - {"snmp"}):
        for name in packs.names(pack_folder(kind)):
            document = packs.document(f"{pack_folder(kind)}/{name}.yaml")
            data: Mapping[str, Any] = document.data if document is not None else {}
            said = " ".join(str(data.get("description", "")).split())
            rows.append((f"`{kind}`", f"`{name}`", f"{_every_s(data, kind):g} s", said))
    yield _table(("kind", "pack", "every", "what it looks at"), rows)


_AGENTS = """## Agents

Collectors look at the machine they run on, through the interfaces of its operating system: they send nothing to anybody
but the broker. [security.md](security.md) says what they read. Checks `from: [agents]` are probes, and everything above
holds for them.
"""


def main(path: str) -> None:
    """Write the page."""
    Path(path).write_text(page())


if __name__ == "__main__":
    main(sys.argv[1])
