"""Requests as a client signs them, against a server in this process whose time stands still."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import orjson

from emulator.clock import ManualClock
from emulator.server import Server
from emulator.service.auth import sign, string_to_sign
from tests.emulator.simulation import ACCOUNT, KEY, SimulatedRunner, manual_server

BASE = "http://localhost"
VERSION = "2025-06-01"
POOL: dict[str, Any] = {
    "id": "p",
    "vmSize": "Standard_D2s_v5",
    "virtualMachineConfiguration": {
        "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
        "nodeAgentSKUId": "batch.node.ubuntu 24.04",
    },
}
JOB = {"id": "j", "poolInfo": {"poolId": "p"}}


class Wire:
    """A client that sends what it is told and shows what came back."""

    def __init__(self, server: Server, clock: ManualClock, runner: SimulatedRunner) -> None:
        self.server, self.clock, self.runner = server, clock, runner
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url=BASE)

    @classmethod
    async def start(cls, root: Path) -> Wire:
        server, clock, runner = manual_server(root)
        server.base_url = BASE
        server.add_account(ACCOUNT, KEY)
        await server.start()
        return cls(server, clock, runner)

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str = VERSION,
        headers: dict[str, str] | None = None,
        key: bytes = KEY,
    ) -> httpx.Response:
        """Sends JSON, or bytes as they are."""
        content = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {"ocp-date": "Mon, 05 Jan 2026 12:00:00 GMT", **(headers or {})}
        if content:
            sent |= {"content-type": "application/json; odata=minimalmetadata"}
            sent |= {"content-length": str(len(content))}
        raw_path, _, query = path.partition("?")
        query = f"{query}&api-version={version}".lstrip("&")
        text = string_to_sign(
            method=method,
            account=ACCOUNT,
            raw_path=raw_path,
            query=parse_qsl(query),
            headers=sent,
        )
        sent["authorization"] = f"SharedKey {ACCOUNT}:{sign(key, text)}"
        url = httpx.URL(f"{BASE}{raw_path}?{query}")
        request = httpx.Request(method, url, headers=sent, content=content or None)
        return await self.http.send(request)

    async def close(self) -> None:
        await self.http.aclose()
        await self.server.close()
