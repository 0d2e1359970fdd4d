"""Which worker takes which agents: a fixed number of partitions, spread evenly, moved as little as can be. Pure.

An agent belongs to one partition for ever (the stream counts it out of the agent's name), and every worker that hears
of the same others comes to the same sharing out, so that nobody has to hand it out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

#: More workers than this make no sense: one of them would have nothing to do.
PARTITIONS = 32


def shares(workers: Iterable[str]) -> dict[int, str]:
    """The owner of each partition: the one that ranks first for it and has not its even share yet."""
    known = sorted(set(workers))
    if not known:
        return {}
    most = -(-PARTITIONS // len(known))
    owned: Counter[str] = Counter()
    owners = {}
    for partition in range(PARTITIONS):
        ranked = sorted(known, key=lambda worker: _rank(partition, worker))
        owner = next(worker for worker in ranked if owned[worker] < most)
        owners[partition] = owner
        owned[owner] += 1
    return owners


def share_of(worker: str, workers: Iterable[str]) -> frozenset[int]:
    """The partitions of one worker among these."""
    return frozenset(partition for partition, owner in shares({worker, *workers}).items() if owner == worker)


def _rank(partition: int, worker: str) -> bytes:
    return blake2b(f"{partition} {worker}".encode(), digest_size=8).digest()
