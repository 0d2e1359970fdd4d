"""The written form of the web: where it listens, who may read, and the ways to sign in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from healthmon.config.forms import Form
from healthmon.config.scalars import Duration, Network, Url

RoleWord = Literal["view", "act", "silence", "configure"]


class TlsForm(Form):
    """Certificate and key of a listener, PEM."""

    cert_file: str
    key_file: str


class UserForm(Form):
    """The role of one person who signs in through a proxy or OpenID Connect; local users are in a file of their own."""

    id: str = Field(min_length=1, max_length=200, description="As the proxy or the provider names them")
    name: str
    email: str | None = None
    role: RoleWord | None = None


class SessionsForm(Form):
    """How long somebody stays signed in on the board."""

    life: Duration = Field(default=43200.0, description="At the most, 5 minutes to 7 days")
    idle: Duration = Field(default=3600.0, description="Without opening a page or acting")


class ProxyForm(Form):
    """A reverse proxy that signs people in and says who they are; needs `trusted_proxies`."""

    user_header: str = Field(description="Holds the user's id; refused from anybody who is no trusted proxy")
    name_header: str = Field(default="X-Remote-Name", description="Holds the name that people read")
    groups_header: str = Field(default="X-Remote-Groups", description="Holds groups with commas between")


class OidcForm(Form):
    """OpenID Connect: the authorisation code flow with PKCE."""

    issuer: Url = Field(description="`https://...`; read from `/.well-known/openid-configuration` under it")
    client_id: str
    client_secret: str | None = None
    client_secret_file: str | None = Field(default=None, description="None for a public client")
    label: str = Field(default="Sign in with the hospital's login", description="What the button says")
    scopes: list[str] = Field(default=["openid", "profile"])
    user_claim: str = Field(default="preferred_username", description="Holds the user's id; `sub` where it is missing")
    name_claim: str = "name"
    groups_claim: str = Field(default="groups", description="A list, or a text with commas between")
    ca_file: str | None = Field(default=None, description="The authority of the provider's certificate, PEM")


class WebForm(Form):
    """API, board and ward pages."""

    listen: str = Field(default="127.0.0.1:8470", description="Address and port; `[::]:8470` for IPv6")
    token_file: str | None = Field(
        default=None, description="Made at first start (mode 0600); default: in the data directory"
    )
    tls: TlsForm | None = None
    trusted_proxies: list[Network] = Field(default=[])
    anonymous: Literal["loopback", "never"] = Field(default="loopback", description="Who may read without a token")
    ward_networks: list[Network] = Field(default=[], description="Networks whose PCs see their ward page without login")
    users: list[UserForm] = Field(default=[])
    groups: dict[str, RoleWord] = Field(default={}, description="Role by group of a user, a proxy or a provider")
    default_role: RoleWord | None = Field(default=None, description="Of who signs in and has no other; none: refused")
    sessions: SessionsForm = SessionsForm()
    proxy: ProxyForm | None = None
    oidc: OidcForm | None = None
