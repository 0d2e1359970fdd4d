"""One visitor on the web: connects, asks, follows, remembers cookies, with every phase timed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from healthmon import __version__
from healthmon.model.ports import Sight
from healthmon.model.sample import Reason, Sample, Value
from healthmon.probes.address import Url, parse_url, redirected
from healthmon.probes.certificate import samples_of_peer, seconds_left
from healthmon.probes.connect import dial, of_version
from healthmon.probes.http_params import ClientParams
from healthmon.probes.http_wire import Head, Wire, request_bytes
from healthmon.probes.line import Line, StreamLine, open_line
from healthmon.probes.phases import Phases
from healthmon.probes.reasons import Finding
from healthmon.runtime.deadline import within

if TYPE_CHECKING:
    from socket import socket

    from healthmon.probes.http_cookies import Jar
    from healthmon.probes.http_oauth import Tokens

REDIRECTS = (301, 302, 303, 307, 308)
#: The only headers of ours that travel to another origin with a redirect.
_HARMLESS = frozenset({"accept", "accept-language", "user-agent"})
_LEAST_S = 0.01


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `headers` go to the home origin only, but for the harmless ones."""

    method: str
    url: Url
    headers: Mapping[str, str]
    body: bytes = b""
    follow: bool = True


class Client:
    """The state of one run. `home` is the origin that may see our credentials; `limit_s` bounds all phases together."""

    def __init__(
        self,
        params: ClientParams,
        sight: Sight,
        *,
        home: Url,
        limit_s: float,
        tokens: Tokens,
        basic: bool = True,
        discreet: bool = False,
    ) -> None:
        """basic: user and password as a header; discreet: the transcript shows hosts and no paths."""
        self.params = params
        self.phases = Phases(sight)
        self.fields: dict[str, Value] = {}
        self.certificate: list[Sample] = []
        self.first_to_end: list[Sample] = []  # of the certificates of all steps
        self.url: Url | None = None
        self.proxied = False
        self._sight = sight
        self._home = home
        self._limit_s = limit_s
        self._spent_s = 0.0
        self._tokens = tokens
        self._basic = basic
        self._discreet = discreet
        self._jar: Jar | None = None

    def next_step(self) -> None:
        """Time from here on is another step's; cookies and the limit go on."""
        self._spent_s += self.phases.total_s()
        self.phases = Phases(self._sight)
        self.fields = {}

    def total_s(self) -> float:
        """Seconds in all phases of all steps."""
        return self._spent_s + self.phases.total_s()

    def left_s(self) -> float:
        """Seconds until the limit, never nothing."""
        return max(_LEAST_S, self._limit_s - self.total_s())

    def extend(self, limit_s: float) -> None:
        """Another limit for all phases together."""
        self._limit_s = limit_s

    async def ask(self, request: Request) -> tuple[Head, bytes]:
        """The last answer, redirects followed. Raises OSError, Finding, Forbidden."""
        request = await self._authorised(request)
        for hop in range(self.params.max_redirects + 1):
            head, body = await self._once(request)
            self.fields |= {"status_code": float(head.status), "body_bytes": float(len(body)), "redirects": float(hop)}
            if not (request.follow and head.status in REDIRECTS and "location" in head.headers):
                return head, body
            request = self._following(request, head)
        raise Finding(Reason.BAD_RESPONSE, f"more than {self.params.max_redirects} redirects")

    def forget_token(self) -> None:
        """A token that the target refused is not used again."""
        if self.params.oauth_token_url is not None:
            from healthmon.probes.http_oauth import key_of

            self._tokens.pop(key_of(self.params), None)

    # one exchange

    def _following(self, request: Request, head: Head) -> Request:
        url = redirected(request.url, head.headers["location"])
        self._sight.trace(f"redirected to {self._shown(url)}")
        if head.status == 303 or (head.status in (301, 302) and request.method == "POST"):
            method = request.method if request.method == "HEAD" else "GET"
            return replace(request, url=url, method=method, body=b"", headers=_without_body(request.headers))
        if request.body and not url.same_origin(request.url):
            raise Finding(Reason.BAD_RESPONSE, f"redirected with a form to {url.scheme}://{url.authority}")
        return replace(request, url=url)

    async def _once(self, request: Request) -> tuple[Head, bytes]:
        self.url = request.url
        self._sight.trace(f"{request.method} {self._shown(request.url)}")
        proxy = self._proxy(request.url)
        if proxy is None:
            self.phases.enter("dns")
            addresses = of_version(
                await self._sight.resolve(request.url.host, request.url.port), self.params.ip_version
            )
            left_s = self.left_s()
            async with within(left_s, self._sight.clock):
                self.phases.enter("connect")
                sock, address = await dial(addresses, left_s, self._sight.clock)
                self._sight.trace(f"connected to {address.ip} port {address.port}")
                return await self._exchange(await self._secured(request.url, sock), request, None)
        from healthmon.probes.http_proxy import connect

        self.proxied = True
        left_s = self.left_s()
        async with within(left_s, self._sight.clock):
            streams = await connect(self.params, proxy, request.url, self._sight, self.phases, left_s)
            return await self._exchange(StreamLine(streams), request, proxy)

    def _shown(self, url: Url) -> str:
        return f"{url.scheme}://{url.authority}" if self._discreet else url.shown

    async def _secured(self, url: Url, sock: socket) -> Line:
        if url.scheme != "https":
            return await open_line(sock)
        self.phases.enter("tls")
        return await open_line(sock, self.params.trust(), self.params.server_name or url.host)

    async def _exchange(self, line: Line, request: Request, proxy: Url | None) -> tuple[Head, bytes]:
        try:
            self._certified(request.url, line)
            self.phases.enter("wait")
            line.write(self._bytes(request, proxy))
            wire = Wire(line)
            head = await wire.head()
            self.fields["status_code"] = float(head.status)
            self._sight.trace(f"status {head.status}")
            self.phases.enter("transfer")
            body = await wire.body(head, method=request.method, most_bytes=self.params.max_body_bytes)
            self.phases.enter("")
        finally:
            line.hang_up()
        self._remember(request.url, head)
        body = self._unpacked(head, body)
        self._sight.trace(f"body of {len(body)} bytes")
        return head, body

    def _certified(self, url: Url, line: Line) -> None:
        peer = line.peer
        if peer is not None and url.scheme == "https":
            now = self._sight.clock.now()
            self.certificate = samples_of_peer(peer, now, details=self.params.details)
            self.first_to_end = min(self.first_to_end or self.certificate, self.certificate, key=seconds_left)
            self._sight.trace(f"{peer.version()}, certificate verified: {self.params.verify}")

    def _remember(self, url: Url, head: Head) -> None:
        if head.cookies:
            if self._jar is None:
                from healthmon.probes.http_cookies import Jar

                self._jar = Jar()
            self._jar.take(url, head.cookies)

    def _unpacked(self, head: Head, body: bytes) -> bytes:
        coding = head.headers.get("content-encoding")
        if not coding or not body:
            return body
        from healthmon.probes.http_decode import decoded

        return decoded(coding, body, self.params.max_body_bytes)

    def _proxy(self, url: Url) -> Url | None:
        if self.params.proxy is None and not self.params.proxy_from_environment:
            return None
        from healthmon.probes.http_proxy import proxy_for

        return proxy_for(self.params, url)

    # what is sent

    def _bytes(self, request: Request, proxy: Url | None) -> bytes:
        url, params = request.url, self.params
        own = url.same_origin(self._home)
        headers = {
            "Host": params.host if params.host and own else url.authority,
            "User-Agent": f"healthmon/{__version__}",
            "Accept": "*/*",
            "Accept-Encoding": params.compression,
            "Connection": "close",
        }
        cookies = self._jar.header(url) if self._jar is not None else ""
        if cookies:
            headers["Cookie"] = cookies
        if proxy is not None and url.scheme == "http":
            from healthmon.probes.http_proxy import authorization

            headers |= authorization(params)
        given = {name: value for name, value in request.headers.items() if own or _travels(name, request)}
        known = {name.lower() for name in given}
        headers = {name: value for name, value in headers.items() if name.lower() not in known} | given
        if request.body or request.method == "POST":
            headers["Content-Length"] = str(len(request.body))
        target = f"http://{url.authority}{url.target}" if proxy is not None and url.scheme == "http" else url.target
        return request_bytes(request.method, target, headers, request.body)

    async def _authorised(self, request: Request) -> Request:
        """The request with our credentials, unless it brings its own."""
        params = self.params
        basic = params.user is not None and self._basic
        if not basic and params.bearer_file is None and params.oauth_token_url is None:
            return request
        if any(name.lower() == "authorization" for name in request.headers):
            return request
        if basic and params.password_file is not None:
            secret = Path(params.password_file).read_text().rstrip("\r\n")
            value = "Basic " + base64.b64encode(f"{params.user}:{secret}".encode()).decode()
        elif params.bearer_file is not None:
            value = "Bearer " + Path(params.bearer_file).read_text().strip()
        else:
            value = "Bearer " + await self._token()
        return replace(request, headers={"Authorization": value, **request.headers})

    async def _token(self) -> str:
        from healthmon.probes.http_oauth import bearer

        params = self.params
        assert params.oauth_token_url is not None
        url = parse_url(params.oauth_token_url)
        plain = replace(
            params,
            oauth_token_url=None,
            oauth_client_id=None,
            oauth_client_secret_file=None,
            host=None,
            server_name=None,
            headers={},
            compression="identity",
        )

        async def post(headers: dict[str, str], body: bytes) -> tuple[Head, bytes]:
            self._sight.trace("asking for a token")
            errand = Client(plain, self._sight, home=url, limit_s=self.left_s(), tokens={})
            self.phases.enter("token")
            try:
                return await errand.ask(Request("POST", url, headers, body, follow=False))
            except OSError as error:
                raise errand.errand_fault(error) from None

        return await bearer(params, self._tokens, self._sight, post)

    def errand_fault(self, error: OSError) -> Finding:
        """What went wrong on the way to the token service, in words."""
        fault = self.phases.fault_of(error, self._limit_s)
        return Finding(fault.reason, f"the token service: {fault.detail}")


def _travels(name: str, request: Request) -> bool:
    """Beside the harmless ones, the type of a body that a step sends somewhere on purpose."""
    return name.lower() in _HARMLESS or (bool(request.body) and name.lower() == "content-type")


def _without_body(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "content-type"}
