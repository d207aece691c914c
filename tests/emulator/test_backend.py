"""Resource Manager's way to the data planes: the real server, nodes and Azurite together."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

from emulator.arm.backend import Backend, BackendError
from emulator.azurite import Azurite
from emulator.backend import EmulatorBackend, StorageAccounts, new_key, read_keys
from emulator.certificate import Certificate
from emulator.clock import SystemClock
from emulator.http import serving
from emulator.local import LocalDirectory
from emulator.nodes.blobs import NO_STORAGE, LocalStorage
from emulator.nodes.runner import ProcessRunner
from emulator.server import Server

IDENTITY = (
    "/subscriptions/s/resourceGroups/g/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/me"
)
POOL: dict[str, Any] = {
    "vmSize": "standard_d4s_v5",
    "targetDedicatedNodes": 0,
    "virtualMachineConfiguration": {
        "imageReference": {
            "publisher": "canonical",
            "offer": "0001-com-ubuntu-server-jammy",
            "sku": "22_04-lts",
        },
        "nodeAgentSKUId": "batch.node.ubuntu 22.04",
    },
    "identity": {
        "type": "UserAssigned",
        "userAssignedIdentities": [{"resourceId": IDENTITY, "clientId": "c", "principalId": "p"}],
    },
}


@dataclass
class Emulator:
    """All parts in this process."""

    local: LocalDirectory
    server: Server
    azurite: Azurite
    backend: EmulatorBackend

    def keys(self, kind: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.local.keys_file.read_text())[kind]
        return found

    async def containers(self, account: str) -> list[str]:
        def names() -> list[str]:
            url, key = self.backend.blob_endpoint(account), self.keys("storage")[account]
            with BlobServiceClient(url, credential=key) as service:
                return [container.name for container in service.list_containers()]

        return await asyncio.to_thread(names)


@pytest.fixture
async def emulator(tmp_path: Path) -> AsyncIterator[Emulator]:
    local = LocalDirectory(tmp_path / "local")
    storage = StorageAccounts(local, tmp_path / "names.json")
    azurite = await Azurite.start(data=None, accounts={})
    of_nodes = LocalStorage(
        endpoint=lambda: azurite.endpoint, key=storage.keys.get, auto_storage=storage.auto_storage
    )
    runner = ProcessRunner(tmp_path / "nodes", of_nodes)
    server = Server(data=None, clock=SystemClock(2000), runner=runner)
    await server.start()
    backend = EmulatorBackend(server, azurite, storage)
    yield Emulator(local, server, azurite, backend)
    await server.close()
    await azurite.close()


@pytest.mark.slow
async def test_storage_accounts_and_containers_come_and_go(emulator: Emulator) -> None:
    backend: Backend = emulator.backend
    for _ in range(2):
        await backend.create_storage_account("data")
        await backend.create_container("data", "inputs")
    await backend.create_container("data", "outputs")
    assert await backend.container_exists("data", "inputs")
    assert not await backend.container_exists("data", "absent")
    assert not await backend.container_exists("nobody", "inputs")
    assert await emulator.containers("data") == ["inputs", "outputs"]
    for _ in range(2):
        await backend.delete_container("data", "inputs")
    assert await emulator.containers("data") == ["outputs"]
    for _ in range(2):
        await backend.delete_storage_account("data")
    assert emulator.keys("storage") == {}
    await backend.create_storage_account("data")
    assert await emulator.containers("data") == []


@pytest.mark.slow
async def test_accounts_and_containers_made_and_deleted_at_once_are_not_lost(
    emulator: Emulator,
) -> None:
    backend: Backend = emulator.backend
    names = [f"data{number}" for number in range(6)]
    await asyncio.gather(*map(backend.create_storage_account, names))
    assert set(emulator.keys("storage")) == set(names)
    await asyncio.gather(*(backend.create_container("data0", "inputs") for _ in range(4)))
    await asyncio.gather(*(backend.delete_container("data0", "inputs") for _ in range(4)))
    assert await emulator.containers("data0") == []
    await asyncio.gather(*map(backend.delete_storage_account, names[1:]))
    assert set(emulator.keys("storage")) == {"data0"}


@pytest.mark.slow
async def test_a_containers_blobs_are_not_public(emulator: Emulator) -> None:
    await emulator.backend.create_storage_account("data")
    await emulator.backend.create_container("data", "inputs")
    url = emulator.backend.blob_endpoint("data")

    def anybody() -> None:
        with BlobServiceClient(url) as service:
            list(service.get_container_client("inputs").list_blob_names())

    with pytest.raises(HttpResponseError):
        await asyncio.to_thread(anybody)


@pytest.mark.slow
async def test_batch_accounts_have_keys_that_their_users_find(emulator: Emulator) -> None:
    backend = emulator.backend
    await backend.create_batch_account("batch")
    key = emulator.keys("batch")["batch"]
    await backend.create_batch_account("batch")
    assert emulator.keys("batch") == {"batch": key}
    assert emulator.server.accounts() == {"batch": base64.b64decode(key)}
    await backend.delete_batch_account("batch")
    await backend.delete_batch_account("batch")
    assert emulator.keys("batch") == {}


@pytest.mark.slow
async def test_a_name_that_azure_would_refuse_is_a_backend_error(emulator: Emulator) -> None:
    with pytest.raises(BackendError, match="not a storage account"):
        await emulator.backend.create_storage_account("Data;evil")
    assert not emulator.local.keys_file.exists()
    with pytest.raises(BackendError, match="AccountNotFound"):
        await emulator.backend.create_container("nobody", "inputs")
    await emulator.backend.create_storage_account("data")
    with pytest.raises(BackendError):
        await emulator.backend.create_container("data", "No_Container")


@pytest.mark.slow
async def test_an_azurite_that_ended_is_a_backend_error(emulator: Emulator) -> None:
    await emulator.backend.create_storage_account("data")
    await emulator.azurite.close()
    with pytest.raises(BackendError, match="BlobServiceFailed"):
        await emulator.backend.create_storage_account("more")
    assert emulator.keys("storage").keys() == {"data"}


async def test_without_blob_storage_it_says_so(tmp_path: Path) -> None:
    local = LocalDirectory(tmp_path)
    storage = StorageAccounts(local, None)
    of_nodes = LocalStorage(
        endpoint=lambda: None, key=storage.keys.get, auto_storage=storage.auto_storage
    )
    runner = ProcessRunner(tmp_path / "nodes", of_nodes)
    server = Server(data=None, clock=SystemClock(), runner=runner)
    backend = EmulatorBackend(server, None, storage)
    with pytest.raises(BackendError, match="start it without --no-blob"):
        await backend.create_storage_account("data")
    with pytest.raises(BackendError, match="start it without --no-blob"):
        backend.blob_endpoint("data")
    await server.close()


def test_the_linked_or_the_sole_storage_account_is_auto_storage(tmp_path: Path) -> None:
    storage = StorageAccounts(LocalDirectory(tmp_path), None)
    assert storage.auto_storage("any") is None
    storage.keys["one"] = "k"
    assert storage.auto_storage("any") == "one"
    storage.keys["two"] = "k"
    assert storage.auto_storage("any") is None
    storage.links["any"] = "two"
    assert storage.auto_storage("any") == "two"
    del storage.keys["two"]
    assert storage.auto_storage("any") is None


def test_names_and_keys_are_found_again(tmp_path: Path) -> None:
    local, names = LocalDirectory(tmp_path / "local"), tmp_path / "names.json"
    storage = StorageAccounts(local, names)
    storage.keys["data"] = new_key()
    storage.save({"batch": b"key"})
    assert StorageAccounts(local, names).keys == storage.keys
    assert read_keys(local)["batch"] == {"batch": base64.b64encode(b"key").decode()}
    local.keys_file.unlink()
    renewed = StorageAccounts(local, names)
    assert renewed.keys.keys() == {"data"}
    assert renewed.keys != storage.keys
    assert StorageAccounts(local, None).keys == {}


@pytest.mark.slow
async def test_a_pool_is_made_changed_and_deleted(emulator: Emulator) -> None:
    backend = emulator.backend
    await backend.create_batch_account("batch")
    await backend.put_pool("batch", "cpu", POOL)
    await backend.put_pool("batch", "cpu", {**POOL, "targetDedicatedNodes": 1})
    pool = await backend.get_pool("batch", "cpu")
    assert pool is not None
    assert pool["targetDedicatedNodes"] == 1
    with pytest.raises(BackendError):
        await backend.put_pool("batch", "bad", {**POOL, "noSuchMember": 1})
    for _ in range(2):
        await backend.delete_pool("batch", "cpu")
    assert await backend.get_pool("batch", "cpu") is None


@pytest.mark.slow
async def test_a_pools_identity_opens_storage_to_its_tasks(emulator: Emulator) -> None:
    backend, server = emulator.backend, emulator.server
    await backend.create_storage_account("data")
    await backend.create_batch_account("batch")
    for name in ("inputs", "outputs"):
        await backend.create_container("data", name)
    await backend.put_pool("batch", "cpu", {**POOL, "targetDedicatedNodes": 1})
    url = backend.blob_endpoint("data")
    key = emulator.keys("storage")["data"]

    def work() -> bytes:
        batch_key = AzureNamedKeyCredential("batch", emulator.keys("batch")["batch"])
        with (
            BlobServiceClient(url, credential=key) as blobs,
            BatchClient(server.base_url, batch_key) as batch,
        ):
            blobs.get_blob_client("inputs", "word").upload_blob(b"keyless")
            pool = models.BatchPoolInfo(pool_id="cpu")
            batch.create_job(models.BatchJobCreateOptions(id="job", pool_info=pool))
            batch.create_task("job", keyless_task(url))
            while (task := batch.get_task("job", "t")).state != models.BatchTaskState.COMPLETED:
                time.sleep(0.05)
            assert task.execution_info is not None
            assert (task.execution_info.exit_code, task.execution_info.failure_info) == (0, None)
            return blobs.get_blob_client("outputs", "back").download_blob().readall()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with serving(server.app, listener), asyncio.timeout(120):
            assert await asyncio.to_thread(work) == b"keyless"


async def test_where_tokens_are_taken_the_endpoint_names_the_account(tmp_path: Path) -> None:
    storage = StorageAccounts(LocalDirectory(tmp_path / "local"), None)
    runner = ProcessRunner(tmp_path / "nodes", NO_STORAGE)
    server = Server(data=None, clock=SystemClock(), runner=runner)
    server.base_url = "https://127.0.0.1:1"
    with_tokens = EmulatorBackend(server, None, storage, tmp_path / "bundle.pem")
    assert with_tokens.batch_endpoint("one") == "https://127.0.0.1:1/accounts/one"
    assert EmulatorBackend(server, None, storage).batch_endpoint("one") == server.base_url
    await server.close()


@pytest.mark.slow
async def test_over_tls_containers_come_and_go_for_whom_trusts_the_certificate(
    tmp_path: Path,
) -> None:
    certificate = Certificate(tmp_path / "tls")
    certificate.ensure()
    storage = StorageAccounts(LocalDirectory(tmp_path / "local"), None)
    of_nodes = LocalStorage(
        endpoint=lambda: None, key=storage.keys.get, auto_storage=storage.auto_storage
    )
    runner = ProcessRunner(tmp_path / "nodes", of_nodes)
    server = Server(data=None, clock=SystemClock(), runner=runner)
    azurite = await Azurite.start(data=None, accounts={}, certificate=certificate)
    try:
        assert azurite.endpoint.startswith("https://127.0.0.1:")
        backend = EmulatorBackend(server, azurite, storage, certificate.bundle)
        await backend.create_storage_account("data")
        await backend.create_container("data", "box")
        assert await backend.container_exists("data", "box")
        with pytest.raises(BackendError, match="CERTIFICATE_VERIFY_FAILED"):
            await EmulatorBackend(server, azurite, storage).container_exists("data", "box")
    finally:
        await azurite.close()
        await server.close()


def keyless_task(url: str) -> models.BatchTaskCreateOptions:
    """Copies a blob, with the pool's identity and no signature."""
    me = models.BatchNodeIdentityReference(resource_id=IDENTITY)
    destination = models.OutputFileBlobContainerDestination(
        container_url=f"{url}/outputs", path="back", identity_reference=me
    )
    condition = models.OutputFileUploadCondition.TASK_SUCCESS
    return models.BatchTaskCreateOptions(
        id="t",
        command_line="cp word copy",
        resource_files=[
            models.ResourceFile(
                http_url=f"{url}/inputs/word", file_path="word", identity_reference=me
            )
        ],
        output_files=[
            models.OutputFile(
                file_pattern="copy",
                destination=models.OutputFileDestination(container=destination),
                upload_options=models.OutputFileUploadConfiguration(upload_condition=condition),
            )
        ],
    )
