"""The journal on a real JetStream: a machine that has nothing goes on from it as the one with the file would."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.journals import changes, everything, machine
from daemons.nats import Nats
from daemons.paging import MORNING
from healthmon.alerting.journal import Journal
from healthmon.model.journal import Audit, Changes, Restored

pytestmark = [pytest.mark.wire, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    node = Nats(tmp_path_factory.mktemp("nats"))
    node.start()
    yield node
    node.stop()


async def fresh(nats: Nats, organisation: str, folder: Path) -> tuple[Restored, list[object]]:
    """What a machine that has nothing would go on from."""
    async with machine(nats, organisation, folder) as other:
        return everything(other.journal)


def test_a_machine_that_has_nothing_goes_on_from_the_last_commit(nats: Nats, tmp_path: Path) -> None:
    async def story() -> None:
        chance = random.Random(3)
        async with machine(nats, "plain", tmp_path / "a") as first:
            await first.commits.commit(changes(chance, 0))
            await first.ok()
            for number in range(1, 40):
                await first.commits.commit(changes(chance, number))
                if number == 20:
                    await first.stream.copy()
            assert await first.commits.record(Audit("person", MORNING, {"who": "anybody"}, key="once"))
            assert not await first.commits.record(Audit("person", MORNING, {"who": "anybody"}, key="once"))
            known = everything(first.journal)
            assert first.stream.behind == 1
            found = await fresh(nats, "plain", tmp_path / "b")
        assert replace(found[0], at=None) == replace(known[0], at=None)
        assert found[1] == known[1]

    asyncio.run(story())


def test_what_is_on_the_stream_and_was_not_yet_in_the_file_is_taken_up(nats: Nats, tmp_path: Path) -> None:
    async def story() -> None:
        chance = random.Random(4)
        async with machine(nats, "between", tmp_path / "a") as first:
            await first.ok()
            await first.commits.commit(changes(chance, 0))
            last = changes(chance, 1)
            await first.stream.put(last)  # and killed before the file has it
            assert first.journal.restore().at == MORNING
        async with machine(nats, "between", tmp_path / "a") as again:
            assert again.journal.restore().at == last.at
            await again.ok()
            await again.commits.commit(changes(chance, 2))
            known = everything(again.journal)
            found = await fresh(nats, "between", tmp_path / "b")
        assert found == known

    asyncio.run(story())


def test_a_set_of_changes_larger_than_a_message_comes_whole(nats: Nats, tmp_path: Path) -> None:
    async def story() -> None:
        async with machine(nats, "large", tmp_path / "a") as first:
            await first.ok()
            body = random.Random(1).randbytes(3_000_000)
            await first.commits.commit(Changes(at=MORNING, memory={"w|large": body}))
            found, _ = await fresh(nats, "large", tmp_path / "b")
        assert found.memory == {"w|large": body}

    asyncio.run(story())


def test_while_the_cluster_is_away_commits_go_on_and_later_all_of_it_is_there(nats: Nats, tmp_path: Path) -> None:
    async def story() -> None:
        chance = random.Random(5)
        async with machine(nats, "away", tmp_path / "a") as first:
            await first.ok()
            await first.commits.commit(changes(chance, 0))
            nats.kill9()
            for number in range(1, 6):
                await first.commits.commit(changes(chance, number))
            assert not first.stream.ok
            await asyncio.to_thread(nats.start)
            await first.ok()
            await first.commits.commit(changes(chance, 6))
            known = everything(first.journal)
            found = await fresh(nats, "away", tmp_path / "b")
        assert found == known

    asyncio.run(story())


def test_a_server_killed_while_the_cluster_was_away_goes_on_from_its_own_file(nats: Nats, tmp_path: Path) -> None:
    async def story() -> None:
        chance = random.Random(6)
        async with machine(nats, "ahead", tmp_path / "a") as first:
            await first.ok()
            await first.commits.commit(changes(chance, 0))
            nats.kill9()
            await first.commits.commit(changes(chance, 1))
            known = everything(first.journal)
        await asyncio.to_thread(nats.start)
        async with machine(nats, "ahead", tmp_path / "a") as again:
            assert everything(again.journal) == known
            await again.ok()
            found = await fresh(nats, "ahead", tmp_path / "b")
        assert found == known

    asyncio.run(story())


def test_whoever_comes_back_takes_what_the_other_wrote_and_keeps_its_own_aside(nats: Nats, tmp_path: Path) -> None:
    async def story() -> None:
        chance = random.Random(7)
        async with machine(nats, "both", tmp_path / "a") as first:
            await first.ok()
            await first.commits.commit(changes(chance, 0))
            async with machine(nats, "both", tmp_path / "b") as second:
                await second.ok()
                await second.commits.commit(changes(chance, 1))
                await first.commits.commit(changes(chance, 2))
                async with asyncio.timeout(30):
                    while not first.stream.overtaken:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                assert not first.stream.ok, "the one that was overtaken goes on without"
                assert first.journal.restore().at == MORNING + 2
                await second.commits.commit(changes(chance, 3))
                assert second.stream.ok
                known = everything(second.journal)
        async with machine(nats, "both", tmp_path / "a") as again:
            assert everything(again.journal) == known
        with contextlib.closing(Journal(tmp_path / "a" / "journal.before-stream.sqlite")) as aside:
            assert aside.restore().at == MORNING + 2

    asyncio.run(story())
