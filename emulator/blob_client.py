"""The emulator's own requests to Azurite, by the storage SDK, each with a client of its own.

Nodes have another client (`emulator.nodes.blobs`): theirs streams what tasks bring, with the
access that a task has; this one has the account's key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient, LinearRetry

_R = TypeVar("_R")


async def ask_storage(
    url: str, key: str, certificates: Path | None, work: Callable[[BlobServiceClient], _R]
) -> _R:
    """Does some work with a client of a storage account, in a thread.

    Args:
        url: Of the account's blobs, without a trailing slash.
        key: The account's, base64.
        certificates: File of what Azurite's certificate is trusted by; None without TLS.
        work: What to do; its answer is the answer.

    Raises:
        AzureError: What the SDK raises.
    """

    def call() -> _R:
        # A proxy that the machine is told to use leads away from the machine itself.
        trusted = str(certificates) if certificates else True
        direct = RequestsTransport(use_env_settings=False, connection_verify=trusted)
        # Azurite is on this machine, too: what fails for seconds fails for good.
        retry = LinearRetry(backoff=1, retry_total=3, random_jitter_range=0)
        with BlobServiceClient(
            url, credential=key, transport=direct, retry_policy=retry
        ) as service:
            return work(service)

    return await asyncio.to_thread(call)
