"""What is admitted: identity, duplicates, skew, gaps, clones, declared data; and what a restart remembers."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthmon.ingest.pipeline import MAX_EPOCHS_PER_AGENT, MAX_RANGES, Admitted, Pipeline, Refused, is_check_id
from healthmon.model.journal import Epoch
from healthmon.model.sample import Batch, Family, Outcome, Reading, Reason, Sample
from healthmon.model.topology import Agent, Check, Estate, Organisation, Target

NOW = 1_800_000_000.0
E1, E2 = "9f3c0d5e7a1b2c48", "0011223344556677"
HOUR = 3600.0


def target(id: str, *, area: str | None = "ward-7", checks: Iterable[str] = ("icmp",)) -> Target:
    every = tuple(Check(check, "icmp", 5.0, 1.0) for check in checks)
    return Target(id, id.upper(), "switch", "192.0.2.7", "main", area, checks=every)


ESTATE = Estate(
    Organisation("st-elsewhere", "St Elsewhere", "Europe/London"),
    sites={},
    areas={},
    services={},
    targets={one.id: one for one in (target("sw-1"), target("core", area=None), target("pc-1"))},
    teams={},
    agents={"pc-1": Agent("pc-1", "pc-1"), "pc-2": Agent("pc-2")},
)
FAMILIES = {
    "icmp": Family("icmp", frozenset({"rtt_avg_seconds", "loss_ratio"})),
    "snmp_if": Family("snmp_if", frozenset({"in_octets", "alias"}), frozenset({"interface"})),
    "host_cpu": Family("host_cpu", frozenset({"busy_ratio"})),
}


def pipeline(epochs: dict[tuple[str, str], Epoch] | None = None) -> Pipeline:
    return Pipeline(estate=ESTATE, families=FAMILIES, epochs=epochs or {})


def reading(
    target: str = "sw-1",
    check: str = "icmp",
    *,
    vantage: str = "pc-1",
    started: float = NOW,
    took: float = 0.25,
    outcome: Outcome = Outcome.OK,
    reason: Reason | None = None,
    detail: str = "",
    samples: Iterable[Sample] = (Sample("icmp", "rtt_avg_seconds", 0.5),),
) -> Reading:
    return Reading(target, check, vantage, started, took, outcome, reason, detail, tuple(samples))


def batch(
    seq: int = 1,
    *readings: Reading,
    agent: str = "pc-1",
    epoch: str = E1,
    sent: float = NOW,
    mono: float | None = None,
    live: bool = True,
    dropped: tuple[tuple[int, int], ...] = (),
    clock: float | None = None,
) -> Batch:
    mono = sent - NOW + 1000.0 if mono is None else mono
    found = readings or (reading(vantage=agent),)
    return Batch(agent, epoch, seq, sent, mono, live, found, dropped, clock=clock)


def admit(pipe: Pipeline, one: Batch, *, at: float = NOW) -> Admitted:
    admitted = pipe.admit(one, topic_agent=one.agent, received_at=at)
    assert isinstance(admitted, Admitted), admitted
    return admitted


# -- identity


def test_a_batch_under_another_name_is_foreign() -> None:
    pipe = pipeline()
    refused = pipe.admit(batch(), topic_agent="pc-2", received_at=NOW)
    assert refused == Refused("foreign", "pc-2 published a batch of pc-1")
    assert pipe.rejected() == {"batches_refused_foreign": 1}
    assert pipe.newest() == {}


def test_an_undeclared_agent_is_refused() -> None:
    pipe = pipeline()
    stranger = batch(agent="pc-9")
    assert pipe.admit(stranger, topic_agent="pc-9", received_at=NOW) == Refused("unknown_agent", "pc-9")


def test_the_poller_needs_no_declaration() -> None:
    assert admit(pipeline(), batch(agent="poller")).new


@pytest.mark.parametrize(
    ("seq", "dropped"), [(0, ()), (-1, ()), (1 << 63, ()), (5, ((0, 3),)), (5, ((4, 2),)), (5, ((1, 1 << 70),))]
)
def test_impossible_numbers_are_refused(seq: int, dropped: tuple[tuple[int, int], ...]) -> None:
    refused = pipeline().admit(batch(seq, dropped=dropped), topic_agent="pc-1", received_at=NOW)
    assert isinstance(refused, Refused)
    assert refused.reason == "bad_sequence"


# -- duplicates and durability


def test_a_redelivery_is_not_new_and_writes_the_same_rows_until_the_store_has_it() -> None:
    pipe = pipeline()
    first, again = admit(pipe, batch()), admit(pipe, batch(), at=NOW + 30)
    assert (first.new, again.new) == (True, False)
    assert first.rows == again.rows != ()
    pipe.store_has("pc-1", E1, 1)
    assert admit(pipe, batch(), at=NOW + 60).rows == ()


def test_only_what_store_and_journal_have_is_acknowledged() -> None:
    pipe = pipeline()
    for seq in (1, 2, 3, 5):
        admit(pipe, batch(seq))
    assert pipe.ack("pc-1", E1) == (0, ())
    for seq in (1, 2, 5):
        pipe.store_has("pc-1", E1, seq)
    for seq in (1, 3, 5):
        pipe.journal_has("pc-1", E1, seq)
    assert pipe.ack("pc-1", E1) == (1, ((1, 1), (5, 5)))
    assert pipe.ack("pc-1", E2) == (0, ())


def test_news_of_an_epoch_never_heard_changes_nothing() -> None:
    pipe = pipeline()
    pipe.store_has("pc-1", E1, 1)
    pipe.journal_has("pc-1", E1, 1)
    assert pipe.newest() == {}


@given(st.lists(st.tuples(st.integers(1, 12), st.sampled_from("asj")), max_size=60))
def test_the_acknowledged_set_is_the_intersection(steps: list[tuple[int, str]]) -> None:
    pipe, seen, store, journal = pipeline(), set[int](), set[int](), set[int]()
    for seq, what in steps:
        if what == "a":
            assert admit(pipe, batch(seq)).new == (seq not in seen)
            seen.add(seq)
        elif what == "s" and seen:
            pipe.store_has("pc-1", E1, seq)
            store.add(seq)
        elif what == "j" and seen:
            pipe.journal_has("pc-1", E1, seq)
            journal.add(seq)
    upto, durable = pipe.ack("pc-1", E1)
    assert {n for low, high in durable for n in range(low, high + 1)} == store & journal
    assert set(range(1, upto + 1)) <= store & journal
    assert upto + 1 not in store & journal


def test_a_restart_knows_what_came_and_writes_again_what_the_store_may_lack() -> None:
    pipe = pipeline()
    for seq in (1, 2):
        last = admit(pipe, batch(seq, sent=NOW - HOUR))
    pipe.store_has("pc-1", E1, 1)
    pipe.journal_has("pc-1", E1, 1)
    kept = pipe.epoch("pc-1", E1)
    assert kept
    assert (kept.received, kept.durable, kept.skew_s) == (((1, 2),), ((1, 1),), HOUR)

    after = pipeline({("pc-1", E1): kept})
    again = admit(after, batch(2, sent=NOW - HOUR), at=NOW + 500)
    assert not again.new
    assert again.rows == last.rows  # the same points in spite of the later receipt
    assert admit(after, batch(1), at=NOW + 500).rows == ()
    after.store_has("pc-1", E1, 2)
    assert after.ack("pc-1", E1) == (2, ((1, 2),))


# -- clocks


@pytest.mark.parametrize(("offset", "skew"), [(0.0, 0.0), (1.9, 0.0), (-1.9, 0.0), (HOUR, HOUR), (-HOUR, -HOUR)])
def test_skew_is_fixed_at_first_receipt(offset: float, skew: float) -> None:
    pipe = pipeline()
    admitted = admit(pipe, batch(1, reading(started=NOW - offset - 1), sent=NOW - offset))
    assert admitted.epoch.skew_s == skew
    assert admitted.readings[0].started == NOW - offset - 1 + skew
    assert {row.at for row in admitted.rows} == {NOW - offset - 1 + skew}
    assert pipe.counts().get("clocks_corrected", 0) == (skew != 0)


def test_a_message_that_waited_does_not_move_the_skew() -> None:
    pipe = pipeline()
    admit(pipe, batch(1))
    late = admit(pipe, batch(2, sent=NOW + 10), at=NOW + 900)
    assert late.epoch.skew_s == 0.0
    assert late.readings[0].started == NOW


def test_a_clock_that_is_set_right_later_starts_a_new_segment() -> None:
    pipe = pipeline()
    early = batch(1, reading(started=NOW - HOUR), sent=NOW - HOUR, mono=100.0)
    first = admit(pipe, early)
    mended = admit(pipe, batch(2, reading(started=NOW + 10), sent=NOW + 10, mono=110.0), at=NOW + 10)
    assert (first.readings[0].started, mended.readings[0].started) == (NOW, NOW + 10)
    assert admit(pipe, early, at=NOW + 60).rows == first.rows
    kept = pipe.epoch("pc-1", E1)
    assert kept
    after = pipeline({("pc-1", E1): kept})
    assert admit(after, early, at=NOW + 90).rows == first.rows
    assert pipe.counts()["clock_steps"] == 1


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_what_was_taken_before_a_step_and_sent_after_it_keeps_its_time(step: float) -> None:
    """It has the new wall clock on its envelope and the old one in its readings: no such reading may be lost."""
    pipe, before = pipeline(), NOW - 1000.0
    admit(pipe, batch(1, clock=before))
    taken = reading(started=NOW + 9.0)
    sent = batch(2, taken, sent=NOW + 10.0 + step, mono=1010.0, clock=before)
    held = admit(pipe, sent, at=NOW + 10.0)
    assert [one.started for one in held.readings] == [NOW + 9.0]
    after = reading(started=NOW + 19.0 + step)
    right = admit(pipe, batch(3, after, sent=NOW + 20.0 + step, mono=1020.0, clock=before + step), at=NOW + 20.0)
    assert [one.started for one in right.readings] == [NOW + 19.0]
    assert [one.started for one in admit(pipe, sent, at=NOW + 60.0).readings] == [NOW + 9.0]


@pytest.mark.parametrize("step", [HOUR, -HOUR])
def test_what_was_taken_after_a_step_while_nobody_listened_is_told_by_its_own_clock(step: float) -> None:
    """The newest batch comes first and shows the step; those before it have lower numbers and the new clock too."""
    pipe, before = pipeline(), NOW - 1000.0
    admit(pipe, batch(1, clock=before))
    newest = batch(9, reading(started=NOW + 99.0 + step), sent=NOW + 100.0 + step, mono=1100.0, clock=before + step)
    admit(pipe, newest, at=NOW + 100.0)
    late = reading(started=NOW + 50.0 + step)
    caught_up = batch(5, late, sent=NOW + 101.0 + step, mono=1101.0, live=False, clock=before + step)
    assert [one.started for one in admit(pipe, caught_up, at=NOW + 101.0).readings] == [NOW + 50.0]


@pytest.mark.parametrize("wrong", [HOUR, -HOUR])
def test_a_server_that_was_wrong_when_it_first_heard_an_agent_finds_its_time_anew(wrong: float) -> None:
    """The agent's clocks agree all the while; what it says several times over is believed."""
    pipe = pipeline()
    first = batch(1, reading(started=NOW), sent=NOW)
    stored = admit(pipe, first, at=NOW + wrong)
    for seq, t in enumerate((15.0, 30.0, 45.0, 60.0), start=2):
        last = admit(pipe, batch(seq, reading(started=NOW + t), sent=NOW + t), at=NOW + t)
    assert [one.started for one in last.readings] == [NOW + 60.0]
    again = admit(pipe, first, at=NOW + 75.0)
    assert again.rows == stored.rows if wrong < 0 else {row.at for row in again.rows} == {NOW}, "never in the future"
    assert pipe.counts()["clock_steps"] == 1


