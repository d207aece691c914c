"""A pool, a job, a task and its output with the async SDK and an unchanged credential.

In a process of its own: aiohttp decides at import whom it trusts.
"""

from __future__ import annotations

import asyncio
import sys

import azure.identity.aio
from azure.batch import models
from azure.batch.aio import BatchClient


async def main(url: str, credential: str) -> bytes:
    """What the task wrote."""
    image = models.BatchVmImageReference(publisher="canonical", offer="ubuntu", sku="22_04-lts")
    machine = models.VirtualMachineConfiguration(
        image_reference=image, node_agent_sku_id="batch.node.ubuntu 22.04"
    )
    pool = models.BatchPoolCreateOptions(
        id="keyless",
        vm_size="Standard_D2s_v5",
        virtual_machine_configuration=machine,
        target_dedicated_nodes=1,
    )
    task = models.BatchTaskCreateOptions(id="t", command_line="/bin/echo keyless")
    who = getattr(azure.identity.aio, credential)()
    async with who, BatchClient(url, who) as batch:
        await batch.create_pool(pool)
        on = models.BatchPoolInfo(pool_id="keyless")
        await batch.create_job(models.BatchJobCreateOptions(id="keyless", pool_info=on))
        await batch.create_task("keyless", task)
        while (await batch.get_task("keyless", "t")).state != "completed":  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
        stream = await batch.download_task_file("keyless", "t", "stdout.txt")
        written = b"".join([part async for part in stream])
        for delete in (batch.begin_delete_job, batch.begin_delete_pool):
            poller = await delete("keyless", polling_interval=0)
            await poller.result()
        return written


if __name__ == "__main__":
    sys.stdout.buffer.write(asyncio.run(main(*sys.argv[1:])))
