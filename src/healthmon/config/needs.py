"""Who needs what: written needs to the model's, and the search for circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from healthmon.config.forms import AtLeastForm
from healthmon.config.problems import did_you_mean
from healthmon.config.validation import Validator
from healthmon.config.yamlnodes import DataPath
from healthmon.model.topology import AtLeast, Need, need_ids


def needs_of(
    written: Sequence[str | AtLeastForm], path: DataPath, known: set[str], validator: Validator
) -> tuple[Need, ...]:
    """The model's needs; unknown ids and impossible counts are noted and left out."""
    needs: list[Need] = []
    for number, item in enumerate(written):
        where = (*path, number)
        if isinstance(item, AtLeastForm):
            if item.at_least > len(item.of):
                validator.problem((*where, "at_least"), f"{item.at_least} of {len(item.of)} can never be")
            needs.append(AtLeast(item.at_least, needs_of(item.of, (*where, "of"), known, validator)))
        elif item in known:
            needs.append(item)
        else:
            validator.problem(where, f"unknown target or service '{item}'{did_you_mean(item, known)}")
    return tuple(needs)


def circles(graph: Mapping[str, tuple[Need, ...]]) -> Iterator[list[str]]:
    """Each circle once, as the ids along it; depth first without recursion (chains may be 10,000 long)."""
    done: set[str] = set()
    for start in graph:
        if start in done:
            continue
        trail: list[str] = [start]
        on_trail = {start}
        waiting = [need_ids(graph[start])]
        while trail:
            following = next(waiting[-1], None)
            if following is None:
                waiting.pop()
                on_trail.discard(trail[-1])
                done.add(trail.pop())
            elif following in on_trail:
                yield trail[trail.index(following) :]
            elif following not in done:
                trail.append(following)
                on_trail.add(following)
                waiting.append(need_ids(graph.get(following, ())))