def test_what_waited_for_minutes_moves_no_skew_however_it_comes() -> None:
    pipe = pipeline()
    admit(pipe, batch(1, sent=NOW))
    for n in range(40):  # sent each half second, held by a broker for two minutes, then let through at once
        found = admit(pipe, batch(2 + n, sent=NOW + n / 2), at=NOW + 120.0 + n / 10)
    assert found.epoch.skew_s == 0.0
    for n in range(40):  # sent each second, and let through at twice that
        found = admit(pipe, batch(50 + n, sent=NOW + 130.0 + n), at=NOW + 250.0 + n / 2)
    assert found.epoch.skew_s == 0.0
    for n in range(40):  # a queue that grows
        found = admit(pipe, batch(100 + n, sent=NOW + 300.0 + n), at=NOW + 340.0 + 2 * n)
    assert found.epoch.skew_s == 0.0


def test_a_suspended_laptop_is_not_a_clock_step() -> None:
    pipe = pipeline()
    admit(pipe, batch(1, mono=100.0))
    admit(pipe, batch(2, sent=NOW + HOUR, mono=110.0), at=NOW + HOUR)
    waited = admit(pipe, batch(3, sent=NOW + HOUR + 5, mono=115.0), at=NOW + HOUR + 500)
    assert waited.epoch.skew_s == 0.0
    assert "clock_steps" not in pipe.counts()


