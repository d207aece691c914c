"""The emulator with one pool and four containers, as a process of its own.

Run with HPC_LOCAL_DIR set; prints one line when it is ready, ends at the end of stdin.
Pulumi is left out: what it would make is made through the same backend, so that these
tests are about `jobs` and take seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from datetime import UTC, datetime
from typing import Any

import uvicorn

from emulator.applications.blobs import AutoStorageBlobs
from emulator.azurite import Azurite
from emulator.backend import EmulatorBackend, StorageAccounts
from emulator.clock import Clock, ManualClock, SystemClock
from emulator.local import LocalDirectory, write_json
from emulator.nodes.blobs import LocalStorage
from emulator.nodes.runner import ProcessRunner
from emulator.server import Server

SPEED = 400
IDENTITY = (
    "/subscriptions/0/resourceGroups/g/providers/Microsoft.ManagedIdentity/"
    "userAssignedIdentities/nodes"
)
BATCH_ACCOUNT_ID = (
    "/subscriptions/00000000-0000-4000-8000-00000000a2e0/resourceGroups/rg/providers/"
    "Microsoft.Batch/batchAccounts/jobs"
)
CONTAINERS = ("programs", "inputs", "outputs", "logs")
POOL: dict[str, Any] = {
    "id": "pool-cpu",
    "vmSize": "standard_d2s_v5",
    "virtualMachineConfiguration": {
        "imageReference": {
            "publisher": "canonical",
            "offer": "0001-com-ubuntu-server-jammy",
            "sku": "22_04-lts",
        },
        "nodeAgentSKUId": "batch.node.ubuntu 22.04",
    },
    "targetDedicatedNodes": 2,
    "taskSlotsPerNode": 2,
    "identity": {
        "type": "UserAssigned",
        "userAssignedIdentities": [{"resourceId": IDENTITY}],
    },
}
MPI = {"id": "pool-mpi", "task_slots_per_node": 1, "inter_node_communication": True}


def outputs(batch: str, blob: str) -> dict[str, Any]:
    pool = {
        "id": "pool-cpu",
        "vm_size": "Standard_D2s_v5",
        "vcpus": 2,
        "os": "linux",
        "task_slots_per_node": 2,
        "min_nodes": 2,
        "max_nodes": 2,
        "max_dedicated_nodes": 2,
        "max_spot_nodes": 0,
        "inter_node_communication": False,
        "identity_id": IDENTITY,
        "dedicated_price_per_hour": 0.096,
        "spot_price_per_hour": None,
        "price_currency": "USD",
        "prices_as_of": "2026-11-01",
    }
    return {
        "schema_version": 1,
        "stack": "local",
        "location": "eastus",
        "resource_group": "rg",
        "batch_account_id": BATCH_ACCOUNT_ID,
        "batch_account_name": "jobs",
        "management_endpoint": batch,
        "batch_endpoint": batch,
        "authentication": "shared-key",
        "storage_account_name": "jobsdata",
        "blob_endpoint": blob,
        **{f"{name}_container": name for name in CONTAINERS},
        "log_analytics_workspace_id": "/w",
        "applications": {"tool": {"default_version": None}},
        "pools": {"cpu": pool, "mpi": pool | MPI},
    }


def _clock() -> Clock:
    if os.environ.get("ESTATE_CLOCK") == "manual":
        return ManualClock(datetime.now(UTC), SPEED)
    return SystemClock(SPEED)


async def main() -> None:
    local = LocalDirectory.default()
    storage = StorageAccounts(local, None)
    azurite: Azurite | None = None
    of_nodes = LocalStorage(
        endpoint=lambda: azurite.endpoint if azurite else None,
        key=storage.keys.get,
        auto_storage=storage.auto_storage,
    )
    runner = ProcessRunner(local.root / "nodes", of_nodes)
    server = Server(
        data=None,
        clock=_clock(),
        runner=runner,
        packages=AutoStorageBlobs(of_nodes),
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    server.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    azurite = await Azurite.start(data=None, accounts={})
    await server.start()
    http = uvicorn.Server(
        uvicorn.Config(
            server.app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,  # a fault may hold a request back for minutes
        )
    )
    serving = asyncio.create_task(http.serve(sockets=[listener]))
    try:
        backend = EmulatorBackend(server, azurite, storage)
        await backend.create_batch_account("jobs")
        await backend.create_storage_account("jobsdata")
        await backend.link_auto_storage("jobs", "jobsdata")
        backend.applications("jobs").put("tool", display_name="A tool")
        for name in CONTAINERS:
            await backend.create_container("jobsdata", name)
        await backend.put_pool("jobs", "pool-cpu", POOL)
        reaching = {"id": "pool-mpi", "taskSlotsPerNode": 1, "enableInterNodeCommunication": True}
        await backend.put_pool("jobs", "pool-mpi", POOL | reaching)
        values = outputs(server.base_url, backend.blob_endpoint("jobsdata"))
        write_json(local.stack_outputs("local"), values)
        sys.stdout.write(json.dumps({"ready": True}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
    finally:
        http.should_exit = True
        await serving
        await server.close()
        await azurite.close()


asyncio.run(main())
