"""What a server is made of, read from its configuration: names, secrets, settings, and what ingest may admit."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from healthmon import collectors, probes
from healthmon.alerting.engine import Engine, EngineSettings
from healthmon.alerting.journal import Journal
from healthmon.alerting.notify import pace_of
from healthmon.alerting.notify.lane import Pace
from healthmon.alerting.oncall.roster import Roster
from healthmon.alerting.oncall.tokens import DEFAULT_LIFE_S, make_token
from healthmon.app import agent as agent_role
from healthmon.app import lastresort
from healthmon.app.pair import Leading
from healthmon.app.phrasing import phraser
from healthmon.app.private import secret_of
from healthmon.app.sharedsecret import shared_secret
from healthmon.app.traps import heard_by
from healthmon.config import SiteConfig, WebConfig, WorkersConfig
from healthmon.impact.hours import Calendar
from healthmon.ingest.partitions import PARTITIONS
from healthmon.ingest.pipeline import Pipeline
from healthmon.model.incident import Notice, Why
from healthmon.model.journal import Epoch, Restored
from healthmon.model.mute import MuteSettings
from healthmon.model.plan import Broker
from healthmon.model.sample import Family
from healthmon.probes.openmetrics_pack import with_scraped
from healthmon.probes.snmp_pack import pack_families
from healthmon.transport import mqtt
from healthmon.transport.inbox import Inbox
from healthmon.transport.workline import WorkLine

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from healthmon.app.server import Server

#: A server with workers hears no batches itself: a session of its own, for one that was there before would bring them.
BESIDE = "-beside"


def paces(site: SiteConfig) -> dict[str, Pace]:
    """How much each channel may send, by its id."""
    usual = {one.id: pace_of(one.kind, one.most_per_minute) for one in site.channels.values()}
    wards = {one.id for one in site.channels.values() if one.audience == "ward"}
    # A ward gets its own words, one by one: a digest is for IT.
    return {id_: Pace(pace.per_minute, folds=False) if id_ in wards else pace for id_, pace in usual.items()}


def ack_secret(journal: Journal, file: Path, now: float, *, pair: bool) -> bytes:
    """What acknowledgement links are signed with; of a pair, shared through the journal."""
    return shared_secret(journal, file, now=now) if pair else secret_of(file)


def client_id(site: SiteConfig, leading: Leading | None) -> str:
    """One session for both servers of a pair: whoever leads takes it over, and the broker cuts the other off.

    Not while nobody could be asked who leads: two would cut each other off for ever.
    """
    name = f"healthmon-{site.estate.organisation.id}-server"
    if site.workers is not None:
        name += BESIDE
    return f"{name}-{leading.link.holder}" if leading is not None and leading.open else name


def pipeline_of(site: SiteConfig, epochs: Mapping[tuple[str, str], Epoch]) -> Pipeline:
    """What admits readings: those that this configuration declares, from where a run before stopped."""
    return Pipeline(estate=site.estate, families=declared_families(site), epochs=epochs, declared=heard_by(site))


#: So many batches before store or engine, and stored ones wait: live ones queue there behind no more than these.
LATE_BEHIND = 256


def inbox_of(server: Server, broker: Broker) -> Inbox:
    """What hears the agents; where workers take the batches, only the rest."""
    site = server.site
    return Inbox(
        connect=mqtt.connector(broker, client_id=client_id(site, server.leading), clean=False),
        site=site.estate.organisation.id,
        handle=server.reception.handle,
        clock=server.clock,
        kinds=("batch", "state", "lp") if site.workers is None else ("state", "lp"),
        on_refused=server.quarantine.refuse,
        busy=lambda: server.writer.queued > LATE_BEHIND or server.room.waiting > LATE_BEHIND,
    )


def engine_settings(site: SiteConfig, roster: Roster) -> EngineSettings:
    """The configuration as the engine is told it."""
    alerting = site.alerting
    return EngineSettings(
        mode=alerting.mode,
        site_modes=alerting.site_modes,
        area_modes=alerting.area_modes,
        rule_modes=alerting.rule_modes,
        waking=site.waking,
        text=site.text,
        mutes=mute_settings(site),
        roster=roster,
        phrase=phraser(site),
    )


def engine_of(site: SiteConfig, roster: Roster, restored: Restored) -> Engine:
    """An engine for this site that goes on from what was on disk. Opening hours go by the machine's clock."""
    staffed = Calendar(site.estate, site.holidays).staffed
    engine = Engine(
        estate=site.estate,
        rules=site.rules,
        policies=site.policies,
        severity=site.severity,
        settings=engine_settings(site, roster),
        staffed=lambda area, at: staffed(area, roster.wall(at)),
        restored=restored,
    )
    for id_ in engine.passed_over:
        log.warning("planned change is not in force: its id was used and is over; give it a new one", extra={"id": id_})
    return engine


def mute_settings(site: SiteConfig) -> MuteSettings:
    """Who hears of mutes: the site manager's channels, or every channel while none is named."""
    return MuteSettings(
        changes=site.changes,
        site_manager=site.site_manager or tuple(site.channels),
        reminders=site.reminders,
        timezone=site.estate.organisation.timezone,
    )


def declared_families(site: SiteConfig) -> dict[str, Family]:
    """What ingest admits: what probes, collectors and the agent itself may emit, and what configured packs declare."""
    packs = [check.params["pack"] for target in site.estate.targets.values() for check in target.checks
             if check.kind == "snmp" and check.params.get("pack")]  # fmt: skip
    from_packs = {family.name: family for pack in packs for family in pack_families(pack)}
    known = probes.families() | collectors.families() | agent_role.FAMILIES | from_packs
    scraped = [check.params for target in site.estate.targets.values() for check in target.checks
               if check.kind == "openmetrics"]  # fmt: skip
    own = with_scraped(known, scraped)
    return own | dict(site.line_protocol.families) if site.line_protocol else own


def public_url(web: WebConfig) -> str:
    """How people reach the board; the listening address, as long as nothing else is configured."""
    scheme = "https" if web.tls_cert_file else "http"
    host = "127.0.0.1" if web.host in ("0.0.0.0", "::") else web.host
    return f"{scheme}://{host}:{web.port}"


def line_of(config: WorkersConfig, organisation: str, name: str) -> WorkLine:
    """The connection that the configuration means."""
    return WorkLine(config.line, organisation=organisation, name=name, username=config.username,
                    password=config.password, ca_file=config.ca_file, partitions=PARTITIONS)  # fmt: skip


def ack_link(notice: Notice, *, secret: bytes, public_url: str) -> str | None:
    """Where the reader of a page says "I have it" without a login; None for messages that need no answer."""
    unanswered = notice.why in (Why.MITIGATED, Why.RESOLVED, Why.MUTE, Why.DUTY, Why.WARD)
    if unanswered or notice.incident.startswith(lastresort.PREFIX):
        return None
    expires_at = notice.due + DEFAULT_LIFE_S
    to = {"incident": notice.incident, "channel": notice.channel, "to": notice.to}
    return f"{public_url}/ack/{make_token(secret, expires_at=expires_at, **to)}"
