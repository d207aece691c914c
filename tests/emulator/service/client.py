"""The official SDK in a test's event loop: each call in a thread of its own."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential

from tests.emulator.simulation import ACCOUNT, KEY

MACHINE = models.VirtualMachineConfiguration(
    image_reference=models.BatchVmImageReference(
        publisher="canonical", offer="0001-com-ubuntu-server-jammy", sku="22_04-lts"
    ),
    node_agent_sku_id="batch.node.ubuntu 22.04",
)


class Client:
    """`do` makes any call of the SDK by its name."""

    def __init__(self, url: str) -> None:
        key = AzureNamedKeyCredential(ACCOUNT, base64.b64encode(KEY).decode())
        self.sdk = BatchClient(url, key)

    async def do(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(getattr(self.sdk, name), *args, **kwargs)

    async def do_list(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        return await asyncio.to_thread(lambda: list(getattr(self.sdk, name)(*args, **kwargs)))

    async def pool(self, pool_id: str, count: int, **more: Any) -> None:
        """A pool whose nodes are idle."""
        given = {"virtual_machine_configuration": MACHINE, "vm_size": "standard_d2s_v5", **more}
        await self.do(
            "create_pool",
            models.BatchPoolCreateOptions(id=pool_id, target_dedicated_nodes=count, **given),
        )
        async with asyncio.timeout(120):
            while await self.states(pool_id) != ["idle"] * count:  # noqa: ASYNC110 - asked over HTTP
                await asyncio.sleep(0.02)

    async def states(self, pool_id: str) -> list[str]:
        return [node.state for node in await self.do_list("list_nodes", pool_id)]

    async def output(self, job_id: str, task_id: str, name: str = "stdout.txt") -> str:
        def read() -> bytes:
            return b"".join(self.sdk.download_task_file(job_id, task_id, name))

        return (await asyncio.to_thread(read)).decode()

    async def until(self, state: str, name: str, *args: Any) -> Any:
        """The entity that a GET gives once it has a state."""
        async with asyncio.timeout(120):
            while (entity := await self.do(name, *args)).state != state:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.02)
        return entity
