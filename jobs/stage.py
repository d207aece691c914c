"""Puts local files where nodes can read them: by content, and only what is not there.

A blob's name is the SHA-256 of what is in it, so one listing tells what need not be
sent; equal files, from any workload and under any name, are sent once. A blob is never
changed, so a running job keeps reading what it was planned with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.at_once import SMALL_BYTES, by_size
from jobs.blobs import PART_BYTES, Container
from jobs.checking import Checked
from jobs.contents import ContentCache, Contents, changed, unchanged
from jobs.errors import InputError, shown
from jobs.inputs import NodeFile
from jobs.task_bodies import BLOB_PREFIX, blob_name
from jobs.threads import in_threads

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


def unread(checked: Checked) -> dict[Path, Contents]:
    """A stand-in for what is in every local file: for a plan that only shows that there is one."""
    files = (*checked.program, *checked.input_files)
    return {file.local: Contents(sha256="0" * 64, size=0, stamp="") for file in files}


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
        progress: Called with files and bytes done.

    Raises:
        InputError: A file changed since it was looked at.
        ServiceError: Storage refused.
    """
    wanted: dict[str, Path] = {}
    for file in files:
        if file.local not in contents:
            raise changed(file.local)
        wanted[contents[file.local].sha256] = file.local
    if not wanted:
        return Staged(files=0, sent=0, bytes_sent=0)
    there = {blob.name: blob.size for blob in container.list(BLOB_PREFIX)}
    missing = [
        (path, contents[path])
        for sha256, path in wanted.items()
        if there.get(blob_name(sha256)) != contents[path].size
    ]
    sent_bytes = 0
    for sent, size in enumerate(_sent(missing, container), start=1):
        sent_bytes += size
        if progress is not None:
            progress(sent, sent_bytes)
    return Staged(files=len(wanted), sent=len(missing), bytes_sent=sent_bytes)


def _sent(missing: list[tuple[Path, Contents]], container: Container) -> Iterator[int]:
    """Uploads files; the size of each when it is there."""

    def send(item: tuple[Path, Contents]) -> int:
        path, expected = item

        def check() -> None:
            if not unchanged(path, expected):
                raise changed(path)

        check()
        container.put(blob_name(expected.sha256), path, check)
        return expected.size

    def write(read: tuple[bytes, Contents]) -> int:
        data, expected = read
        container.write(blob_name(expected.sha256), data)
        return expected.size

    for at_once, items in by_size(missing, lambda item: item[1].size, large=PART_BYTES):
        if items[0][1].size >= PART_BYTES:
            yield from in_threads(send, items, at_once=at_once, name="stage")
        elif items[0][1].size > SMALL_BYTES:
            yield from in_threads(
                lambda item: write(_read(item)), items, at_once=at_once, name="stage"
            )
        else:
            yield from in_threads(write, items, at_once=at_once, name="stage", before=_read)


def _read(item: tuple[Path, Contents]) -> tuple[bytes, Contents]:
    """What is in a file, if it still is what it was."""
    path, expected = item
    try:
        with path.open("rb", buffering=0) as stream:
            data = stream.read(expected.size + 1)
    except OSError as error:
        raise InputError(
            f"{shown(path)} cannot be read any more: {error.strerror}: run again when it can"
        ) from error
    if hashlib.sha256(data).hexdigest() != expected.sha256:
        raise changed(path)
    return data, expected
