"""A stack, and clients of its services as the steps use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.blobs import ObstoreContainer
from jobs.contents import ContentCache
from jobs.results import Manifest
from jobs.service import BatchService, RetryPolicy, segment
from jobs.stack import Pool, Stack, load_stack, local_directory

if TYPE_CHECKING:
    from azure.mgmt.batch import BatchManagementClient

    from jobs.clients import Clients


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which stack a user means.

    Attributes:
        stack: Its name, or None.
        outputs: A file of its outputs, or None.
    """

    stack: str | None
    outputs: Path | None

    @classmethod
    def of(cls, manifest: Manifest) -> Target:
        """The stack that a job was submitted to."""
        outputs = manifest.outputs
        return cls(stack=manifest.stack, outputs=None if outputs is None else Path(outputs))

    @property
    def is_given(self) -> bool:
        """Whether there is anything to look up."""
        return self.stack is not None or self.outputs is not None

    @property
    def outputs_noted(self) -> str | None:
        """The file as result trees note it: absolute, so that it is found from anywhere."""
        return None if self.outputs is None else str(self.outputs.absolute())

    def option(self) -> str:
        """The option with which another command finds the same stack."""
        return f"--stack {self.stack}" if self.stack is not None else f"--outputs {self.outputs}"

    def load(self) -> Stack:
        """The stack's outputs.

        Raises:
            StackError: As `jobs.stack.load_stack`.
        """
        return load_stack(name=self.stack, outputs=self.outputs)


@dataclass(slots=True, kw_only=True)
class Session:
    """Clients for one stack; nothing is asked of a service until it is used."""

    stack: Stack
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    _clients: Clients | None = None
    _service: BatchService | None = None
    _containers: dict[str, ObstoreContainer] = field(default_factory=dict)

    @property
    def service(self) -> BatchService:
        """The Batch account.

        Raises:
            CredentialError: There is no key or token to be had.
        """
        if self._service is None:
            self._service = BatchService(client=self._made().batch, policy=self.policy)
        return self._service

    def container(self, name: str) -> ObstoreContainer:
        """A container of the data account."""
        if name not in self._containers:
            clients = self._made()
            self._containers[name] = ObstoreContainer(
                clients.container(name), name, lambda: clients.container_client(name)
            )
        return self._containers[name]

    def list_blobs(self, container: str, prefix: str) -> Iterator[tuple[str, str]]:
        """Names and etags of the blobs below a prefix.

        Raises:
            ServiceError: Storage refused, or there is no such container.
        """
        for blob in self.container(container).list(prefix):
            yield blob.name, blob.etag

    def management(self) -> BatchManagementClient:
        """Resource Manager's client.

        Raises:
            CredentialError: There is nothing to show to it.
        """
        return self._made().management

    def check_pool(self, pool: Pool) -> None:
        """Asks for the pool, so that a wrong key or a missing pool is known at once.

        Raises:
            ServiceError: Refused, or there is no such pool.
        """
        path = f"/pools/{segment(pool.id)}"
        self.service.get(path, f"looking for pool {pool.id}", **{"$select": "id,state"})

    def _made(self) -> Clients:
        if self._clients is None:
            # Azure's clients take half a second to import; many commands ask no service.
            from jobs.clients import Clients  # noqa: PLC0415

            self._clients = Clients(self.stack)
        return self._clients


def content_cache() -> ContentCache:
    """The cache of file hashes, beside the local state."""
    return ContentCache(local_directory() / "jobs" / "contents.sqlite")
