"""Data planes in memory: what `mocks` and the tests of the model put behind it.

It keeps what it is given and answers a pool as the service would right after creation:
no nodes, steady. It schedules nothing. `fail_on_call` makes one call fail, to see what
an interrupted deployment leaves behind.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from emulator.applications.blobs import container_name
from emulator.applications.catalogue import Catalogue
from emulator.arm.backend import BackendError


class MemoryBackend:
    """An in-memory `Backend`.

    Attributes:
        accounts: Pool bodies by Batch account and pool id.
        containers: Container names by storage account.
        calls: Names and arguments of every changing call, in order.
        fail_on_call: Number (from 1) of the changing call that fails once, or None.
        on_call: Is told the number of each changing call before it is made.
    """

    def __init__(
        self, batch_endpoint: str = "http://127.0.0.1:1", blob_endpoint: str = "http://127.0.0.1:2"
    ) -> None:
        self.accounts: dict[str, dict[str, dict[str, Any]]] = {}
        self.containers: dict[str, set[str]] = {}
        self.catalogues: dict[str, Catalogue] = {}
        self.auto_storage: dict[str, str | None] = {}
        self.calls: list[tuple[str, ...]] = []
        self.fail_on_call: int | None = None
        self.on_call: Callable[[int], None] | None = None
        self._batch_endpoint = batch_endpoint
        self._blob_endpoint = blob_endpoint

    def batch_endpoint(self, account: str) -> str:
        """URL of the Batch data plane, one for all accounts."""
        del account
        return self._batch_endpoint

    def blob_endpoint(self, account: str) -> str:
        """URL of a storage account's blobs."""
        return f"{self._blob_endpoint}/{account}"

    async def create_batch_account(self, account: str) -> None:
        """Makes the account known."""
        self._called("create_batch_account", account)
        self.accounts.setdefault(account, {})

    async def delete_batch_account(self, account: str) -> None:
        """Removes the account with its pools."""
        self._called("delete_batch_account", account)
        self.accounts.pop(account, None)
        self.catalogues.pop(account, None)

    async def link_auto_storage(self, account: str, storage_account: str | None) -> None:
        """Remembers the link."""
        if self.auto_storage.get(account) != storage_account:
            self._called("link_auto_storage", account, storage_account or "")
        self.auto_storage[account] = storage_account

    def applications(self, account: str) -> Catalogue:
        """The account's applications; nothing is ever uploaded."""
        if account not in self.accounts:
            raise BackendError("AccountNotFound", f"there is no Batch account {account}")
        blobs = MemoryBlobs()
        made = Catalogue(account, blobs, now=lambda: "2026-01-05T12:00:00Z")
        return self.catalogues.setdefault(account, made)

    async def put_pool(self, account: str, pool_id: str, body: dict[str, Any]) -> None:
        """Creates or replaces a pool."""
        self._called("put_pool", account, pool_id)
        if account not in self.accounts:
            raise BackendError("AccountNotFound", f"there is no Batch account {account}")
        self.accounts[account][pool_id] = copy.deepcopy(body)

    async def get_pool(self, account: str, pool_id: str) -> dict[str, Any] | None:
        """The pool as the service answers it."""
        body = self.accounts.get(account, {}).get(pool_id)
        if body is None:
            return None
        nodes = {"currentDedicatedNodes": 0, "currentLowPriorityNodes": 0}
        return {"state": "active", "allocationState": "steady", **nodes, **copy.deepcopy(body)}

    async def delete_pool(self, account: str, pool_id: str) -> None:
        """Deletes the pool."""
        self._called("delete_pool", account, pool_id)
        self.accounts.get(account, {}).pop(pool_id, None)

    async def create_storage_account(self, account: str) -> None:
        """Makes the account known."""
        self._called("create_storage_account", account)
        self.containers.setdefault(account, set())

    async def delete_storage_account(self, account: str) -> None:
        """Deletes the account with its containers."""
        self._called("delete_storage_account", account)
        self.containers.pop(account, None)

    async def create_container(self, account: str, container: str) -> None:
        """Creates a container."""
        self._called("create_container", account, container)
        self.containers.setdefault(account, set()).add(container)

    async def container_exists(self, account: str, container: str) -> bool:
        """Whether the container is there."""
        return container in self.containers.get(account, set())

    async def delete_container(self, account: str, container: str) -> None:
        """Deletes a container."""
        self._called("delete_container", account, container)
        self.containers.get(account, set()).discard(container)

    def _called(self, *call: str) -> None:
        self.calls.append(call)
        if self.on_call is not None:
            self.on_call(len(self.calls))
        if self.fail_on_call is not None and len(self.calls) >= self.fail_on_call:
            self.fail_on_call = None
            raise BackendError("InternalError", f"{call[0]} was made to fail")


class MemoryBlobs:
    """`PackageBlobs` that hold what they are told to.

    Attributes:
        uploaded: Account, application in lower case and blob of what is there.
    """

    def __init__(self) -> None:
        self.uploaded: set[tuple[str, str, str]] = set()

    async def prepare(self, account: str, application: str) -> None:
        """Does nothing."""

    def url(self, account: str, application: str, blob: str, *, write: bool) -> str:
        """A URL that leads nowhere."""
        access = "rw" if write else "r"
        return f"http://127.0.0.1:2/{account}/{container_name(application)}/{blob}?sp={access}"

    async def exists(self, account: str, application: str, blob: str) -> bool:
        """Whether it was uploaded."""
        return (account, application.lower(), blob) in self.uploaded

    async def delete(self, account: str, application: str, blob: str) -> None:
        """Forgets it."""
        self.uploaded.discard((account, application.lower(), blob))
