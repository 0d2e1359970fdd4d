"""The words people see, and times as people on that site read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from healthmon.model.incident import Incident, IncidentKind, IncidentState, ServiceState
from healthmon.model.topology import Area, Estate

PROOF_FRESH_S = 300.0  # an ok reading from the area itself, older than this, no longer proves that it works

#: word, symbol and css class of each state; the symbol and the word carry the meaning, colour only repeats it.
STATE_WORDS = {
    ServiceState.LOST: ("not available", "✕"),
    ServiceState.DEGRADED: ("slow or partly working", "◐"),
    ServiceState.AT_RISK: ("working, no spare route left", "△"),
    ServiceState.UNKNOWN: ("we cannot see", "?"),
    ServiceState.OK: ("ok", "✓"),
}
STATE_ORDER = (ServiceState.LOST, ServiceState.DEGRADED, ServiceState.UNKNOWN, ServiceState.AT_RISK, ServiceState.OK)
NOT_PROVEN = ("no fault seen", "·")
KIND_WORDS = {
    IncidentKind.INCIDENT: "incident",
    IncidentKind.EARLY_WARNING: "early warning",
    IncidentKind.BLIND: "monitoring fault: state not known",
}
REASON_WORDS = {
    "timeout": "does not answer",
    "refused": "refuses connections",
    "unreachable": "cannot be reached",
    "reset": "drops connections",
    "closed": "hangs up",
    "dns": "its name does not resolve",
    "tls_handshake": "TLS handshake fails",
    "cert_expired": "certificate has expired",
    "cert_untrusted": "certificate is not trusted",
    "cert_wrong_host": "certificate is for another name",
    "bad_status": "answers with an error",
    "bad_body": "answers with the wrong content",
    "bad_response": "does not speak its protocol",
    "auth_failed": "refuses our login",
    "packet_loss": "loses packets",
    "partial": "stalls while answering",
    "silent": "nothing heard from it",
    "no_answer": "did not answer when asked again",
    "no_permission": "we lack permission to look",
    "no_route": "we have no route to it",
    "name_service": "our name service does not answer",
    "not_allowed": "the safety rules forbid looking",
    "probing_stopped": "probing is stopped",
    "unproven": "the device said something; no look has proven it",
    "starved": "this machine let the monitor stand still",
    "probe_bug": "our probe is at fault",
}


def reason_words(reason: str) -> str:
    """A reason as people read it; an unknown one with its underscores taken out."""
    return REASON_WORDS.get(reason, reason.replace("_", " "))


def confidence_words(confidence: float) -> str:
    """`very likely`, `likely` or `one of these`; never a raw figure."""
    if confidence >= 0.9:
        return "very likely"
    return "likely" if confidence >= 0.6 else "one of these"


def area_words(area: Area) -> str:
    """`ward with 28 beds`, never `28 affected`."""
    kinds = {"ed": "ED", "icu": "ICU", "theatre": "theatres", "lab": "laboratory", "datacentre": "data centre"}
    kind = kinds.get(area.kind.value, area.kind.value)
    return f"{kind} with {area.beds} beds" if area.beds else kind


def impact_unknown_words(incident: Incident) -> str | None:
    """What to say where no impact is mapped: never `no impact`."""
    if incident.impact_known == "none":
        behind = incident.root.target if incident.root else "this"
        return f"clinical impact not known: nothing is mapped behind {behind}"
    if incident.impact_known == "partial":
        return "clinical impact known in part: not everything behind this is mapped"
    return None


def state_words(incident: Incident, clock: LocalTime) -> str:
    """open, acknowledged, or how far it is over."""
    match incident.state:
        case IncidentState.MITIGATED:
            since = clock.short(incident.mitigated_at)
            said = [entry for entry in incident.timeline if entry.what == "mitigated"]
            by_person = bool(said) and said[-1].by != "healthmon"
            head = f"IT reports working again since {since}" if by_person else f"reachable again since {since}"
            return f"{head}; keep using paper until the nurse in charge says stop"
        case IncidentState.RESOLVED:
            return f"closed {clock.short(incident.resolved_at)}"
        case IncidentState.ACKNOWLEDGED:
            return f"acknowledged {clock.short(incident.acknowledged_at)}"
        case _:
            return "nobody has it yet"


def age_words(seconds: float) -> str:
    """`20 s`, `5 min`, `3 h 10 min`, `2 days`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        hours, minutes = divmod(whole // 60, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days = whole // 86400
    return f"{days} days" if days > 1 else "1 day"


class LocalTime:
    """Unix seconds as one site reads them, seen from `now`."""

    def __init__(self, zone: str, now: float) -> None:
        try:
            self._zone: ZoneInfo | None = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            self._zone = None  # better UTC, said so, than no page
        self.now = now

    @classmethod
    def of(cls, estate: Estate, now: float, site: str | None = None) -> LocalTime:
        """The time of a site, or of the organisation."""
        found = estate.sites.get(site) if site else None
        return cls(found.timezone if found else estate.organisation.timezone, now)

    def local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, self._zone or UTC)

    def short(self, at: float | None) -> str:
        """`14:05`; with the day when that is not today, with the zone in the hour that comes twice."""
        if at is None:
            return "not known"
        then, today = self.local(at), self.local(self.now).date()
        text = f"{then:%H:%M}"
        if self._zone is None or self._twice(then):
            text += f" {then:%Z}"
        if then.date() == today:
            return text
        day = f"{then:%a}" if 0 < (today - then.date()).days < 7 else f"{then.day} {then:%b %Y}"
        return f"{day} {text}"

    def full(self, at: float) -> str:
        """`Sun 22 Nov 2026, 14:05:09 GMT`."""
        then = self.local(at)
        return f"{then:%a} {then.day} {then:%b %Y, %H:%M:%S %Z}"

    def zone_words(self) -> str:
        """The zone's short name now."""
        return f"{self.local(self.now):%Z}"

    def _twice(self, then: datetime) -> bool:
        """Whether the clock shows this local time twice that night."""
        first, second = then.replace(fold=0).utcoffset(), then.replace(fold=1).utcoffset()
        return first is not None and second is not None and first > second
