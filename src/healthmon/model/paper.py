"""A printable paper: what the hours after an incident are run by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a paper: lines, a table, or both.

    ids: what each row is about, for ticking it off; page: it begins on a page of its own; big: a poster's number.
    """

    title: str
    lines: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    ids: tuple[str, ...] = ()
    page: bool = False
    big: str = ""
    language: str = ""  # of this part, where that is not the paper's


@dataclass(frozen=True, slots=True)
class Paper:
    """A printable paper. as_at: its moment; dated: the same in a sentence of its language."""

    kind: str
    title: str
    as_at: str
    parts: tuple[Part, ...]
    dated: str = ""
    language: str = "en"


#: What there is.
KINDS = ("call-list", "situation", "recovery", "handover", "print-pack")


def text(paper: Paper) -> str:
    """As plain text, for a mail or a terminal."""
    lines = [paper.title, paper.dated]
    for part in paper.parts:
        lines += ["", part.title, *part.lines, *([part.big] if part.big else [])]
        for row in part.rows:
            said = [f"{head}: {cell}" if n else cell for n, (head, cell) in enumerate(zip(part.head, row, strict=True))]
            lines.append("- " + " · ".join(said))
    return "\n".join(lines)