def test_a_first_message_out_of_a_backlog_fixes_no_skew() -> None:
    pipe = pipeline()
    old = batch(1, sent=NOW - HOUR)
    refused = pipe.admit(old, topic_agent="pc-1", received_at=NOW, backlog=True)
    assert isinstance(refused, Refused)
    assert refused.reason == "skew_unsettled"
    assert pipe.admit(batch(1), topic_agent="pc-1", received_at=NOW, backlog=True) != refused
    assert admit(pipe, batch(2)).epoch.skew_s == 0.0


# -- gaps, clones, floods


def test_gaps_found_are_told_from_gaps_declared() -> None:
    pipe = pipeline()
    for seq in (4, 5, 9, 12):
        admit(pipe, batch(seq))
    assert pipe.newest()["pc-1"].gaps() == ((6, 8), (10, 11))
    admitted = admit(pipe, batch(13, dropped=((6, 7), (10, 11))))
    assert pipe.newest()["pc-1"].gaps() == ((8, 8),)
    assert admitted.epoch.declared_dropped == ((6, 7), (10, 11))
    late = admit(pipe, batch(7))
    assert late.epoch.declared_dropped == ((6, 6), (10, 11))


def test_two_machines_with_one_identity_are_a_finding() -> None:
    pipe = pipeline()
    for step in range(4):
        admit(pipe, batch(step + 1, epoch=(E1, E2)[step % 2]), at=NOW + step * 5)
    assert pipe.cloned(NOW + 20) == {"pc-1"}
    assert pipe.cloned(NOW + 200) == frozenset()
    assert pipe.counts()["agents_cloned"] == 1


