"""blackbox_exporter's `http` and `tls_config` in the words of our http check."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from healthmon.config.problems import allowed, did_you_mean
from healthmon.config.validation import Validator
from healthmon.config.yamlnodes import DataPath

#: It sets no limit to a body; ours is the highest there is.
MOST_BODY_BYTES = 64 * 1024 * 1024
_SIZE = re.compile(r"(\d+)\s*(B|KB|KiB|MB|MiB|GB|GiB)?")
_UNITS = {"B": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_TLS = {"TLS10": "1.0", "TLS11": "1.1", "TLS12": "1.2", "TLS13": "1.3"}


class Refused(Exception):
    """A key that is understood and not honoured."""

    def __init__(self, why: str, path: DataPath) -> None:
        super().__init__(why)
        self.path = path


class Section:
    """A mapping of the file whose keys are taken one by one; what is left at the end is unknown."""

    def __init__(self, validator: Validator, path: DataPath, data: Any) -> None:
        self.validator = validator
        self.path = path
        self._data: dict[str, Any] = data if isinstance(data, dict) else {}
        self._known: list[str] = []
        if data is not None and not isinstance(data, dict):
            validator.problem(path, "must be a mapping")

    def take(self, name: str, kind: type | tuple[type, ...]) -> Any:
        """The value, or None when it is absent or (noted) of another type."""
        self._known.append(name)
        value = self._data.get(name)
        if value is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
            return value
        self.wrong(name, f"{value!r} is of another type than there")
        return None

    def inner(self, name: str) -> Section:
        """A mapping inside; empty when it is absent."""
        self._known.append(name)
        return Section(self.validator, (*self.path, name), self._data.get(name))

    def wrong(self, name: str | None, message: str) -> None:
        """Note a problem at a key, or at the mapping itself."""
        self.validator.problem(self.path if name is None else (*self.path, name), message)

    def refuse(self, name: str, why: str) -> None:
        """Raises Refused when the key is there and not false or empty."""
        self._known.append(name)
        if self._data.get(name):
            raise Refused(f"{name}: {why}", (*self.path, name))

    def end(self) -> None:
        """Note every key that nobody took."""
        for name in self._data:
            if name not in self._known:
                hint = did_you_mean(str(name), self._known)
                self.validator.problem((*self.path, name), f"unknown key{hint}{allowed(self._known)}", key=True)

    def file(self, name: str) -> str | None:
        """A file name, relative to the file in which it stands."""
        value = self.take(name, str)
        return None if not value else str(Path(self.validator.document.folder(self.path)) / value)

    def content(self, name: str, file: str) -> str:
        """What a file holds, without the line end; one that cannot be read is noted."""
        whole = Path(self.validator.document.folder(self.path)) / file
        try:
            return whole.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            self.wrong(name, f"'{file}' cannot be read")
            return ""


def tls_params(section: Section) -> dict[str, Any]:
    """`tls_config`."""
    tls = section.inner("tls_config")
    params: dict[str, Any] = {name: tls.file(name) for name in ("ca_file", "cert_file", "key_file")}
    params["server_name"] = tls.take("server_name", str)
    for name in ("min_version", "max_version"):
        version = tls.take(name, str)
        if version and version not in _TLS:
            tls.wrong(name, f"'{version}' is no version{allowed(_TLS)}")
        params[name] = _TLS.get(version or "")
    if tls.take("insecure_skip_verify", bool):
        params["verify"] = False
    for name in ("ca", "cert", "key"):
        tls.refuse(name, f"write it into a file and say {name}_file")
    tls.end()
    return {name: value for name, value in params.items() if value not in (None, "")}


def http_params(section: Section) -> dict[str, Any]:
    """`http`."""
    section.refuse("enable_http3", "HTTP/3 is not spoken")
    section.take("enable_http2", bool)  # HTTP/1.1 is spoken either way
    for name in ("fail_if_body_json_matches_cel", "fail_if_body_json_not_matches_cel"):
        section.refuse(name, "CEL is not spoken; write a check with json_path or json_compare")
    params: dict[str, Any] = {
        "statuses": section.take("valid_status_codes", list) or ["2xx"],
        "http_versions": section.take("valid_http_versions", list) or [],
        "method": section.take("method", str) or "GET",
        "follow_redirects": section.take("follow_redirects", bool) is not False,
        "max_redirects": 10,
        "compression": _compression(section),
        "max_body_bytes": _size(section),
        "body": section.take("body", str),
        "body_file": section.file("body_file"),
        "body_regex": section.take("fail_if_body_not_matches_regexp", list),
        "body_not_regex": section.take("fail_if_body_matches_regexp", list),
        **_tls_wanted(section),
        **_headers_wanted(section),
        **tls_params(section),
        **_proxy(section),
        **_token(section),
    }
    headers = _headers(section)
    params |= _who(section, headers)
    host = [headers.pop(name) for name in list(headers) if name.lower() == "host"]
    params |= {"headers": headers, "host": host[-1] if host else None}
    return {name: value for name, value in params.items() if value not in (None, "")}


def _compression(section: Section) -> str:
    coding = section.take("compression", str) or "identity"
    if coding == "br":
        raise Refused("compression: br is not unpacked (gzip and deflate are)", (*section.path, "compression"))
    return str(coding)


def _size(section: Section) -> int:
    written = section.take("body_size_limit", (str, int))
    if not written:
        return MOST_BODY_BYTES
    found = _SIZE.fullmatch(str(written))
    if found is None:
        section.wrong("body_size_limit", f"'{written}' is no size (allowed: 10MB, 512KB, a number of bytes)")
        return MOST_BODY_BYTES
    return min(MOST_BODY_BYTES, int(found[1]) * _UNITS[(found[2] or "B")[0]])


def _tls_wanted(section: Section) -> dict[str, Any]:
    never, always = section.take("fail_if_ssl", bool), section.take("fail_if_not_ssl", bool)
    return {"tls": "forbidden" if never else "required" if always else "any"}


def _headers_wanted(section: Section) -> dict[str, Any]:
    """There a header that is missing fails both lists, unless `allow_missing` is said."""
    wanted: dict[str, list[str]] = {}
    unwanted: dict[str, list[str]] = {}
    needed: set[str] = set()
    for key, found in (("fail_if_header_not_matches", wanted), ("fail_if_header_matches", unwanted)):
        for number, entry in enumerate(section.take(key, list) or ()):
            part = Section(section.validator, (*section.path, key, number), entry)
            name, pattern = part.take("header", str) or "", part.take("regexp", str) or ""
            if not part.take("allow_missing", bool):
                needed.add(name)
            part.end()
            found.setdefault(name, []).append(pattern)
    for name in needed:
        wanted.setdefault(name, [""])
    return {
        "header_regex": {name: _all_of(patterns) for name, patterns in wanted.items()},
        "header_not_regex": {name: "|".join(f"(?:{one})" for one in patterns) for name, patterns in unwanted.items()},
        "headers_may_miss": [name for name in wanted if name not in needed],
    }


def _all_of(patterns: list[str]) -> str:
    return patterns[0] if len(patterns) == 1 else "".join(f"(?=[\\s\\S]*?(?:{one}))" for one in patterns)


def _headers(section: Section) -> dict[str, str]:
    headers = {str(name): str(value) for name, value in (section.take("headers", dict) or {}).items()}
    for name, given in (section.take("http_headers", dict) or {}).items():
        part = Section(section.validator, (*section.path, "http_headers", name), given)
        lists = {kind: part.take(kind, list) or [] for kind in ("values", "secrets", "files")}
        part.end()
        texts = [*lists["values"], *lists["secrets"], *(part.content("files", file) for file in lists["files"])]
        if texts:
            headers[str(name)] = str(texts[-1])
    return headers


def _who(section: Section, headers: dict[str, str]) -> dict[str, Any]:
    """Credentials: those in files are read at each look, those in the module file become a header."""
    basic, other = section.inner("basic_auth"), section.inner("authorization")
    user, user_file = basic.take("username", str), basic.take("username_file", str)
    password, password_file = basic.take("password", str), basic.file("password_file")
    basic.end()
    user = basic.content("username_file", user_file) if user_file else user
    kind = other.take("type", str) or "Bearer"
    token, token_file = other.take("credentials", str), other.take("credentials_file", str)
    other.end()
    bearer, bearer_file = section.take("bearer_token", str), section.file("bearer_token_file")
    if token_file:
        token = other.content("credentials_file", token_file)
    if user and password_file:
        return {"user": user, "password_file": password_file}
    if user is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password or ''}".encode()).decode()
    elif token or bearer:
        headers["Authorization"] = f"{kind} {token or bearer}"
    return {"bearer_file": bearer_file}


def _proxy(section: Section) -> dict[str, Any]:
    headers = section.take("proxy_connect_header", dict) or {}
    return {
        "proxy": section.take("proxy_url", str),
        "no_proxy": [one.strip() for one in (section.take("no_proxy", str) or "").split(",") if one.strip()],
        "proxy_from_environment": section.take("proxy_from_environment", bool) or False,
        "proxy_headers": {str(name): str(values[-1]) for name, values in headers.items() if values},
        "proxy_resolves": section.take("skip_resolve_phase_with_proxy", bool) or False,
    }


def _token(section: Section) -> dict[str, Any]:
    part = section.inner("oauth2")
    for name in ("client_secret", "tls_config", "proxy_url", "no_proxy", "proxy_from_environment"):
        part.refuse(name, "write the secret into a file" if name == "client_secret" else "only that of the module")
    more = {str(name): str(value) for name, value in (part.take("endpoint_params", dict) or {}).items()}
    found = {
        "oauth_client_id": part.take("client_id", str),
        "oauth_client_secret_file": part.file("client_secret_file"),
        "oauth_token_url": part.take("token_url", str),
        "oauth_scopes": part.take("scopes", list),
        "oauth_params": more,
    }
    part.end()
    return {name: value for name, value in found.items() if value}
