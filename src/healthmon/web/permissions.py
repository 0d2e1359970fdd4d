"""Who may do what: one row for every route and method; a route without a row is refused."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person holds, or what a route asks for. Of the last four, each holds those before it."""

    PUBLIC = "public"  #: nobody has to say who they are
    WARD = "ward report"  #: `web.ward_networks`, or whoever may view
    CARRIED = "ack token"  #: the handler checks what the request carries: a link's token, a signature
    VIEW = "view"
    ACT = "act"
    SILENCE = "silence"
    CONFIGURE = "configure"

    def holds(self, asked: Role) -> bool:
        """Whether a person of this role may do what asks for `asked`."""
        if asked not in LADDER:
            return True
        return self in LADDER and LADDER.index(self) >= LADDER.index(asked)


#: The roles that people and tokens can have, weakest first.
LADDER = (Role.VIEW, Role.ACT, Role.SILENCE, Role.CONFIGURE)

#: `METHOD PATH` as the router writes it; HEAD is as GET. A path that no row names asks for `configure` and is refused.
TABLE: dict[str, Role] = {
    # the machine itself
    "GET /api/v1/health": Role.PUBLIC,
    "GET /static/{name}": Role.PUBLIC,
    "GET /login": Role.PUBLIC,
    "GET /login/oidc": Role.PUBLIC,
    "GET /login/oidc/callback": Role.PUBLIC,
    "POST /login": Role.PUBLIC,
    "POST /logout": Role.PUBLIC,
    "GET /metrics": Role.VIEW,
    "GET /probe": Role.VIEW,
    # what carries its own permission
    "GET /ack/{token}": Role.CARRIED,
    "POST /ack/{token}": Role.CARRIED,
    "GET /api/v1/ack/{token}": Role.CARRIED,
    "POST /api/v1/ack/{token}": Role.CARRIED,
    "POST /api/v1/alerts/alertmanager": Role.CARRIED,
    "POST /api/v1/readings": Role.CARRIED,
    "POST /api/v1/replies/{channel}": Role.CARRIED,
    # pages
    "GET /": Role.VIEW,
    "GET /access": Role.CONFIGURE,
    "GET /agents": Role.VIEW,
    "GET /coverage": Role.VIEW,
    "GET /incident/{id}": Role.VIEW,
    "GET /ledger": Role.VIEW,
    "GET /links": Role.VIEW,
    "GET /map": Role.VIEW,
    "GET /mutes": Role.VIEW,
    "GET /readiness": Role.VIEW,
    "GET /standards": Role.VIEW,
    "GET /targets": Role.VIEW,
    # how IT was this shift: from the ward, without a login
    "GET /area/{id}/shift": Role.WARD,
    "POST /area/{id}/shift": Role.WARD,
    "POST /api/v1/shifts": Role.WARD,
    "GET /targets/{id}": Role.VIEW,
    # forms
    "POST /incident/{id}/ack": Role.ACT,
    "POST /incident/{id}/merge": Role.ACT,
    "POST /incident/{id}/mitigate": Role.ACT,
    "POST /incident/{id}/note": Role.ACT,
    "POST /incident/{id}/own": Role.ACT,
    "POST /incident/{id}/pass": Role.ACT,
    "POST /incident/{id}/reopen": Role.ACT,
    "POST /incident/{id}/resolve": Role.ACT,
    "POST /incident/{id}/split": Role.ACT,
    "POST /incident/{id}/unack": Role.ACT,
    "POST /probing/resume": Role.ACT,
    "POST /probing/stop": Role.ACT,
    # forms of silences; ending one only makes more pages, so who may act may do it
    "POST /mutes": Role.SILENCE,
    "POST /mutes/approvals/{id}": Role.SILENCE,
    "POST /mutes/changes": Role.SILENCE,
    "POST /mutes/{id}/end": Role.ACT,
    "POST /mutes/{id}/review": Role.SILENCE,
    # forms of access
    "POST /access/tokens": Role.CONFIGURE,
    "POST /access/tokens/{id}/revoke": Role.CONFIGURE,
    "POST /access/sessions/{id}/end": Role.CONFIGURE,
    # API: reading
    "GET /api/v1/agents": Role.VIEW,
    "GET /api/v1/alerts": Role.VIEW,
    "GET /api/v1/approvals": Role.VIEW,
    "GET /api/v1/areas": Role.VIEW,
    "GET /api/v1/areas/{id}": Role.VIEW,
    "GET /api/v1/changes": Role.VIEW,
    "GET /api/v1/changes/{id}": Role.VIEW,
    "GET /api/v1/coverage": Role.VIEW,
    "GET /api/v1/events": Role.VIEW,
    "GET /api/v1/impact": Role.VIEW,
    "GET /api/v1/incidents": Role.VIEW,
    "GET /api/v1/incidents/{id}": Role.VIEW,
    "GET /api/v1/incidents/{id}/explanation": Role.VIEW,
    "GET /api/v1/incidents/{id}/report": Role.VIEW,
    "GET /api/v1/ledger": Role.VIEW,
    "GET /api/v1/links": Role.VIEW,
    "GET /api/v1/drills": Role.VIEW,
    "GET /api/v1/drills/{id}": Role.VIEW,
    "GET /api/v1/notices": Role.VIEW,
    "GET /api/v1/notices/preview": Role.VIEW,
    "GET /api/v1/oncall": Role.VIEW,
    "GET /api/v1/oncall/{id}": Role.VIEW,
    "GET /api/v1/oncall/{id}/calendar": Role.VIEW,
    "GET /api/v1/openapi.json": Role.VIEW,
    "GET /api/v1/query": Role.VIEW,
    "GET /api/v1/readiness": Role.VIEW,
    "GET /api/v1/restore-order": Role.VIEW,
    "GET /api/v1/services": Role.VIEW,
    "GET /api/v1/services/{id}": Role.VIEW,
    "GET /api/v1/shifts": Role.VIEW,
    "GET /api/v1/silences": Role.VIEW,
    "GET /api/v1/silences/{id}": Role.VIEW,
    "GET /api/v1/standards": Role.VIEW,
    "GET /api/v1/targets": Role.VIEW,
    "GET /api/v1/targets/{id}": Role.VIEW,
    "GET /api/v1/why-not": Role.VIEW,
    # wards
    "GET /status": Role.PUBLIC,
    "GET /area/{id}": Role.WARD,
    "GET /area/{id}/events": Role.WARD,
    "POST /area/{id}/mark": Role.WARD,
    "POST /area/{id}/report": Role.WARD,
    "POST /area/{id}/works": Role.WARD,
    "POST /api/v1/reports": Role.WARD,
    "GET /api/v1/reports": Role.VIEW,
    "GET /api/v1/tickets": Role.VIEW,
    "POST /api/v1/tickets": Role.CARRIED,
    "GET /api/v1/papers/{kind}": Role.VIEW,
    "POST /api/v1/rung": Role.ACT,
    "GET /papers": Role.VIEW,
    "GET /papers/{kind}": Role.VIEW,
    "POST /rung": Role.ACT,
    # API: acting
    "POST /api/v1/incidents/{id}/ack": Role.ACT,
    "POST /api/v1/incidents/{id}/merge": Role.ACT,
    "POST /api/v1/incidents/{id}/mitigate": Role.ACT,
    "POST /api/v1/incidents/{id}/note": Role.ACT,
    "POST /api/v1/incidents/{id}/own": Role.ACT,
    "POST /api/v1/incidents/{id}/pass": Role.ACT,
    "POST /api/v1/incidents/{id}/reopen": Role.ACT,
    "POST /api/v1/incidents/{id}/resolve": Role.ACT,
    "POST /api/v1/incidents/{id}/split": Role.ACT,
    "POST /api/v1/incidents/{id}/unack": Role.ACT,
    "POST /api/v1/drills": Role.ACT,
    "POST /api/v1/drills/{id}/ack": Role.ACT,
    "POST /api/v1/notices/{key}/resend": Role.ACT,
    "POST /api/v1/oncall/overrides/{override}/end": Role.ACT,
    "POST /api/v1/oncall/{id}/overrides": Role.ACT,
    "POST /api/v1/oncall/{id}/swaps": Role.ACT,
    "POST /api/v1/probing/resume": Role.ACT,
    "POST /api/v1/probing/stop": Role.ACT,
    # API: holding pages back
    "POST /api/v1/approvals/{id}/approve": Role.SILENCE,
    "POST /api/v1/changes": Role.SILENCE,
    "POST /api/v1/changes/{id}/end": Role.ACT,
    "POST /api/v1/changes/{id}/extend": Role.SILENCE,
    "POST /api/v1/silences": Role.SILENCE,
    "POST /api/v1/silences/{id}/end": Role.ACT,
    "POST /api/v1/silences/{id}/extend": Role.SILENCE,
    "POST /api/v1/silences/{id}/review": Role.SILENCE,
    # API: access
    "GET /api/v1/audit": Role.CONFIGURE,
    "GET /api/v1/audit/check": Role.CONFIGURE,
    "GET /api/v1/me": Role.VIEW,
    "GET /api/v1/sessions": Role.CONFIGURE,
    "GET /api/v1/tokens": Role.CONFIGURE,
    "GET /api/v1/users": Role.CONFIGURE,
    "POST /api/v1/sessions/{id}/end": Role.CONFIGURE,
    "POST /api/v1/tokens": Role.CONFIGURE,
    "POST /api/v1/tokens/{id}/revoke": Role.CONFIGURE,
    # API: what healthmon itself is
    "POST /api/v1/links": Role.CONFIGURE,
    "POST /api/v1/reload": Role.CONFIGURE,
}


def asked(method: str, path: str) -> Role | None:
    """What a route asks for; None when the table does not name it."""
    return TABLE.get(f"{'GET' if method == 'HEAD' else method} {path}")