def test_a_new_spool_or_one_that_recovers_is_no_clone() -> None:
    pipe = pipeline()
    admit(pipe, batch(1, epoch=E1))
    for seq in (1, 2):
        admit(pipe, batch(seq, epoch=E2), at=NOW + seq)
    admit(pipe, batch(2, epoch=E1), at=NOW + 5)
    for seq in (3, 4):
        admit(pipe, batch(seq, epoch=E2, live=False), at=NOW + seq + 5)
        admit(pipe, batch(seq, epoch=E1), at=NOW + seq + 5.5)
    assert pipe.cloned(NOW + 10) == frozenset()


def test_endless_epochs_do_not_fill_the_memory() -> None:
    pipe = pipeline()
    for n in range(50):
        admit(pipe, batch(1, epoch=f"{n:016x}"), at=NOW + n * 100)
    assert [n for n in range(50) if pipe.epoch("pc-1", f"{n:016x}")] == list(range(50 - MAX_EPOCHS_PER_AGENT, 50))
    assert pipe.counts()["epochs_forgotten"] == 50 - MAX_EPOCHS_PER_AGENT


def test_endless_gaps_do_not_fill_the_memory() -> None:
    pipe = pipeline()
    for seq in range(1, 2 * MAX_RANGES + 1, 2):
        admit(pipe, batch(seq))
    refused = pipe.admit(batch(3 * MAX_RANGES), topic_agent="pc-1", received_at=NOW)
    assert isinstance(refused, Refused)
    assert refused.reason == "too_many_gaps"
    assert not admit(pipe, batch(1)).new


# -- readings and rows


def test_undeclared_targets_are_counted_and_the_rest_goes_on() -> None:
    pipe = pipeline()
    admitted = admit(pipe, batch(1, reading("ghost"), reading(), reading("sw-1", "http")))
    assert [one.target for one in admitted.readings] == ["sw-1"]
    assert pipe.rejected() == {"readings_refused_undeclared_target": 2}


def test_an_agent_may_report_what_its_roles_collect_of_its_own_host() -> None:
    host = reading("pc-1", "host_cpu", samples=[Sample("host_cpu", "busy_ratio", 0.5)])
    pipe = pipeline()
    assert len(admit(pipe, batch(1, host)).readings) == 1
    other = reading("pc-1", "host_cpu", vantage="pc-2")
    assert admit(pipe, batch(1, other, agent="pc-2")).readings == ()
    assert admit(pipe, batch(2, reading("pc-1", "Not an id"))).readings == ()


def test_a_check_of_its_own_host_is_not_named_after_a_patient() -> None:
    pipe = pipeline()
    found = admit(pipe, batch(1, reading("pc-1", "07700900123"), reading("pc-1", "cpu")))
    assert [one.check for one in found.readings] == ["cpu"]


