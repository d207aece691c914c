"""The data planes as Resource Manager reaches them: this emulator's Batch and Azurite.

It owns the storage accounts: their names are kept beside the blobs, their keys in
`keys.json`, where `jobs` reads them. Batch accounts and their keys are the server's own;
they are only copied to `keys.json`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobServiceClient

from emulator.applications.catalogue import Catalogue
from emulator.arm.backend import BackendError
from emulator.blob_client import ask_storage
from emulator.errors import EmulatorError
from emulator.local import LocalDirectory, damaged, read_json, write_json

KEY_BYTES = 64
"""Length of the keys that Azure makes, for Batch and for storage."""

_R = TypeVar("_R")


def new_key() -> str:
    """A random account key, base64."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


class StorageAccounts:
    """The storage accounts: their keys, and the files that keep them.

    Args:
        local: Where `keys.json` is.
        names: File of the accounts' names, beside their blobs; None where blobs do not
            outlive the emulator: it then begins without accounts.

    Raises:
        LocalStateError: One of the files is damaged.
    """

    def __init__(self, local: LocalDirectory, names: Path | None) -> None:
        self._local = local
        self._names = names
        known = read_keys(local).get("storage", {})
        kept = _read_names(names) if names is not None and names.exists() else {}
        self.keys = {name: known.get(name) or new_key() for name in kept.get("accounts", ())}
        self.links: dict[str, str] = dict(kept.get("auto_storage", {}))
        """Storage account by Batch account."""

    def auto_storage(self, batch_account: str) -> str | None:
        """A Batch account's auto-storage: the one linked to it, else the only one there is."""
        linked = self.links.get(batch_account)
        if linked is not None:
            return linked if linked in self.keys else None
        return next(iter(self.keys)) if len(self.keys) == 1 else None

    def save(self, batch: Mapping[str, bytes]) -> None:
        """Writes both files.

        Args:
            batch: Key by Batch account.
        """
        if self._names is not None:
            kept = {"accounts": sorted(self.keys), "auto_storage": self.links}
            write_json(self._names, kept)
        encoded = {name: base64.b64encode(key).decode() for name, key in batch.items()}
        self._local.write_keys(batch=encoded, storage=self.keys)


def read_keys(local: LocalDirectory) -> dict[str, dict[str, str]]:
    """What `keys.json` holds; nothing where there is no such file.

    Raises:
        LocalStateError: The file is damaged.
    """
    if not local.keys_file.exists():
        return {}
    found = read_json(local.keys_file)
    for kind, keys in found.items():
        if not isinstance(keys, dict) or not all(map(_is_key, keys.values())):
            raise damaged(local.keys_file, f"{kind!r} is not an object of keys in base64")
    return found


def _is_key(value: object) -> bool:
    try:
        return isinstance(value, str) and len(base64.b64decode(value, validate=True)) > 0
    except binascii.Error:
        return False


def _read_names(path: Path) -> dict[str, Any]:
    kept = read_json(path)
    names, links = kept.get("accounts"), kept.get("auto_storage", {})
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise damaged(path, "'accounts' is not a list of names")
    if not isinstance(links, dict) or not all(isinstance(name, str) for name in links.values()):
        raise damaged(path, "'auto_storage' is not an object of names")
    return kept


class BatchServer(Protocol):
    """What the backend needs of `emulator.server.Server`."""

    base_url: str

    def add_account(self, name: str, key: bytes) -> None:
        """Makes an account known."""
        ...

    async def remove_account(self, name: str) -> None:
        """Forgets an account with all that it has."""
        ...

    def accounts(self) -> Mapping[str, bytes]:
        """Keys by name."""
        ...

    def applications(self, account: str) -> Catalogue:
        """The account's applications."""
        ...

    async def put_pool(self, account: str, pool_id: str, body: dict[str, Any]) -> None:
        """Creates or updates a pool."""
        ...

    async def get_pool(self, account: str, pool_id: str) -> dict[str, Any] | None:
        """A pool, or None."""
        ...

    async def delete_pool(self, account: str, pool_id: str) -> None:
        """Deletes a pool and waits until it is gone."""
        ...


class BlobServer(Protocol):
    """What the backend needs of `emulator.azurite.Azurite`."""

    endpoint: str

    async def set_accounts(self, accounts: Mapping[str, str]) -> None:
        """Replaces the accounts."""
        ...


