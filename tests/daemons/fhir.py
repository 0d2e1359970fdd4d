"""FHIR R4 servers on loopback: one of our own on aiohttp, and one on the framework node-fhir-server-core from npm.

Our own stands in for the large servers, which need a database or a Java machine; the framework's routing, headers and
capability statement were written by others: it guards against the two ends of our own making agreeing with each other.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from daemons.process import Daemon, free_port, listens, need, running

SYSTEM = "urn:example:healthmon"
SENTINEL = {"resourceType": "Patient", "id": "hm-1", "identifier": [{"system": SYSTEM, "value": "SENTINEL"}]}
CAPABILITY = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "fhirVersion": "4.0.1",
    "kind": "instance",
    "format": ["json"],
    "rest": [{"mode": "server", "resource": [{"type": "Patient", "interaction": [{"code": "read"}]}]}],
}


class Fhir:
    """What the server holds, and what was asked of it. `token`: the bearer token that it demands."""

    def __init__(self) -> None:
        self.capability: dict[str, Any] = dict(CAPABILITY)
        self.resources: list[dict[str, Any]] = [SENTINEL]
        self.token: str | None = None
        self.asked: list[str] = []
        self.connections: set[int] = set()
        self.close_each = False

    async def answer(self, request: web.Request) -> web.Response:
        """One request."""
        self.asked.append(f"{request.method} {request.path_qs}")
        self.connections.add(id(request.transport))
        response = self._answer(request)
        if self.close_each:
            response.force_close()
        return response

    def _answer(self, request: web.Request) -> web.Response:
        parts = request.path.removeprefix("/fhir/").split("/")
        if parts == ["metadata"]:
            return _json(200, self.capability)
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return outcome(401, "error", "login", "the token of Jane Canary is not valid")
        if len(parts) == 1:
            return self._search(parts[0], request)
        found = [one for one in self.resources if [one["resourceType"], one["id"]] == parts]
        return _json(200, found[0]) if found else outcome(404, "error", "not-found", f"no {'/'.join(parts)}")

    def _search(self, kind: str, request: web.Request) -> web.Response:
        system, _, value = request.query.get("identifier", "").partition("|")
        wanted = {"system": system, "value": value}
        found = [one for one in self.resources if one["resourceType"] == kind and wanted in one["identifier"]]
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        if request.query.get("_summary") != "count":
            bundle["entry"] = [{"resource": one} for one in found]
        return _json(200, bundle)


def outcome(status: int, severity: str, code: str, text: str) -> web.Response:
    """An OperationOutcome with texts that nobody should repeat."""
    issue = {"severity": severity, "code": code, "diagnostics": text, "details": {"text": text}}
    return _json(status, {"resourceType": "OperationOutcome", "issue": [issue]})


def _json(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=json.dumps(body), content_type="application/fhir+json")


@asynccontextmanager
async def own_fhir(fhir: Fhir, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Our own server; gives its base URL."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", fhir.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/fhir"
    finally:
        await runner.cleanup()


_SERVER_JS = """\
const core = require('@asymmetrik/node-fhir-server-core');
const config = { profiles: { Patient: { service: process.argv[3], versions: ['4_0_0'] } } };
core.initialize(config).listen(Number(process.argv[2]), '127.0.0.1');
"""
_SERVICE_JS = """\
const schemas = '@asymmetrik/node-fhir-server-core/dist/server/resources/4_0_0/schemas/';
const Patient = require(schemas + 'patient');
const Bundle = require(schemas + 'bundle');
const patients = PATIENTS;
module.exports.search = async (args, { req }) => {
  const wanted = req.query.identifier;
  const found = patients.filter(one => one.identifier.some(i => i.system + '|' + i.value === wanted));
  return new Bundle({ type: 'searchset', total: found.length });
};
module.exports.searchById = async ({ id }) => {
  const found = patients.find(one => one.id === id);
  return found ? new Patient(found) : null;
};
"""


@contextmanager
def node_fhir(folder: Path) -> Iterator[str]:
    """The npm framework with our sentinel in it; gives its base URL."""
    modules = os.environ.get("HEALTHMON_TEST_NODE_MODULES", "")
    if not Path(modules, "@asymmetrik/node-fhir-server-core").is_dir():
        pytest.skip("HEALTHMON_TEST_NODE_MODULES names no node_modules with @asymmetrik/node-fhir-server-core")
    server, service, port = folder / "server.js", folder / "service.js", free_port()
    server.write_text(_SERVER_JS)
    service.write_text(_SERVICE_JS.replace("PATIENTS", json.dumps([SENTINEL])))
    argv = [need("env"), f"NODE_PATH={modules}", need("node"), str(server), str(port), str(service)]
    with running(Daemon(argv, ready=listens(port), log=folder / "node.log")):
        yield f"http://127.0.0.1:{port}/4_0_0"
