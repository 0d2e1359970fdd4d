"""OAuth 2.0 client credentials (RFC 6749 section 4.4): a token, kept until shortly before its end."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote, urlencode

from healthmon.model.ports import Sight
from healthmon.model.sample import Reason
from healthmon.probes.http_json import decode
from healthmon.probes.http_params import ClientParams
from healthmon.probes.http_wire import Head
from healthmon.probes.reasons import Finding

#: Unless the server says how long a token lives.
_DEFAULT_LIFE_S = 300.0
_MARGIN_S = 30.0
_MOST = 1000

#: (token url, client, scopes, further parameters) -> token and the monotonic second at which it is too old
Tokens = dict[tuple[object, ...], tuple[str, float]]
Post = Callable[[dict[str, str], bytes], Awaitable[tuple[Head, bytes]]]


def key_of(params: ClientParams) -> tuple[object, ...]:
    """What a token is good for."""
    further = tuple(sorted(params.oauth_params.items()))
    secret = params.oauth_client_secret_file
    return (params.oauth_token_url, params.oauth_client_id, secret, params.oauth_scopes, further)


async def bearer(params: ClientParams, tokens: Tokens, sight: Sight, post: Post) -> str:
    """A token that is good now, asked for by `post(headers, body)` when there is none. Raises Finding."""
    now = sight.clock.mono()
    kept = tokens.get(key_of(params))
    if kept is not None and kept[1] > now:
        return kept[0]
    head, body = await post(*_request(params))
    token, life_s = _read(head, body)
    if len(tokens) >= _MOST:
        tokens.clear()
    tokens[key_of(params)] = (token, now + max(0.0, life_s - min(_MARGIN_S, life_s / 2.0)))
    return token


def _request(params: ClientParams) -> tuple[dict[str, str], bytes]:
    assert params.oauth_client_id is not None
    assert params.oauth_client_secret_file is not None
    secret = Path(params.oauth_client_secret_file).read_text().rstrip("\r\n")
    form = {"grant_type": "client_credentials"} | params.oauth_params
    if params.oauth_scopes:
        form["scope"] = " ".join(params.oauth_scopes)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if params.oauth_client_auth == "form":
        form |= {"client_id": params.oauth_client_id, "client_secret": secret}
    else:  # section 2.3.1: both are form-encoded before they are joined
        pair = f"{quote(params.oauth_client_id, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return headers, urlencode(form).encode()


def _read(head: Head, body: bytes) -> tuple[str, float]:
    if head.status in (400, 401, 403):
        raise Finding(Reason.AUTH_FAILED, f"the token service refused the client ({head.status})")
    if head.status != 200:
        raise Finding(Reason.BAD_STATUS, f"the token service answered {head.status}")
    try:
        found = decode(body)
        token, life_s = found["access_token"], float(found.get("expires_in") or _DEFAULT_LIFE_S)
    except (ValueError, KeyError, TypeError, AttributeError):
        token, life_s = None, 0.0
    if not isinstance(token, str) or not token or any(ord(char) <= 0x20 or ord(char) >= 0x7F for char in token):
        raise Finding(Reason.BAD_RESPONSE, "the token service gave no token")
    return token, life_s