class EmulatorBackend:
    """`emulator.arm.backend.Backend` over the running emulator.

    Args:
        server: The Batch data plane.
        blobs: Azurite; None with `--no-blob`.
        storage: The storage accounts.
        certificates: File of what Azurite's certificate is trusted by; None without TLS.
    """

    def __init__(
        self,
        server: BatchServer,
        blobs: BlobServer | None,
        storage: StorageAccounts,
        certificates: Path | None = None,
    ) -> None:
        self._certificates = certificates
        self._server = server
        self._blobs = blobs
        self._storage = storage
        self._changing = asyncio.Lock()

    def batch_endpoint(self, account: str) -> str:
        """URL of an account in the Batch data plane, without a trailing slash.

        A key's signature says whose request it is. A token does not: where tokens are
        taken, the URL names the account, for there may be several.
        """
        url = self._server.base_url
        return f"{url}/accounts/{account}" if self._certificates else url

    def blob_endpoint(self, account: str) -> str:
        """URL of a storage account's blobs, without a trailing slash."""
        return f"{self._azurite().endpoint}/{account}"

    async def create_batch_account(self, account: str) -> None:
        """Makes the account known to the Batch data plane."""
        if account not in self._server.accounts():
            self._server.add_account(account, secrets.token_bytes(KEY_BYTES))
            self._save()

    async def delete_batch_account(self, account: str) -> None:
        """Removes the account with its pools and jobs."""
        await self._server.remove_account(account)
        self._storage.links.pop(account, None)
        self._save()

    async def link_auto_storage(self, account: str, storage_account: str | None) -> None:
        """Tells which storage account keeps the account's application packages."""
        if self._storage.links.get(account) == storage_account:
            return
        self._storage.links.pop(account, None)
        if storage_account is not None:
            self._storage.links[account] = storage_account
        self._save()

    def applications(self, account: str) -> Catalogue:
        """The account's applications."""
        return self._server.applications(account)

    async def put_pool(self, account: str, pool_id: str, body: dict[str, Any]) -> None:
        """Creates a pool, or brings an existing one to `body`."""
        await self._server.put_pool(account, pool_id, body)

    async def get_pool(self, account: str, pool_id: str) -> dict[str, Any] | None:
        """The pool as `GET /pools/{id}` answers it, or None."""
        return await self._server.get_pool(account, pool_id)

    async def delete_pool(self, account: str, pool_id: str) -> None:
        """Deletes the pool and returns when it is gone."""
        await self._server.delete_pool(account, pool_id)

    async def create_storage_account(self, account: str) -> None:
        """Makes the account known to the blob service."""
        async with self._changing:
            if account not in self._storage.keys:
                await self._change_accounts({**self._storage.keys, account: new_key()})

    async def delete_storage_account(self, account: str) -> None:
        """Deletes the account's containers and forgets the account."""
        if account not in self._storage.keys:
            return
        for container in await self._do(account, _container_names):
            await self.delete_container(account, container)
        async with self._changing:
            others = {name: key for name, key in self._storage.keys.items() if name != account}
            await self._change_accounts(others)

    async def create_container(self, account: str, container: str) -> None:
        """Creates a private blob container."""

        def create(service: BlobServiceClient) -> None:
            with suppress(ResourceExistsError):
                service.create_container(container)

        await self._do(account, create)

    async def container_exists(self, account: str, container: str) -> bool:
        """Whether the container is there."""
        if account not in self._storage.keys:
            return False
        return await self._do(account, lambda s: s.get_container_client(container).exists())

    async def delete_container(self, account: str, container: str) -> None:
        """Deletes the container with its blobs."""

        def delete(service: BlobServiceClient) -> None:
            with suppress(ResourceNotFoundError):
                service.delete_container(container)

        if account in self._storage.keys:
            await self._do(account, delete)

    def _azurite(self) -> BlobServer:
        if self._blobs is None:
            raise BackendError(
                "BlobServiceOff",
                "the emulator runs without blob storage: start it without --no-blob",
            )
        return self._blobs

    async def _change_accounts(self, accounts: dict[str, str]) -> None:
        try:
            await self._azurite().set_accounts(accounts)
        except (EmulatorError, ValueError) as error:
            raise BackendError("BlobServiceFailed", str(error)) from error
        self._storage.keys.clear()
        self._storage.keys.update(accounts)
        self._save()

    def _save(self) -> None:
        self._storage.save(self._server.accounts())

    async def _do(self, account: str, work: Callable[[BlobServiceClient], _R]) -> _R:
        key = self._storage.keys.get(account)
        if key is None:
            raise BackendError("AccountNotFound", f"there is no storage account {account}")
        url = self.blob_endpoint(account)
        try:
            return await ask_storage(url, key, self._certificates, work)
        except HttpResponseError as error:
            code = getattr(error, "error_code", None) or "BlobServiceFailed"
            raise BackendError(str(code), error.message) from error
        except AzureError as error:
            raise BackendError("BlobServiceFailed", str(error)) from error


def _container_names(service: BlobServiceClient) -> Iterable[str]:
    return [container.name for container in service.list_containers()]
