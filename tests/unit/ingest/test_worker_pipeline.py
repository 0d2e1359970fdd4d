"""Two workers after one another and the server behind them: the same corrections, no number lost, no reading twice."""

from __future__ import annotations

import dataclasses

from healthmon.ingest.pipeline import Admitted, Pipeline
from unit.ingest.test_ingest_pipeline import E1, HOUR, NOW, batch, pipeline, reading


def admitted(worker: Pipeline, seq: int, *, sent: float, at: float) -> Admitted:
    found = worker.admit(batch(seq, reading(started=sent), sent=sent), topic_agent="pc-1", received_at=at)
    assert isinstance(found, Admitted)
    return found


def test_the_next_worker_corrects_a_clock_by_what_the_first_has_found() -> None:
    first, second = pipeline(), pipeline()
    before = admitted(first, 1, sent=NOW - HOUR, at=NOW)
    second.recall(dataclasses.replace(before.epoch, received=(), durable=()))
    again = admitted(second, 1, sent=NOW - HOUR, at=NOW + 9.0)  # given to it after the first was killed
    assert again.readings == before.readings
    assert again.rows == before.rows, "the same points: the store keeps one"


def test_the_server_takes_a_repeat_once_and_sees_no_gap_where_a_worker_began_late() -> None:
    first, second, server = pipeline(), pipeline(), pipeline()
    one, two = (admitted(first, seq, sent=NOW + seq, at=NOW + seq) for seq in (1, 2))
    second.recall(dataclasses.replace(two.epoch, received=(), durable=()))
    repeat, three = (admitted(second, seq, sent=NOW + seq, at=NOW + seq) for seq in (2, 3))
    heard = [server.hear(a.epoch, a.batch.seq, live=True) for a in (one, two, repeat, three)]
    assert heard == [True, True, False, True]
    assert server.newest()["pc-1"].gaps() == ()
    kept = server.epoch("pc-1", E1)
    assert kept is not None
    assert kept.received == ((1, 3),)


def test_a_worker_acknowledges_what_it_knows_and_nothing_else() -> None:
    second = pipeline()
    three = admitted(second, 3, sent=NOW, at=NOW)
    second.journal_has(*three.key)
    assert second.ack("pc-1", E1) == (0, ())
    second.store_has(*three.key)
    assert second.ack("pc-1", E1) == (0, ((3, 3),))


def test_the_server_leaves_out_what_its_own_configuration_does_not_declare() -> None:
    known, unknown = reading(), reading("a-new-one")
    assert pipeline().known([known, unknown]) == (known,)
