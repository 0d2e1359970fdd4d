"""Asks one device for what its packs need and for no more: absent things rest, slow ones are kept, stalls end early."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from healthmon.model.ports import Sight
from healthmon.model.sample import Reason
from healthmon.probes.snmp_client import SnmpSession, SnmpTrouble, SnmpValue, read_column, read_scalars
from healthmon.probes.snmp_needs import Needs, scalar_oids, table_needs
from healthmon.probes.snmp_rows import Answers, holds
from healthmon.probes.snmp_shapes import Pack, Scalars, Table
from healthmon.runtime.rates import restarted

SYS_UPTIME = "1.3.6.1.2.1.1.3.0"

#: After so many silent columns in a row the rest of a table is not asked for.
SILENT_COLUMNS = 2
#: Names, types and units change seldom; what was absent twice in a row is asked for again as seldom.
KEEP_S = 900.0
ABSENT_TIMES = 2


@dataclass(frozen=True, slots=True)
class Reads:
    """Packs with what they need, worked out once."""

    packs: tuple[Pack, ...]
    scalars: tuple[Scalars, ...]
    scalar_oids: tuple[str, ...]
    tables: tuple[tuple[Table, Needs], ...]

    @classmethod
    def of(cls, packs: Iterable[Pack]) -> Reads:
        """Devices of one kind share it; a hundred kinds are remembered."""
        chosen = tuple(packs)
        key = tuple(map(id, chosen))
        if key not in _known:
            if len(_known) >= 100:
                _known.clear()
            _known[key] = cls._worked_out(chosen)
        return _known[key]

    @classmethod
    def _worked_out(cls, chosen: tuple[Pack, ...]) -> Reads:
        scalars = tuple(part for pack in chosen for part in pack.scalars)
        tables = tuple(table for pack in chosen for table in pack.tables)
        oids = tuple(scalar_oids(scalars, tables))
        return cls(chosen, scalars, oids, tuple((table, table_needs(table)) for table in tables))


#: By the identity of the packs; each entry holds them, so that no other pack can have their ids.
_known: dict[tuple[int, ...], Reads] = {}


@dataclass(slots=True)
class _Kept:
    rows: tuple[tuple[str, SnmpValue], ...]
    seen: frozenset[str]  # rows of its table when it was read
    mono: float


@dataclass(slots=True)
class Memory:
    """What is remembered of a device from poll to poll; all of it goes when the device has restarted."""

    uptime: tuple[int, float] | None = None
    kept: dict[str, _Kept] = field(default_factory=dict)
    missing: dict[str, tuple[int, float]] = field(default_factory=dict)  # OID -> times in a row, since
    silent: set[str] = field(default_factory=set)  # columns that did not answer the last time

    def heard(self, ticks: int | None, mono: float) -> bool:
        """Note the uptime; True when the device has restarted since the last poll."""
        before, self.uptime = self.uptime, None if ticks is None else (ticks, mono)
        anew = before is not None and ticks is not None and restarted(before[0], ticks, elapsed_s=mono - before[1])
        if anew:
            self.kept.clear()
            self.missing.clear()
            self.silent.clear()
        return anew

    def rests(self, oid: str, mono: float) -> bool:
        """Whether an OID has been absent so often that it is not asked for now."""
        times, since = self.missing.get(oid, (0, 0.0))
        return times >= ABSENT_TIMES and mono - since < KEEP_S

    def absent(self, oid: str, mono: float) -> None:
        self.missing[oid] = (self.missing.get(oid, (0, 0.0))[0] + 1, mono)

    def present(self, oid: str) -> None:
        self.missing.pop(oid, None)


@dataclass(slots=True)
class Take:
    """What one run has so far."""

    answers: Answers = field(default_factory=Answers)
    uptime_ticks: int | None = None
    uptime_at: float = 0.0
    answered: bool = False
    indexes: dict[int, list[str]] = field(default_factory=dict)  # number of the table -> rows that exist
    troubles: list[SnmpTrouble] = field(default_factory=list)
    skipped: int = 0  # columns not asked for, because the device had fallen silent


@dataclass(frozen=True, slots=True)
class Reader:
    """One run on one session."""

    session: SnmpSession
    memory: Memory
    take: Take
    sight: Sight
    retries: int
    max_rows: int

    async def scalars(self, oids: Iterable[str]) -> bool:
        """One GET for the uptime and these; True when the device has restarted. Raises SnmpTrouble."""
        mono = self.sight.clock.mono()
        asked = [SYS_UPTIME, *(oid for oid in oids if oid != SYS_UPTIME and not self.memory.rests(oid, mono))]
        found = await read_scalars(self.session, asked, retries=self.retries, anchor=SYS_UPTIME)
        mono = self.sight.clock.mono()
        self.sight.trace(f"GET {len(asked)} OIDs: {len(found)} values")
        self.take.answered = True
        uptime = found.get(SYS_UPTIME)
        self.take.uptime_ticks = uptime if isinstance(uptime, int) else None
        self.take.uptime_at = mono
        anew = self.memory.heard(self.take.uptime_ticks, mono)
        self._note(asked, found, mono)
        return anew

    def _note(self, asked: Iterable[str], found: Mapping[str, SnmpValue], mono: float) -> None:
        for oid in asked:
            if oid in found:
                self.memory.present(oid)
                self.take.answers.put(oid, [("", found[oid])], mono)
            else:
                self.memory.absent(oid, mono)

    async def more_scalars(self, oids: Iterable[str]) -> None:
        """A GET for what has only now been found to be needed. Raises SnmpTrouble."""
        wanted = [oid for oid in oids if oid not in self.take.answers.columns and oid not in self.memory.missing]
        if wanted:
            found = await read_scalars(self.session, wanted, retries=self.retries, anchor=SYS_UPTIME)
            self.sight.trace(f"GET {len(wanted)} OIDs: {len(found)} values")
            self._note(wanted, found, self.sight.clock.mono())

    async def tables(self, tables: Sequence[tuple[Table, Needs]]) -> None:
        """All tables; those that stalled the last time come last, so that they cost the others nothing."""
        for number in sorted(range(len(tables)), key=lambda number: tables[number][0].rows in self.memory.silent):
            await self._table(number, *tables[number])

    async def _table(self, number: int, table: Table, needs: Needs) -> None:
        """Walk the columns of one table. Alternatives are walked only for rows that still lack a value."""
        silence = _Silence()
        if not holds(tuple(one for one in table.when if one.scalar), "", self.take.answers):
            return
        await self._walk(table.rows, silence)
        rows = dict.fromkeys(self.take.answers.columns[table.rows])
        seen = frozenset(rows)
        for oid in needs.conditions:
            await self._slow(oid, seen, silence)
        if rows and not any(holds(table.when, index, self.take.answers) for index in rows):
            return
        await self._labels(table, needs, rows, silence)
        for group in needs.groups:
            await self._group(group, needs, rows, silence)
        self.take.indexes[number] = list(rows)

    async def _labels(self, table: Table, needs: Needs, rows: dict[str, None], silence: _Silence) -> None:
        """A later name is asked for only where earlier ones name not every row; without rows the names are the rows."""
        seen, from_names = frozenset(rows), not rows
        named: set[str] = set()
        shared = any(text.via or text.arcs for text in table.texts)
        for oid in needs.labels:
            if not shared and named and named.issuperset(rows):
                return
            await self._slow(oid, seen, silence)
            column = self.take.answers.columns[oid]
            named.update(index for index, raw in column.items() if raw not in (b"", ""))
            if from_names and not shared:
                rows.update(dict.fromkeys(column))

    async def _group(self, group: tuple[str, ...], needs: Needs, rows: dict[str, None], silence: _Silence) -> None:
        have: set[str] = set()
        for oid in group:
            if have and have.issuperset(rows):
                return
            if oid in needs.kept:
                await self._slow(oid, frozenset(rows), silence)
            else:
                await self._walk(oid, silence)
            have.update(self.take.answers.columns[oid])
            if not rows:  # a device that lacks the column of rows and the names: then what it has are the rows
                rows.update(dict.fromkeys(self.take.answers.columns[oid]))

    async def _slow(self, oid: str, seen: frozenset[str], silence: _Silence) -> None:
        """A column that is kept between polls, as long as no row is new."""
        if oid in self.take.answers.columns:
            return
        mono = self.sight.clock.mono()
        kept = self.memory.kept.get(oid)
        if kept and mono - kept.mono < KEEP_S and seen <= kept.seen:
            self.take.answers.put(oid, kept.rows, kept.mono)
            return
        whole = await self._walk(oid, silence)
        if whole:
            rows = tuple(self.take.answers.columns[oid].items())
            self.memory.kept[oid] = _Kept(rows, seen, mono)

    async def _walk(self, oid: str, silence: _Silence) -> bool:
        """Read a column once a run; what came before a trouble is kept. True when it came whole."""
        if oid in self.take.answers.columns:
            return True
        mono = self.sight.clock.mono()
        if silence.columns >= SILENT_COLUMNS or self.memory.rests(oid, mono):
            self.take.skipped += silence.columns >= SILENT_COLUMNS
            self.take.answers.put(oid, (), mono)
            return False
        self.memory.silent.add(oid)  # until it has answered: the run may end here
        column = await read_column(self.session, oid, retries=self.retries, most=self.max_rows)
        mono = self.sight.clock.mono()
        self.take.answers.put(oid, column.rows, mono)
        self.sight.trace(f"walk {oid}: {len(column.rows)} rows" + (f", {column.trouble}" if column.trouble else ""))
        silence.note(column.trouble)
        if not silence.columns:
            self.memory.silent.discard(oid)
        if column.trouble is None:
            self._remember(oid, empty=not column.rows, mono=mono)
            return True
        if column.trouble.reason not in (Reason.TIMEOUT, Reason.BAD_RESPONSE, Reason.TOO_LARGE):
            raise column.trouble
        self.take.troubles.append(column.trouble)
        return False

    def _remember(self, oid: str, *, empty: bool, mono: float) -> None:
        if empty:
            self.memory.absent(oid, mono)
        else:
            self.memory.present(oid)


@dataclass(slots=True)
class _Silence:
    """Silent columns in a row."""

    columns: int = 0

    def note(self, trouble: SnmpTrouble | None) -> None:
        self.columns = self.columns + 1 if trouble and trouble.reason is Reason.TIMEOUT else 0
