"""What Resource Manager may do to the data planes: the seam between `arm` and the rest.

The emulator implements it over its own Batch service and Azurite
(`emulator.backend`); tests and mocks implement it in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from emulator.applications.catalogue import Catalogue


class BackendError(Exception):
    """A data plane refused.

    Attributes:
        code: The data plane's error code, such as `InvalidPropertyValue`.
        message: Its text, with the values that it names.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Backend(Protocol):
    """Batch accounts with pools, and storage accounts with blob containers.

    Every method is idempotent: creating what exists and deleting what does not is
    no error, because an interrupted deployment is simply run again.
    """

    def batch_endpoint(self, account: str) -> str:
        """URL of an account in the Batch data plane, without a trailing slash."""
        ...

    def blob_endpoint(self, account: str) -> str:
        """URL of a storage account's blobs, without a trailing slash."""
        ...

    async def create_batch_account(self, account: str) -> None:
        """Makes the account known to the Batch data plane."""
        ...

    async def delete_batch_account(self, account: str) -> None:
        """Removes the account with its pools, jobs and applications."""
        ...

    async def link_auto_storage(self, account: str, storage_account: str | None) -> None:
        """Tells which storage account keeps the account's application packages."""
        ...

    def applications(self, account: str) -> Catalogue:
        """The account's applications, which Resource Manager's own wire changes, too.

        Raises:
            BackendError: There is no such account.
        """
        ...

    async def put_pool(self, account: str, pool_id: str, body: dict[str, Any]) -> None:
        """Creates a pool, or brings an existing one to `body`.

        Args:
            account: Batch account.
            pool_id: The pool's id.
            body: The pool as `POST /pools` takes it, with the extra member
                `identity` as `GET /pools/{id}` answers it.

        Raises:
            BackendError: The data plane refuses the body.
        """
        ...

    async def get_pool(self, account: str, pool_id: str) -> dict[str, Any] | None:
        """The pool as `GET /pools/{id}` answers it, or None."""
        ...

    async def delete_pool(self, account: str, pool_id: str) -> None:
        """Deletes the pool and returns when it is gone."""
        ...

    async def create_storage_account(self, account: str) -> None:
        """Makes the account known to the blob service."""
        ...

    async def delete_storage_account(self, account: str) -> None:
        """Deletes the account's containers and forgets the account."""
        ...

    async def create_container(self, account: str, container: str) -> None:
        """Creates a private blob container."""
        ...

    async def container_exists(self, account: str, container: str) -> bool:
        """Whether the container is there."""
        ...

    async def delete_container(self, account: str, container: str) -> None:
        """Deletes the container with its blobs."""
        ...
