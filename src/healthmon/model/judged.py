"""What a worker found of one reading before the server that leads sees it."""

from __future__ import annotations

from healthmon.model.sample import record

Labels = tuple[tuple[str, str], ...]


@record
class Answered:
    """What one question that remembers says of one dimension; value and word only where something is bad."""

    question: str
    labels: Labels
    says: bool | None
    value: float | None = None
    word: str = ""


@record
class Judged:
    """Of the reading with this number in its batch, where it is more than a good one.

    bad: some condition holds, or the worker could not judge it: the leader looks at every rule; usual: what all
    questions that remember answer, those in `answers` aside.
    """

    number: int
    bad: bool
    usual: bool | None
    answers: tuple[Answered, ...] = ()
