"""The web block: listen address split, files beside the configuration, the ways to sign in."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from healthmon.config.blocks import secret_of
from healthmon.config.checks import beside
from healthmon.config.site import OidcConfig, ProxyConfig, SignInConfig, User, WebConfig
from healthmon.config.webforms import OidcForm
from healthmon.config.written import Written

LIFE_LEAST_S = 300.0
LIFE_MOST_S = 7 * 86400.0


def web_of(written: Written, data_dir: Path) -> WebConfig:
    """Everything under `web`."""
    form = written.web
    host, _, port = form.listen.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 65536:
        written.validator.problem(("web", "listen"), f"'{form.listen}' is not an address and port (allowed: host:port)")
        host, port = "127.0.0.1", "8470"
    token = beside(written.document, ("web", "token_file"), form.token_file) if form.token_file else data_dir / "token"
    tls: dict[str, Path] = {}
    if form.tls:
        for name in ("cert_file", "key_file"):
            tls[f"tls_{name}"] = beside(written.document, ("web", "tls", name), getattr(form.tls, name))
    return WebConfig(
        token_file=token,
        host=host.strip("[]"),
        port=int(port),
        anonymous=form.anonymous,
        ward_networks=tuple(form.ward_networks),
        trusted_proxies=tuple(form.trusted_proxies),
        users=tuple(User(user.id, user.name, user.email, user.role) for user in form.users),
        sign_in=sign_in_of(written),
        **tls,
    )


def sign_in_of(written: Written) -> SignInConfig:
    """Roles, sessions, and the ways in beside the site's token."""
    form = written.web
    if not LIFE_LEAST_S <= form.sessions.life <= LIFE_MOST_S:
        written.validator.problem(("web", "sessions", "life"), "must be 5m to 7d")
    if form.sessions.idle < LIFE_LEAST_S:
        written.validator.problem(("web", "sessions", "idle"), "must be at least 5m")
    proxy = None
    if form.proxy:
        if not form.trusted_proxies:
            written.validator.problem(("web", "proxy"), "needs `trusted_proxies`: anybody could say to be anybody")
        proxy = ProxyConfig(form.proxy.user_header, form.proxy.name_header, form.proxy.groups_header)
    return SignInConfig(
        groups=dict(form.groups),
        default_role=form.default_role,
        life_s=form.sessions.life,
        idle_s=form.sessions.idle,
        proxy=proxy,
        oidc=oidc_of(written, form.oidc) if form.oidc else None,
    )


def oidc_of(written: Written, form: OidcForm) -> OidcConfig:
    """The provider. Codes and secrets go to it, so it must be TLS, except on this machine."""
    path = ("web", "oidc")
    parts = urlsplit(form.issuer)
    if parts.scheme != "https" and not on_this_machine(parts.hostname or ""):
        written.validator.problem((*path, "issuer"), f"'{form.issuer}' must begin with https://")
    if "openid" not in form.scopes:
        written.validator.problem((*path, "scopes"), "must hold `openid`")
    return OidcConfig(
        issuer=form.issuer,
        client_id=form.client_id,
        client_secret=secret_of(written, form, "client_secret", path),
        label=form.label,
        scopes=tuple(form.scopes),
        user_claim=form.user_claim,
        name_claim=form.name_claim,
        groups_claim=form.groups_claim,
        ca_file=beside(written.document, (*path, "ca_file"), form.ca_file) if form.ca_file else None,
    )


def on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
