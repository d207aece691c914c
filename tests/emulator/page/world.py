"""Pools, jobs and tasks as the official client puts them into a server."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from azure.batch import models
from azure.batch.aio import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.pipeline.transport import AsyncioRequestsTransport

from emulator.server import Server
from tests.emulator.simulation import ACCOUNT, KEY, until

_IMAGE = {
    "imageReference": {"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
    "nodeAgentSKUId": "batch.node.ubuntu 24.04",
}


class World:
    """A server with a client of it."""

    def __init__(self, server: Server, batch: BatchClient) -> None:
        self.server = server
        self._batch = batch

    async def pool(self, name: str, nodes: int = 0, *, spot: int = 0, formula: str = "") -> None:
        scale: dict[str, object] = {"targetDedicatedNodes": nodes, "targetLowPriorityNodes": spot}
        if formula:
            scale = {
                "enableAutoScale": True,
                "autoScaleFormula": formula,
                "autoScaleEvaluationInterval": "PT5M",
            }
        await self._batch.create_pool(
            models.BatchPoolCreateOptions(
                {
                    "id": name,
                    "vmSize": "Standard_D2s_v5",
                    "virtualMachineConfiguration": _IMAGE,
                    **scale,
                }
            )
        )

    async def job(self, name: str, pool: str = "p") -> None:
        await self._batch.create_job(
            models.BatchJobCreateOptions({"id": name, "poolInfo": {"poolId": pool}})
        )

    async def tasks(self, job: str, commands: Mapping[str, str]) -> None:
        await self._batch.create_tasks(
            job,
            [
                models.BatchTaskCreateOptions(id=name, command_line=command)
                for name, command in commands.items()
            ],
        )

    async def ready(self, pool: str, nodes: int) -> None:
        """Waits until so many of a pool's nodes are idle."""
        counts = self.server.host(ACCOUNT).world.pools[pool].counts
        await until(lambda: counts.get((True, "idle")) == nodes)

    async def settled(self, job: str, count: int) -> None:
        """Waits until so many of a job's tasks are over."""
        counts = self.server.host(ACCOUNT).world.jobs[job].counts
        await until(lambda: counts.succeeded + counts.failed == count)


@asynccontextmanager
async def world_of(server: Server) -> AsyncIterator[World]:
    """The world of a server that serves."""
    credential = AzureNamedKeyCredential(ACCOUNT, base64.b64encode(KEY).decode())
    transport = AsyncioRequestsTransport()
    async with BatchClient(server.base_url, credential, transport=transport) as batch:
        yield World(server, batch)
