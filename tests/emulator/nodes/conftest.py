"""One Azurite for all tests of the nodes; each test has containers of its own."""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from azure.storage.blob import (
    BlobSasPermissions,
    ContainerClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)

from emulator.azurite import Azurite
from emulator.nodes.blobs import LocalStorage
from emulator.nodes.runner import ProcessRunner
from tests.emulator.nodes.node import NODE

ACCOUNT = "nodes"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A storage account in Azurite."""

    endpoint: str
    key: str

    @property
    def local(self) -> LocalStorage:
        return LocalStorage(
            endpoint=lambda: self.endpoint,
            key={ACCOUNT: self.key}.get,
            auto_storage={"local": ACCOUNT}.get,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A container of one test."""

    storage: Storage
    client: ContainerClient

    @property
    def url(self) -> str:
        return self.client.url

    def sas(self, *, life: timedelta = timedelta(hours=1), **permissions: bool) -> str:
        signature = generate_container_sas(
            ACCOUNT,
            self.client.container_name,
            self.storage.key,
            permission=ContainerSasPermissions(**permissions),
            expiry=datetime.now(UTC) + life,
        )
        return f"{self.url}?{signature}"

    def blob_sas(self, name: str) -> str:
        signature = generate_blob_sas(
            ACCOUNT,
            self.client.container_name,
            name,
            account_key=self.storage.key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return f"{self.client.get_blob_client(name).url}?{signature}"

    def put(self, name: str, content: bytes) -> str:
        self.client.upload_blob(name, content)
        return self.client.get_blob_client(name).url

    def contents(self) -> dict[str, bytes]:
        return {
            name: self.client.download_blob(name).readall()
            for name in self.client.list_blob_names()
        }


@pytest.fixture(scope="session")
def storage() -> Iterator[Storage]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(what: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(what, loop).result(60)

    key = base64.b64encode(secrets.token_bytes(64)).decode()
    try:
        azurite = do(Azurite.start(data=None, accounts={ACCOUNT: key}))
        yield Storage(endpoint=azurite.endpoint, key=key)
        do(azurite.close())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def box(storage: Storage) -> Iterator[Box]:
    url = f"{storage.endpoint}/{ACCOUNT}/box-{uuid.uuid4().hex}"
    with ContainerClient.from_container_url(url, credential=storage.key) as client:
        client.create_container()
        yield Box(storage=storage, client=client)


@pytest.fixture
async def runner(tmp_path: Path, storage: Storage) -> AsyncIterator[ProcessRunner]:
    one = ProcessRunner(tmp_path / "nodes", storage.local, grace_s=0.2)
    await one.add_node(NODE)
    yield one
    await one.close()
