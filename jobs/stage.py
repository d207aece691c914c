"""Puts local files where nodes can read them: by content, and only what is not there.

A blob's name is the SHA-256 of what is in it, so one listing tells what need not be
sent; equal files, from any workload and under any name, are sent once. A blob is never
changed, so a running job keeps reading what it was planned with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.blobs import PART_BYTES, Container
from jobs.checking import Checked
from jobs.contents import ContentCache, Contents, unchanged
from jobs.errors import InputError, shown
from jobs.inputs import NodeFile
from jobs.large_blobs import LARGE_AT_ONCE
from jobs.task_bodies import BLOB_PREFIX, blob_name
from jobs.threads import in_threads

SMALL_AT_ONCE = 128
"""Small files wait for the network, not for the processor: benchmarks/staging.py."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """What staging did.

    Attributes:
        files: Different contents that are needed.
        sent: Of them, how many were uploaded.
        bytes_sent: Their size.
    """

    files: int
    sent: int
    bytes_sent: int

    def __add__(self, other: Staged) -> Staged:
        """Both together."""
        return Staged(
            files=self.files + other.files,
            sent=self.sent + other.sent,
            bytes_sent=self.bytes_sent + other.bytes_sent,
        )


def contents_of(checked: Checked, cache: ContentCache) -> dict[Path, Contents]:
    """What is in every local file of a workload; a program not built yet is left out.

    Raises:
        InputError: A file cannot be read.
    """
    built = [file.local for file in checked.program if file.local.is_file()]
    return cache.look([*built, *(file.local for file in checked.input_files)])


def stage(
    files: Iterable[NodeFile],
    contents: Mapping[Path, Contents],
    container: Container,
    *,
    progress: Progress | None = None,
) -> Staged:
    """Uploads the files whose contents are not in the container.

    Args:
        files: Which; several may have the same contents.
        contents: What is in them.
        container: Where to.
        progress: Called with files and bytes done, from several threads.

    Raises:
        InputError: A file changed since it was looked at.
        ServiceError: Storage refused.
    """
    wanted = {contents[file.local].sha256: file.local for file in files}
    if not wanted:
        return Staged(files=0, sent=0, bytes_sent=0)
    there = {blob.name: blob.size for blob in container.list(BLOB_PREFIX)}
    missing = [
        (sha256, path)
        for sha256, path in wanted.items()
        if there.get(blob_name(sha256)) != contents[path].size
    ]
    sent = 0
    sent_bytes = 0
    small = [item for item in missing if contents[item[1]].size <= PART_BYTES]
    large = [item for item in missing if contents[item[1]].size > PART_BYTES]
    for items, at_once in ((small, SMALL_AT_ONCE), (large, LARGE_AT_ONCE)):
        uploads = in_threads(
            lambda item: _send(item[0], item[1], contents, container),
            items,
            at_once=at_once,
            name="stage",
        )
        for size in uploads:
            sent += 1
            sent_bytes += size
            if progress is not None:
                progress(sent, sent_bytes)
    return Staged(files=len(wanted), sent=len(missing), bytes_sent=sent_bytes)


def _send(sha256: str, path: Path, contents: Mapping[Path, Contents], container: Container) -> int:
    """Uploads a file if it still is what it was; a blob that may hold a mixture is removed."""
    expected = contents[path]
    if unchanged(path, expected):
        container.put(blob_name(sha256), path)
        if unchanged(path, expected):
            return expected.size
        container.delete(blob_name(sha256))
    raise InputError(
        f"{shown(path)} changed while it was being staged: run again when it is complete"
    )
