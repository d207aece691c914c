"""Blobs of one container: list, put, get. Bulk by obstore's sync API in threads.

Why not azure-storage-blob: ADR 0031 and benchmarks/staging.py. Why not obstore's async
API: it aborts the interpreter at exit now and then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import obstore
import obstore.exceptions as blob_errors

from jobs.errors import NotFoundError, UnavailableError
from jobs.large_blobs import LARGE_BYTES, get_in_ranges, put_in_blocks
from jobs.threads import apart
from jobs.translate import blob_errors_translated
from jobs.whole_files import replacing_bytes

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from obstore import Bytes, GetResult
    from obstore.store import AzureStore
    from typing_extensions import Buffer

_LIST_CHUNK = 5000
PART_BYTES = 8 << 20
"""A file from this size on is sent in parts, several at once."""
_AT_A_TIME = 1 << 20
"""Bytes of a blob in memory at most, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A blob as a listing tells of it.

    Attributes:
        name: Its full name.
        size: Bytes.
        etag: Changes with its contents.
    """

    name: str
    size: int
    etag: str


class Container(Protocol):
    """What staging and collecting need of a container. Threads may share it."""

    def list(self, prefix: str) -> Iterator[Blob]:
        """Blobs whose names begin with a prefix of whole segments (`a/b/`)."""
        ...

    def put(self, name: str, path: Path, check: Callable[[], None]) -> None:
        """Sends a file in parts; there is no blob if `check` raises when all has been read."""
        ...

    def write(self, name: str, contents: bytes) -> None:
        """Sends the contents of a blob of less than `PART_BYTES`, all at once."""
        ...

    def get(self, name: str, path: Path, listed: Blob | None = None) -> int:
        """Fetches a blob into a file that appears when it is whole; its size.

        `listed` is what a listing told of it, so that a large one is fetched in parts.
        """
        ...

    def read(self, listed: Blob) -> Buffer:
        """Fetches what is in a small blob, which is as long as a listing told."""
        ...

    def delete(self, name: str) -> None:
        """Removes a blob; one that is gone is no error."""
        ...


class ObstoreContainer:
    """A container through obstore.

    Raises:
        ServiceError: From every method, with what was being done.
    """

    def __init__(
        self, store: AzureStore, name: str, fallback: Callable[[], ContainerClient]
    ) -> None:
        """Takes the store, the container's name for messages, and the SDK's client.

        The SDK lists what obstore refuses to: one name with a newline or `//` in it
        ends an obstore listing, and tasks may leave any name.
        """
        self._store = store
        self._name = name
        self._fallback = fallback

    @cached_property
    def _client(self) -> ContainerClient:
        """One for all threads that delete: to make one takes as long as a request."""
        return self._fallback()

    def list(self, prefix: str) -> Iterator[Blob]:
        """Blobs below a prefix, 5,000 a request."""
        listed: set[str] = set()
        with blob_errors_translated(f"listing container {self._name}"):
            try:
                chunks = obstore.list(self._store, prefix, chunk_size=_LIST_CHUNK)
                while chunk := apart(lambda: next(chunks, None)):
                    for item in chunk:
                        etag = str(item["e_tag"] or "").strip('"')
                        listed.add(item["path"])
                        yield Blob(name=item["path"], size=item["size"], etag=etag)
            except blob_errors.InvalidPathError:
                pass
            else:
                return
            with self._fallback() as client:
                for blob in client.list_blobs(name_starts_with=prefix):
                    if blob.name not in listed:
                        etag = str(blob.etag).strip('"')
                        yield Blob(name=blob.name, size=blob.size or 0, etag=etag)

    def first(self, start: str) -> str | None:
        """The first blob whose name begins so, within a segment, too; in one request."""
        with (
            blob_errors_translated(f"listing container {self._name}"),
            self._fallback() as client,
        ):
            found = client.list_blobs(name_starts_with=start, results_per_page=1)
            return next((str(blob.name) for blob in found), None)

    def put(self, name: str, path: Path, check: Callable[[], None]) -> None:
        """Sends a file."""
        with (
            blob_errors_translated(f"uploading {path.name} to container {self._name}"),
            self._fallback() as client,
        ):
            put_in_blocks(client.get_blob_client(name), path, check)

    def write(self, name: str, contents: bytes) -> None:
        """Sends a blob."""
        with blob_errors_translated(f"uploading {name} to container {self._name}"):
            obstore.put(self._store, name, contents, use_multipart=False)

    def get(self, name: str, path: Path, listed: Blob | None = None) -> int:
        """Fetches a blob."""
        with blob_errors_translated(f"downloading {name} from container {self._name}"):
            if listed is None or listed.size < LARGE_BYTES:
                return apart(lambda: _written(obstore.get(self._store, name), path))
            path.parent.mkdir(parents=True, exist_ok=True)
            etag = f'"{listed.etag}"'
            get_in_ranges(self._store, name, path, size=listed.size, etag=etag)
            return listed.size

    def read(self, listed: Blob) -> Bytes:
        """Fetches a small blob."""
        with blob_errors_translated(f"downloading {listed.name} from container {self._name}"):
            got = obstore.get(self._store, listed.name)
            check_size(listed, got.meta["size"])
            return got.bytes()

    def delete(self, name: str) -> None:
        """Removes a blob, by the SDK: obstore deletes in batches, which it does not repeat."""
        with (
            contextlib.suppress(NotFoundError),
            blob_errors_translated(f"deleting {name} from container {self._name}"),
        ):
            self._client.delete_blob(name)


def check_size(listed: Blob, size: int) -> None:
    """Refuses what came of a blob if it is not as long as a listing told.

    Raises:
        UnavailableError: It is not.
    """
    if size != listed.size:
        raise UnavailableError(
            f"{listed.name} came with {size} bytes and is listed with {listed.size}: "
            "it is still being written; collect again"
        )


def _written(got: GetResult, path: Path) -> int:
    """Writes what comes to a file that appears when it is whole; its size."""
    size = 0
    with replacing_bytes(path) as stream:
        for chunk in got.stream(min_chunk_size=_AT_A_TIME):
            stream.write(chunk)
            size += len(chunk)
    return size
