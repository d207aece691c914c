"""Large files: in blocks, several at a time, and after an interruption only what is missing.

Up, Azure keeps the blocks of an upload that was never committed for a week. A block's id
tells its place and its checksum, so those of an earlier attempt are known again, and those
of a file that has changed since are not. Down, ranges go into a file beside the target, with
a record of those that are there; the target appears when it is whole. The record and the target
tell of nothing that is not on the disk: room is taken in advance, so that after a power loss
what was not yet there would be zeros, in a file of the right size.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import obstore
from azure.core.exceptions import ResourceNotFoundError

from jobs.errors import UnavailableError
from jobs.threads import in_threads
from jobs.whole_files import PARTIAL, replacing_bytes

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient
    from obstore.store import AzureStore

LARGE_BYTES = 64 << 20
"""From this size on a file goes in blocks that survive an interruption."""
BLOCK_BYTES = 8 << 20
MOST_BLOCKS = 50_000
"""Of a blob: https://learn.microsoft.com/rest/api/storageservices/put-block-list"""
_AT_ONCE = 8
_TOGETHER = 8
"""Blocks that are waited for until the disk has them; while one thread does, others fetch."""


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


def put_in_blocks(client: BlobClient, path: Path, check: Callable[[], None]) -> None:
    """Sends a file; blocks that an earlier attempt sent are not sent again.

    Args:
        client: Of the blob.
        path: Of the file.
        check: Is called when all has been read; what it raises keeps the blob from being made.

    Raises:
        AzureError: Storage refused.
        OSError: The file cannot be read.
    """
    # Takes as long to import as all of the jobs package, and few files are large.
    from azure.storage.blob import BlobBlock  # noqa: PLC0415

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
    check()
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
        UnavailableError: A range came with fewer bytes than it has.
        OSError: The file cannot be written.
    """
    with _partial(path, name, f"{etag} {size}") as partial:
        if hasattr(os, "posix_fallocate"):  # macOS has none, and meets a full disk on the way
            os.posix_fallocate(partial.stream.fileno(), 0, size)

        def fetch(block: Block) -> None:
            end = block.start + block.length
            got = obstore.get(store, name, options={"range": (block.start, end), "if_match": etag})
            at = block.start
            for chunk in got.stream(min_chunk_size=1 << 20):
                at += os.pwrite(partial.stream.fileno(), chunk, at)
            if at != end:
                raise UnavailableError(
                    f"{name} came with bytes {block.start} to {at}, and those to {end} were asked "
                    "for: the connection was cut short; collect again"
                )
            partial.mark(block)

        _each(fetch, [block for block in blocks_of(size) if block.index not in partial.done])
        partial.settle()


@dataclass(slots=True, kw_only=True)
class _Partial:
    """A download under way: its file, and the record of the blocks that are in it, if any."""

    stream: IO[bytes]
    record: IO[str] | None = None
    done: set[int] = field(default_factory=set)
    _written: list[int] = field(default_factory=list)
    _settling: threading.Lock = field(default_factory=threading.Lock)
    _failed: bool = False

    def mark(self, block: Block) -> None:
        """Notes that a block is written, and now and then that those before are on the disk."""
        self._written.append(block.index)
        if len(self._written) >= _TOGETHER:
            self.settle()

    def settle(self) -> None:
        """Records what is written, once the disk has it; not while somebody else does.

        Raises:
            OSError: The disk does not take it. What it took before is not to be trusted either:
                the system says so once, and then takes what it could not write for written.
        """
        if not self._settling.acquire(blocking=False):
            return
        try:
            count = len(self._written)
            if self._failed or not count:
                return
            try:
                _to_disk(self.stream.fileno())
            except OSError:
                self._failed = True
                self.done.clear()
                raise
            settled, self._written[:count] = self._written[:count], []
            self.done.update(settled)
            if self.record is not None:
                self.record.writelines(f"{index}\n" for index in settled)
                self.record.flush()
        finally:
            self._settling.release()


def _to_disk(handle: int) -> None:
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS, whose fsync leaves it in the drive's memory
        fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(handle)


@contextmanager
def _partial(path: Path, name: str, version: str) -> Iterator[_Partial]:
    """What becomes the file `path`, with what an earlier attempt at the same blob left of it.

    What it left of another version of the blob is written over. Somebody else who fetches it
    at the same time keeps theirs: this one begins anew, in a file that is not kept.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    kept = path.parent / f"{PARTIAL}{digest[:24]}"
    record_path = kept.with_suffix(".blocks")
    with record_path.open("a+", encoding="ascii", errors="replace") as record:
        if not _ours(record, record_path):
            with replacing_bytes(path) as stream:
                yield _Partial(stream=stream)
            return
        done = _recorded(record, version) if kept.exists() else set()
        try:
            if not done:
                record.truncate(0)
                record.write(f"{version}\n")
                record.flush()
                _to_disk(record.fileno())  # or an earlier one could tell of blocks of this file
            with kept.open("r+b" if done else "w+b", buffering=0) as stream:
                partial = _Partial(stream=stream, record=record, done=done)
                try:
                    yield partial
                except BaseException:
                    with suppress(OSError):
                        partial.settle()
                    raise
            kept.replace(path)
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


def _recorded(record: IO[str], version: str) -> set[int]:
    """Indexes in the record of a version of a blob; one that is damaged or another's has none.

    A line that a crash cut off is taken away.
    """
    record.seek(0)
    whole, newline, _ = record.read().rpartition("\n")
    record.truncate(len(whole) + len(newline))
    first, *lines = whole.split("\n")
    try:
        return {int(line) for line in lines} if first == version else set()
    except ValueError:
        return set()


def _each(act: Callable[[Block], None], blocks: list[Block]) -> None:
    """Acts on each block, several at a time."""
    for _ in in_threads(act, blocks, at_once=_AT_ONCE, name="blocks"):
        pass
