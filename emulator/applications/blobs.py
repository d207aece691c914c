"""Where the bytes of packages are: blobs of a Batch account's auto-storage account.

As in Azure, an application has a container of its own, each upload a blob of its own, and
whoever made the version gets a URL with a signature that lets them write it. A node gets
one that lets it read. The keys stay here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol, TypeVar

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas

from emulator.applications.errors import ApplicationError
from emulator.blob_client import ask_storage
from emulator.nodes.blobs import LocalStorage

UPLOAD_LIFE: Final = timedelta(hours=4)
"""Of the signature in `storageUrl`."""

_R = TypeVar("_R")


class PackageBlobs(Protocol):
    """What the catalogue needs of storage."""

    async def prepare(self, account: str, application: str) -> None:
        """Makes the application's container.

        Raises:
            ApplicationError: The account has no auto-storage, or it does not answer.
        """
        ...

    def url(self, account: str, application: str, blob: str, *, write: bool) -> str:
        """A signed URL of a blob.

        Raises:
            ApplicationError: The account has no auto-storage.
        """
        ...

    async def exists(self, account: str, application: str, blob: str) -> bool:
        """Whether somebody has uploaded it."""
        ...

    async def delete(self, account: str, application: str, blob: str) -> None:
        """Deletes it; no error if it is not there."""
        ...


def container_name(application: str) -> str:
    """The container of an application: `app-NAME-HASH`, as the service names it.

    Container names allow neither capitals, underscores nor two hyphens in a row.
    """
    plain = "-".join(filter(None, application.lower().replace("_", "-").split("-")))[:20]
    digest = hashlib.sha256(application.lower().encode()).hexdigest()[:32]
    return "-".join(filter(None, ("app", plain.strip("-"), digest)))


class AutoStorageBlobs:
    """`PackageBlobs` in Azurite.

    Args:
        storage: The emulator's storage accounts.
        certificates: File of what Azurite's certificate is trusted by; None without TLS.
    """

    def __init__(self, storage: LocalStorage, certificates: Path | None = None) -> None:
        self._storage = storage
        self._certificates = certificates

    async def prepare(self, account: str, application: str) -> None:
        """See `PackageBlobs`."""

        def create(service: BlobServiceClient) -> None:
            with suppress(ResourceExistsError):
                service.create_container(container_name(application))

        await self._do(account, create)

    def url(self, account: str, application: str, blob: str, *, write: bool) -> str:
        """See `PackageBlobs`."""
        endpoint, storage_account, key = self._of(account)
        container = container_name(application)
        signature = generate_blob_sas(
            storage_account,
            container,
            blob,
            account_key=key,
            permission=BlobSasPermissions(read=True, write=write),
            expiry=datetime.now(UTC) + UPLOAD_LIFE,
        )
        return f"{endpoint}/{storage_account}/{container}/{blob}?{signature}"

    async def exists(self, account: str, application: str, blob: str) -> bool:
        """See `PackageBlobs`."""
        container = container_name(application)
        return await self._do(account, lambda s: s.get_blob_client(container, blob).exists())

    async def delete(self, account: str, application: str, blob: str) -> None:
        """See `PackageBlobs`."""

        def delete(service: BlobServiceClient) -> None:
            with suppress(ResourceNotFoundError):
                service.get_blob_client(container_name(application), blob).delete_blob()

        await self._do(account, delete)

    def _of(self, account: str) -> tuple[str, str, str]:
        endpoint = self._storage.endpoint()
        if endpoint is None:
            raise ApplicationError(
                "AutoStorageUnavailable",
                "the emulator runs without blob storage: start it without --no-blob",
            )
        storage_account = self._storage.auto_storage(account)
        key = self._storage.key(storage_account) if storage_account else None
        if storage_account is None or key is None:
            raise ApplicationError(
                "AutoStorageNotLinked",
                f"Batch account {account} has no auto-storage account, which application "
                "packages are kept in: set autoStorage of the account",
            )
        return endpoint, storage_account, key

    async def _do(self, account: str, work: Callable[[BlobServiceClient], _R]) -> _R:
        endpoint, storage_account, key = self._of(account)
        url = f"{endpoint}/{storage_account}"
        try:
            return await ask_storage(url, key, self._certificates, work)
        except AzureError as error:
            raise ApplicationError("AutoStorageUnavailable", str(error)) from error