def test_more_checks_may_be_declared_by_the_program() -> None:
    pipe = Pipeline(
        estate=ESTATE, families=FAMILIES, epochs={}, declared=lambda target, check, vantage: check == "extra"
    )
    assert len(admit(pipe, batch(1, reading(check="extra"), reading(check="other"))).readings) == 1


def test_nobody_looks_with_anothers_eyes() -> None:
    pipe = pipeline()
    assert admit(pipe, batch(1, reading(vantage="pc-2"))).readings == ()
    assert pipe.rejected() == {"readings_refused_foreign_vantage": 1}


@pytest.mark.parametrize(("started", "took"), [(NOW + 301, 0.1), (-5.0, 0.1), (0.0, 0.1), (NOW, -1.0), (NOW, 1e6)])
def test_impossible_times_are_refused(started: float, took: float) -> None:
    pipe = pipeline()
    assert admit(pipe, batch(1, reading(started=started, took=took))).readings == ()
    assert pipe.rejected() == {"readings_refused_bad_time": 1}


def test_rows_carry_the_inventory() -> None:
    samples = [
        Sample("icmp", "rtt_avg_seconds", 0.5),
        Sample("icmp", "loss_ratio", 0.0),
        Sample("snmp_if", "in_octets", 7.0, {"interface": "Gi1/0/1"}),
        Sample("snmp_if", "in_octets", 8.0, {"interface": "Gi1\\0\\2"}),
    ]
    rows = admit(pipeline(), batch(1, reading(samples=samples))).rows
    tags = (
        ("area", "ward-7"),
        ("check", "icmp"),
        ("kind", "switch"),
        ("site", "main"),
        ("target", "sw-1"),
        ("vantage", "pc-1"),
    )
    assert [(row.family, row.tags, row.fields, row.at) for row in rows] == [
        ("probe", tags, (("duration_seconds", 0.25), ("outcome", "ok"), ("success", 1.0)), NOW),
        ("icmp", tags, (("loss_ratio", 0.0), ("rtt_avg_seconds", 0.5)), NOW),
        ("snmp_if", (*tags[:2], ("interface", "Gi1/0/1"), *tags[2:]), (("in_octets", 7.0),), NOW),
        ("snmp_if", (*tags[:2], ("interface", "Gi1/0/2"), *tags[2:]), (("in_octets", 8.0),), NOW),
    ]


@pytest.mark.parametrize(
    ("outcome", "reason", "fields"),
    [
        (Outcome.FAILED, Reason.TIMEOUT, {"outcome": "failed", "reason": "timeout", "success": 0.0}),
        (Outcome.UNKNOWN, Reason.NO_ROUTE, {"outcome": "unknown", "reason": "no_route"}),
    ],
)
def test_unknown_has_no_success(outcome: Outcome, reason: Reason, fields: dict[str, object]) -> None:
    (row,) = admit(pipeline(), batch(1, reading(outcome=outcome, reason=reason, samples=()))).rows
    assert dict(row.fields) == {"duration_seconds": 0.25, **fields}


def test_a_target_without_an_area_has_no_area_tag() -> None:
    (row, *_) = admit(pipeline(), batch(1, reading("core"))).rows
    assert "area" not in dict(row.tags)


def test_a_new_site_model_forgets_no_batch() -> None:
    pipe = pipeline()
    admit(pipe, batch(1))
    pipe.reload(ESTATE)
    assert not admit(pipe, batch(1)).new


@given(st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_gives_the_same_points(rng: random.Random) -> None:
    batches = [batch(seq, reading(started=NOW + seq)) for seq in range(1, 8)]
    plain, shuffled = pipeline(), pipeline()
    wanted = {row for one in batches for row in admit(plain, one).rows}
    storm = batches * 3
    rng.shuffle(storm)
    new = [one for one in storm if admit(shuffled, one, at=NOW + rng.random()).new]
    assert len(new) == len(batches)
    assert {row for one in storm for row in admit(shuffled, one).rows} == wanted


@pytest.mark.parametrize(
    ("text", "legal"),
    [
        *[(text, True) for text in ("icmp", "a-b_c9", "9a", "a" * 63)],
        *[(text, False) for text in ("", "-a", "A", "a b", "a" * 64, "é", "٣")],
    ],
)
def test_check_ids(text: str, legal: bool) -> None:
    assert is_check_id(text) is legal
