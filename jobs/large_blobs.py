"""Large files: in blocks, several at a time, and after an interruption only what is missing.

Up, Azure keeps the blocks of an upload that was never committed for a week. A block's id
tells its place and its checksum, so those of an earlier attempt are known again, and those
of a file that has changed since are not. Down, ranges go into a file beside the target, with
a record of those that are there; the target appears when it is whole.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import obstore
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobClient
from obstore.store import AzureStore

LARGE_BYTES = 64 << 20
"""From this size on a file goes in blocks that survive an interruption."""
BLOCK_BYTES = 8 << 20
MOST_BLOCKS = 50_000
"""Of a blob: https://learn.microsoft.com/rest/api/storageservices/put-block-list"""
_AT_ONCE = 8
_PARTIAL = ".part-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of a file: its place among the blocks, first byte and number of bytes."""

    index: int
    start: int
    length: int


def blocks_of(size: int) -> list[Block]:
    """The blocks of a file, at most `MOST_BLOCKS`."""
    length = max(BLOCK_BYTES, -(-size // MOST_BLOCKS))
    return [
        Block(index=index, start=start, length=min(length, size - start))
        for index, start in enumerate(range(0, size, length))
    ]


def put_in_blocks(client: BlobClient, path: Path) -> None:
    """Sends a file; blocks that an earlier attempt sent are not sent again.

    Raises:
        AzureError: Storage refused.
        OSError: The file cannot be read.
    """
    try:
        _, uncommitted = client.get_block_list("uncommitted")
    except ResourceNotFoundError:
        uncommitted = []
    there = {block.id: block.size for block in uncommitted}
    with path.open("rb", buffering=0) as stream:
        blocks = blocks_of(os.fstat(stream.fileno()).st_size)
        ids: dict[int, str] = {}

        def send(block: Block) -> None:
            data = os.pread(stream.fileno(), block.length, block.start)
            block_id = ids[block.index] = _block_id(block, data)
            if there.get(block_id) != len(data):
                client.stage_block(block_id, data, length=len(data))

        _each(send, blocks)
    client.commit_block_list([BlobBlock(block_id=ids[block.index]) for block in blocks])


def _block_id(block: Block, data: bytes) -> str:
    # All ids of a blob have to be of one length.
    return base64.b64encode(f"{block.index:06d}{zlib.crc32(data):08x}".encode()).decode()


def get_in_ranges(store: AzureStore, name: str, path: Path, *, size: int, etag: str) -> None:
    """Fetches a blob into a file that appears when it is whole.

    Args:
        store: Of the container.
        name: Of the blob.
        path: Of the file; its directory exists.
        size: Of the blob.
        etag: Of the blob: one that changes meanwhile is not mixed.

    Raises:
        obstore.exceptions.BaseError: Storage refused, or the blob changed.
        OSError: The file cannot be written.
    """
    with _partial(path, name, size, etag) as partial:

        def fetch(block: Block) -> None:
            end = block.start + block.length
            got = obstore.get(store, name, options={"range": (block.start, end), "if_match": etag})
            at = block.start
            for chunk in got.stream(min_chunk_size=1 << 20):
                at += os.pwrite(partial.stream.fileno(), chunk, at)
            if at != end:
                raise OSError(f"{name} ended at byte {at} of {size}")
            partial.mark(block)

        _each(fetch, partial.missing(blocks_of(size)))
        partial.path.replace(path)


@dataclass(slots=True, kw_only=True)
class _Partial:
    """A download under way: its file, and the record of the blocks that are in it, if any."""

    stream: IO[bytes]
    path: Path
    record: IO[str] | None
    done: set[int] = field(default_factory=set)

    def missing(self, blocks: Iterable[Block]) -> list[Block]:
        return [block for block in blocks if block.index not in self.done]

    def mark(self, block: Block) -> None:
        self.done.add(block.index)
        if self.record is not None:
            self.record.write(f"{block.index}\n")
            self.record.flush()


@contextmanager
def _partial(path: Path, name: str, size: int, etag: str) -> Iterator[_Partial]:
    """The file beside `path`; what is left of an earlier attempt at the same blob, if there is.

    Somebody else who fetches the same at the same time keeps theirs: this one begins anew,
    in a file that is not kept.
    """
    digest = hashlib.sha256(f"{name}\n{etag}\n{size}".encode("utf-8", "surrogatepass")).hexdigest()
    kept = path.parent / f"{_PARTIAL}{digest[:24]}"
    record_path = kept.with_suffix(".blocks")
    with record_path.open("a+", encoding="ascii", errors="replace") as record:
        if not _ours(record, record_path):
            with _unkept(path, size) as partial:
                yield partial
            return
        done = _recorded(record) if kept.exists() else set()
        if not done:
            record.truncate(0)
        try:
            with kept.open("r+b" if done else "w+b", buffering=0) as stream:
                os.posix_fallocate(stream.fileno(), 0, size)
                yield _Partial(stream=stream, path=kept, record=record, done=done)
        finally:
            if not done or not kept.exists():
                kept.unlink(missing_ok=True)
                record_path.unlink(missing_ok=True)


def _ours(record: IO[str], path: Path) -> bool:
    """Whether the lock of a record is had, and the record is still the one of that name.

    Whoever had it before may have taken the record away between our opening and locking it.
    """
    try:
        fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(record.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


@contextmanager
def _unkept(path: Path, size: int) -> Iterator[_Partial]:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_PARTIAL)
    try:
        with os.fdopen(handle, "r+b", buffering=0) as stream:
            os.posix_fallocate(stream.fileno(), 0, size)
            yield _Partial(stream=stream, path=Path(temporary), record=None)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _recorded(record: IO[str]) -> set[int]:
    """Indexes in a record; a line that a crash cut off is taken away, a damaged record is none."""
    record.seek(0)
    whole, newline, _ = record.read().rpartition("\n")
    record.truncate(len(whole) + len(newline))
    try:
        return {int(line) for line in whole.split("\n")} if whole else set()
    except ValueError:
        return set()


def _each(act: Callable[[Block], None], blocks: list[Block]) -> None:
    """Acts on each block, several at a time; the first failure ends it."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="blocks") as pool:
        futures = [pool.submit(act, block) for block in blocks]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
