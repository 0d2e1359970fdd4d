"""Simulated servers on real sockets: a patient record with HTML and FHIR, and plain TCP services with a banner."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Mood:
    """How a server feels: each answer takes `delay_s`; when not `healthy` it answers 503."""

    delay_s: float = 0.02
    healthy: bool = True


class PatientRecord:
    """An EHR front end: `/health`, a login page, `/fhir/metadata` and a search for the test patient."""

    def __init__(self) -> None:
        self.mood = Mood()
        self._runner: Any = None

    async def start(self, *, host: str, port: int) -> int:
        """Listen; the port that was bound."""
        from aiohttp import web

        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/", self._login)
        app.router.add_get("/fhir/metadata", self._metadata)
        app.router.add_get("/fhir/Patient", self._search)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=512)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _answer(self, body: Any) -> Any:
        from aiohttp import web

        await asyncio.sleep(self.mood.delay_s)
        if not self.mood.healthy:
            return web.json_response({"status": "unavailable"}, status=503)
        if isinstance(body, str):
            return web.Response(text=body, content_type="text/html")
        return web.json_response(body)

    async def _health(self, request: Any) -> Any:
        return await self._answer({"status": "ok"})

    async def _login(self, request: Any) -> Any:
        page = "<!doctype html><title>Patient record</title><form method=post action=/login>Sign in</form>"
        return await self._answer(page)

    async def _metadata(self, request: Any) -> Any:
        return await self._answer({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "status": "active"})

    async def _search(self, request: Any) -> Any:
        return await self._answer({"resourceType": "Bundle", "type": "searchset", "total": 1, "entry": []})


class BannerService:
    """A TCP service that greets: a database listener, a laboratory system, a print server."""

    def __init__(self, banner: str) -> None:
        self.banner = banner
        self.mood = Mood(delay_s=0.0)
        self._server: asyncio.Server | None = None

    async def start(self, *, host: str, port: int) -> int:
        self._server = await asyncio.start_server(self._greet, host, port, backlog=512)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server:
            self._server.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(self.mood.delay_s)
            if self.mood.healthy:
                writer.write(f"{self.banner}\r\n".encode())
                await writer.drain()
                await reader.read(1)
        except OSError:
            pass  # the asker went away; nothing is lost
        finally:
            writer.close()
