"""OpenID Connect: the authorisation code flow with PKCE, state and nonce; keys and tokens are checked by joserfc."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from healthmon.model.ports import Clock
from healthmon.web.oidcsignin import ProviderDown, ProviderRefused
from healthmon.web.session import Identity
from healthmon.web.settings import Oidc

#: Only signatures by the provider's private key; a shared secret or none at all is refused.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
PENDING_MOST = 1000
PENDING_S = 600.0
KEPT_S = 3600.0
ASK_AGAIN_S = 30.0  # an unknown key is asked for at most so often
ANSWER_MOST_BYTES = 256 * 1024
LEEWAY_S = 60


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in under way. browser: what only the browser that began it holds."""

    nonce: str
    verifier: str
    browser: str
    following: str
    redirect_uri: str
    at: float


class Provider:
    """One OpenID provider. Nothing is asked of it before somebody wants to sign in."""

    def __init__(self, config: Oidc, clock: Clock) -> None:
        self.config = config
        self._clock = clock
        self._pending: OrderedDict[str, Pending] = OrderedDict()
        self._found: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._tls = ssl.create_default_context(cafile=config.ca_file) if config.ca_file else None

    async def begin(self, *, following: str, redirect_uri: str) -> tuple[str, str]:
        """(where to send the browser, what it must hold when it comes back). Raises ProviderDown."""
        places = await self.places()
        state, nonce, verifier, browser = (secrets.token_urlsafe(32) for _ in range(4))
        self._pending[state] = Pending(nonce, verifier, browser, following, redirect_uri, self._clock.mono())
        while len(self._pending) > PENDING_MOST:
            self._pending.popitem(last=False)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self.config.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.config.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in places["authorization_endpoint"] else "?"
        return f"{places['authorization_endpoint']}{joint}{urlencode(asked)}", browser

    async def finish(self, query: Mapping[str, str], *, browser: str) -> tuple[Identity, str]:
        """Who came back, and where they wanted to go. Raises ProviderDown, ProviderRefused."""
        pending = self._pending.pop(query.get("state", ""), None)
        if pending is None or self._clock.mono() - pending.at > PENDING_S:
            raise ProviderRefused("this sign-in was not begun here, or took too long")
        if not secrets.compare_digest(pending.browser.encode(), browser.encode()):
            raise ProviderRefused("this sign-in was begun in another browser")
        if "code" not in query:
            raise ProviderRefused("the login provider did not let you in")
        tokens = await self._redeem(query["code"], pending)
        claims = await self._claims(str(tokens.get("id_token", "")), pending.nonce)
        claims |= await self._more(claims, str(tokens.get("access_token", "")))
        return self.identity(claims), pending.following

    def identity(self, claims: Mapping[str, Any]) -> Identity:
        """The person that claims name."""
        config = self.config
        user = str(claims.get(config.user_claim) or claims["sub"]).strip()[:200]
        name = " ".join(str(claims.get(config.name_claim) or user).split())[:80]
        given = claims.get(config.groups_claim, ())
        groups = given.split(",") if isinstance(given, str) else given if isinstance(given, list | tuple) else ()
        return Identity(name, "oidc", user, tuple(str(group).strip() for group in groups)[:500])

    async def places(self) -> dict[str, Any]:
        """What discovery says; it must speak of the issuer that was asked."""
        if self._found and self._clock.mono() - self._found[0] < KEPT_S:
            return self._found[1]
        url = f"{self.config.issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await self._json("GET", url)
        wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if found.get("issuer") != self.config.issuer or not all(isinstance(found.get(name), str) for name in wanted):
            raise ProviderDown("discovery answers for another issuer, or not in full")
        self._found = (self._clock.mono(), found)
        return found

    async def _redeem(self, code: str, pending: Pending) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.verifier,
            "client_id": self.config.client_id,
        }
        headers = {}
        if self.config.client_secret:
            pair = f"{quoted(self.config.client_id)}:{quoted(self.config.client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return await self._json("POST", (await self.places())["token_endpoint"], data=form, headers=headers)

    async def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token, once its signature, issuer, audience, nonce and times are right."""
        try:
            found = jwt.decode(token, await self._key_set(), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            try:  # the provider may have changed its keys
                found = jwt.decode(token, await self._key_set(fresh=True), algorithms=ALGORITHMS)
            except (JoseError, ValueError) as error:
                raise ProviderRefused("the login provider's word is not signed as it should be") from error
        rules = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock.now()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.config.issuer},
            aud={"essential": True, "value": self.config.client_id},
            nonce={"essential": True, "value": nonce},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            rules.validate(found.claims)
        except JoseError as error:
            raise ProviderRefused("the login provider's word is late, or for somebody else") from error
        if "azp" in found.claims and found.claims["azp"] != self.config.client_id:
            raise ProviderRefused("the login provider's word is for somebody else")
        return dict(found.claims)

    async def _more(self, claims: Mapping[str, Any], access_token: str) -> dict[str, Any]:
        """What the provider tells only at its userinfo endpoint, where a claim is missing."""
        wanted = (self.config.user_claim, self.config.name_claim, self.config.groups_claim)
        endpoint = (await self.places()).get("userinfo_endpoint")
        if all(name in claims for name in wanted) or not endpoint or not access_token:
            return {}
        found = await self._json("GET", str(endpoint), headers={"Authorization": f"Bearer {access_token}"})
        if found.get("sub") != claims["sub"]:
            raise ProviderRefused("the login provider speaks of two people")
        return {name: found[name] for name in wanted if name in found and name not in claims}

    async def _key_set(self, *, fresh: bool = False) -> KeySet:
        now = self._clock.mono()
        age = now - self._keys[0] if self._keys else KEPT_S
        if self._keys and (age < ASK_AGAIN_S or (age < KEPT_S and not fresh)):
            return self._keys[1]
        found = await self._json("GET", (await self.places())["jwks_uri"])
        try:
            self._keys = (now, KeySet.import_key_set(found))  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderDown("the login provider gives no keys") from error
        return self._keys[1]

    async def _json(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """One answer of the provider. Redirects are not followed: what is sent may be a secret."""
        timeout = aiohttp.ClientTimeout(total=10)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, url, ssl=self._tls or True, allow_redirects=False, **more) as answer,
            ):
                body = await answer.content.read(ANSWER_MOST_BYTES)
                if answer.status == 400 or answer.status == 401:
                    raise ProviderRefused("the login provider refused the sign-in")
                if answer.status != 200:
                    raise ProviderDown(f"the login provider answers {answer.status}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderDown(f"the login provider cannot be reached ({type(error).__name__})") from error
        return parsed(body)


def parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise ProviderDown("the login provider's answer is not JSON") from error
    if not isinstance(found, dict):
        raise ProviderDown("the login provider's answer is no object")
    return found


def quoted(text: str) -> str:
    """As RFC 6749 2.3.1 wants the parts of HTTP Basic."""
    return quote(text, safe="")
