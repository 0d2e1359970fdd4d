"""How healthmon itself is: one picture of every part of the server, for surfaces, metrics and the watchdog."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from healthmon.model.view import Health
from healthmon.probes.guard import stop_button

if TYPE_CHECKING:
    from healthmon.app.server import Server

#: The server's time runs ahead of the machine's clock by more than what anybody would overlook.
AHEAD_S = 60.0
#: An engine that has made no step for so long does not work.
STUCK_S = 10.0


def health_of(server: Server) -> Health:
    """As it is now."""
    writer, reloader = server.writer.stats(), server.reloader
    handover = server.handover
    broker_ok = server.inbox.connected.is_set() and (handover is None or handover.ok)
    store_ok = writer.ok and (handover is None or handover.store_ok)
    stream = server.commits.stream
    journal_ok = stream is None or stream.ok
    ahead_s = server.clock.ahead_s
    well = store_ok and broker_ok and server.audit.ok and journal_ok and ahead_s <= AHEAD_S
    status = "failing" if server.step_age_s > STUCK_S else "ok" if well else "degraded"
    return Health(
        status=status,
        started_at=server.started_at,
        engine_tick_age_s=server.step_age_s,
        store_ok=store_ok,
        store_queue=writer.queued,
        broker_ok=broker_ok,
        mode=server.site.alerting.mode,
        probing=stop_button(server.stop_file) is None,
        config_ok=reloader is None or reloader.ok,
        config_refused=reloader is not None and reloader.refused,
        config_loaded_at=server.started_at if reloader is None else reloader.loaded_at,
        audit_ok=server.audit.ok,
        journal_ok=journal_ok,
        clock_ahead_s=ahead_s,
        counters=counters_of(server),
        baselines=server.room.engine.learning(),
        drill_age_s=server.drills.watch.age_s(),
        drill_overdue=server.drills.watch.overdue(),
        pair=server.leading.health() if server.leading else None,
        workers=None if handover is None else handover.workers,
    )


def counters_of(server: Server) -> dict[str, float]:
    """Every counter of every part."""
    writer, inbox = server.writer.stats(), server.inbox
    store = {
        "ingest_deferred_total.inbox_full": float(inbox.stats().refused),
        "broker_stalls_total": float(inbox.stalls.count),
        "broker_stalled_seconds_total": inbox.stalls.total_s,
        "store_rows_accepted_total": float(writer.accepted),
        "store_rows_rejected_total": float(writer.rejected),
        "store_retries_total": float(writer.retried),
        "audit_failures_total": float(server.audit.failures),
    }
    ours = (
        server.counters
        | {k: float(v) for k, v in server.reception.counters.items()}
        | server.quarantine.counters
        | server.lines.counters
        | server.lost.counters
        | server.clock.counters()
        | {k: float(v) for k, v in server.pipeline.counts().items()}
        | {f"pages_suppressed_total.{cause}": n for cause, n in server.room.engine.suppressed().items()}
        | {f"engine_{name}": value for name, value in server.room.engine.counts().items()}
        | store
        | {key: value for count in server.probers.values() for key, value in count().items()}
        | server.dispatcher.counters()
        | (server.leading.counters() if server.leading else {})
        | (server.commits.stream.counters() if server.commits.stream else {})
    )
    if server.handover is None:
        return ours
    total = Counter(ours)
    total.update(server.handover.counted())
    return dict(total)
