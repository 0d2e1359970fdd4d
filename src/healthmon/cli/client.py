"""The API as the command line uses it: one request a call, errors in words."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from healthmon.model.errors import ConfigError, Conflict, HealthmonError, NotAllowed, NotFound


@dataclass(frozen=True, slots=True)
class Client:
    """base like http://127.0.0.1:8470; the token is read from the file the server made."""

    base: str
    token_file: Path

    @classmethod
    def of(cls, site: Any, url: str | None) -> Client:
        """The server of this configuration, or the one at `url`."""
        web = site.web
        scheme = "https" if web.tls_cert_file else "http"
        host = "127.0.0.1" if web.host in ("0.0.0.0", "::", "") else web.host
        return cls((url or f"{scheme}://{host}:{web.port}").rstrip("/"), web.token_file)

    def get(self, path: str) -> Any:
        return self._call("GET", path, None)

    def text(self, path: str) -> str:
        """What is not JSON."""
        return self._answer("GET", path, None).decode()

    def items(self, path: str) -> list[dict[str, Any]]:
        """Every page of a list."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.get(f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
            found += page["items"]
            if not page.get("next"):
                return found
            cursor = f"&cursor={page['next']}"

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            return json.loads(self._answer(method, path, body) or b"null")
        except ValueError as error:
            raise HealthmonError(f"what answers at {self.base} is not a healthmon server") from error

    def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> bytes:
        request = urllib.request.Request(f"{self.base}/api/v1/{path}", method=method)
        request.add_header("Content-Type", "application/json")
        if self.token_file.exists():
            request.add_header("Authorization", f"Bearer {self.token_file.read_text().strip()}")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=15) as response:
                found: bytes = response.read()
                return found
        except urllib.error.HTTPError as error:
            raise _problem(error) from None
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            raise HealthmonError(f"no healthmon server answers at {self.base}: {error}") from None


def _problem(error: urllib.error.HTTPError) -> HealthmonError:
    """RFC 9457 problem details as an exception."""
    try:
        problem = dict(json.loads(error.read()))
        text = problem.get("detail") or problem.get("title") or str(error)
    except (ValueError, TypeError):
        problem, text = {}, str(error)
    if str(problem.get("type", "")).endswith(":bad-config"):
        return ConfigError([f"{one['field']}: {one['message']}" for one in problem.get("errors", ())] or [text])
    kind = {401: NotAllowed, 403: NotAllowed, 404: NotFound, 409: Conflict, 400: Conflict, 422: Conflict}
    return kind.get(error.code, HealthmonError)(f"{text} (HTTP {error.code})")
