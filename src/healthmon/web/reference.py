"""docs/api.md and docs/metrics.md, written from what the code serves; a test says when they are stale."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from healthmon.web.metrics import CORE, COUNTERS, SELF, Metric
from healthmon.web.openapi import PATHS, SCHEMAS

MADE = "<!-- Made by `python -m healthmon.web.reference docs`; do not edit here. -->\n"

API_HEAD = """# HTTP API

Base path `/api/v1`; the OpenAPI 3.1 description is served at `/api/v1/openapi.json`. JSON in and out, times in
RFC 3339 UTC, errors as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem details
(`application/problem+json`; `type` is `urn:healthmon:problem:WORD` and stable, `detail` is for people).

**Who may.** `GET health` and the links in messages (`ack/TOKEN`) need no login. Other reading is open to the
server's own machine (a loopback peer, a loopback `Host`, no forwarding header) unless `web.anonymous: never`;
everything else takes `Authorization: Bearer TOKEN` (the content of `web.token_file`) or the board's session cookie.
A session acts only from healthmon's own pages. Behind a reverse proxy, pass `Host` on unchanged or name the proxy in
`web.trusted_proxies`; what comes through a proxy is never anonymous.

**Lists** answer `{"items": [...], "next": CURSOR or null}`; take `limit` and `cursor`. Unknown parameters and unknown
body fields are errors that name what is allowed.

**Repeats.** A POST with `Idempotency-Key` acts once; a repeat within a day gets the first answer with
`Idempotent-Replayed: true`. The same key with another request is 422.

**Patient data.** Texts that look like it are refused (400, `urn:healthmon:problem:patient-data`), and nothing of them
is stored or logged.

```sh
curl -H "Authorization: Bearer $(cat web.token)" -H 'Content-Type: application/json' \\
     -d '{"by": "Duty engineer", "note": "looking"}' http://127.0.0.1:8470/api/v1/incidents/ID/ack
```
"""

EVENTS = """
## Events

`GET events` is a stream of server-sent events. `view` comes with every change, at most twice a second; its id is the
view's version, so a client that reconnects with `Last-Event-ID` misses nothing: it gets the present state unless it
has it. `health` comes every 3 seconds; a client that hears nothing for 10 seconds must call what it shows out of date.

```
id: 4711
event: view
data: {"version":4711,"at":"2026-11-22T14:05:00.000Z","status":"ok","mode":"live","probing":true,
       "engine_tick_age_s":0.4,"open":[{"id":"...","kind":"incident","state":"open","severity":1}],"changed":["..."]}
```
"""

METRICS_HEAD = """# Metrics

`GET /metrics` in the Prometheus text format, or OpenMetrics where the scraper asks for it. The same `Authorization`
as the API; from the server's own machine none is needed. Rendered at most once a second whoever scrapes.

A reading older than three of its intervals (at least 60 s; 300 s where the interval is not known) is left out: an old
value is not the present one. State sets (`..._state`, `..._outcome`, `..._status`) have exactly one series at 1; no
number orders `unknown` beside `ok`.
"""

METRICS_TAIL = """
## Readings

Every numeric field of every fresh reading is a series `healthmon_FAMILY_FIELD` with the labels `site, area, target,
kind, check, vantage` and the reading's own dimensions (`interface`, `mount`, `step` ...). Fields that end in `_total`
are counters, all others gauges; booleans are 0 and 1, texts are left out. A field whose name ends like a part of a
histogram (`_count`, `_sum`, `_bucket`) gets `_value` after it. At most 20,000 such series are exposed; what goes over
that is counted in `healthmon_exporter_series_dropped_total` (series are taken in the order of target, check and
vantage, so the same ones stay).

## Probing for Prometheus

`GET /probe?target=TARGET&module=MODULE` answers like blackbox_exporter (`probe_success`, `probe_duration_seconds`,
`probe_http_status_code` ...) for modules and networks that the configuration allows, on servers that offer it. When
the outcome is unknown, the answer is 503: the scrape fails and the target is not blamed.
"""


def api_reference() -> str:
    """docs/api.md."""
    lines = [MADE, API_HEAD, "\n## Routes\n\n| route | does | parameters or body |\n|---|---|---|\n"]
    for path, methods in PATHS.items():
        lines += [_route(path, method, found) for method, found in methods.items()]
    lines.append(EVENTS)
    lines.append("\n## Shapes\n\n")
    lines += [_shape(name, schema) for name, schema in SCHEMAS.items()]
    return "".join(lines)


def metrics_reference() -> str:
    """docs/metrics.md."""
    parts = [MADE, METRICS_HEAD]
    for title, metrics in (("The stable core", CORE), ("healthmon itself", SELF), ("Counters", COUNTERS)):
        parts.append(f"\n## {title}\n\n{_table(metrics)}")
    return "".join((*parts, METRICS_TAIL))


def _table(metrics: Iterable[Metric]) -> str:
    rows = (f"| `{m.name}` | {m.kind} | {', '.join(m.labels)} | {m.help} |\n" for m in metrics)
    return "| metric | kind | labels | meaning |\n|---|---|---|---|\n" + "".join(rows)


def _route(path: str, method: str, found: dict[str, Any]) -> str:
    names = [f"`{p['name']}`" for p in found.get("parameters", ()) if p["in"] == "query"]
    if "requestBody" in found:
        body = found["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        names = [f"[{body}](#{body.lower()})"]
    open_ = " (no login)" if found.get("security") == [] else ""
    return f"| `{method.upper()} {path}` | {found['summary']}{open_} | {', '.join(names)} |\n"


def _shape(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = (
        f"- `{field}`{' (required)' if field in required else ''}: {_words(kind)}\n"
        for field, kind in schema["properties"].items()
    )
    return f"### {name}\n\n{''.join(rows)}\n"


def _words(schema: dict[str, Any]) -> str:
    """A schema in words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_words(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_words(schema['items'])}" if "items" in schema else schema.get("description", "list")
    if schema.get("type") == "object" and schema.get("properties"):
        return "{" + ", ".join(schema["properties"]) + "}"
    return str(schema.get("format") or schema.get("type") or schema.get("description"))


if __name__ == "__main__":
    import sys
    from pathlib import Path

    folder = Path(sys.argv[1])
    (folder / "api.md").write_text(api_reference())
    (folder / "metrics.md").write_text(metrics_reference())
