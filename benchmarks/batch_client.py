"""A client of the Batch API that costs next to nothing, so that the server is what is measured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson

from emulator.service.auth import sign, string_to_sign

ACCOUNT, KEY = "bench", b"a key of a benchmark"
IMAGE = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}


class Client:
    """Signed requests over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, method: str, path: str, body: Any = None, query: str = "") -> bytes:
        """The body of the answer; every status that is no success ends the benchmark."""
        content = b"" if body is None else orjson.dumps(body)
        asked = f"{query}&api-version=2025-06-01".lstrip("&")
        headers = {
            "host": "127.0.0.1",
            "ocp-date": format_datetime(datetime.now(UTC), usegmt=True),
            "content-length": str(len(content)),
            "content-type": "application/json; odata=minimalmetadata",
        }
        text = string_to_sign(
            method=method, account=ACCOUNT, raw_path=path, query=parse_qsl(asked), headers=headers
        )
        headers["authorization"] = f"SharedKey {ACCOUNT}:{sign(KEY, text)}"
        lines = [f"{method} {path}?{asked} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + content)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        answer = await self._body(head)
        if not head.startswith(b"http/1.1 2"):
            raise SystemExit(f"{method} {path}: {head[:12]!r} {answer[:300]!r}")
        return answer

    async def _body(self, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" in head:
            parts = []
            while size := int(await self._reader.readline(), 16):
                parts.append(await self._reader.readexactly(size))
                await self._reader.readexactly(2)
            await self._reader.readexactly(2)
            return b"".join(parts)
        at = head.find(b"content-length:")
        size = int(head[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
        return await self._reader.readexactly(size)


@asynccontextmanager
async def clients(port: int, number: int) -> AsyncIterator[list[Client]]:
    """Connections to a server."""
    streams = [
        await asyncio.open_connection("127.0.0.1", port, limit=2**24) for _ in range(number)
    ]
    try:
        yield [Client(*stream) for stream in streams]
    finally:
        for _, writer in streams:
            writer.close()


async def pool(
    client: Client, name: str, nodes: int, *, scaled: bool = False, slots: int = 1
) -> None:
    """Adds a pool."""
    targets: dict[str, Any] = {"targetDedicatedNodes": nodes}
    if scaled:
        formula = f"$TargetDedicatedNodes = {nodes};"
        targets = {"enableAutoScale": True, "autoScaleFormula": formula}
    body: dict[str, Any] = {
        "id": name,
        "vmSize": "Standard_D2s_v5",
        "virtualMachineConfiguration": IMAGE,
    }
    body["taskSlotsPerNode"] = slots
    await client.send("POST", "/pools", {**body, **targets})


async def all_done(client: Client, name: str, tasks: int) -> None:
    """Waits until so many tasks of a job have succeeded."""
    while True:
        counts = orjson.loads(await client.send("GET", f"/jobs/{name}/taskcounts"))["taskCounts"]
        if counts["succeeded"] == tasks:
            return
        await asyncio.sleep(0.05)


async def job(client: Client, name: str, pool: str = "none") -> None:
    """Adds a job."""
    await client.send("POST", "/jobs", {"id": name, "poolInfo": {"poolId": pool}})
