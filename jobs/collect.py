"""Brings outputs and logs home: in parallel, only what is new, each file whole or not at all.

What a task leaves has names that nobody here chose. A blob whose name would put it
outside the result tree, that no file system takes, or that is another's to the one here
(`jobs.folded_names`), is reported and not written. A backslash is not seen here: blob
storage makes a `/` of it when a node uploads the file.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from jobs.at_once import SMALL_BYTES, by_size
from jobs.blobs import Blob, Container, check_size
from jobs.errors import InputError, ServiceError, TaskFailureError
from jobs.folded_names import Fold, folding
from jobs.job_ids import folder_of
from jobs.large_blobs import LARGE_BYTES
from jobs.results import ResultTree, write_json
from jobs.selection import position
from jobs.threads import in_threads
from jobs.whole_files import replace_small

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MAX_NAME_BYTES = 255
_KEEP_EVERY_S = 5.0
_OF_ONE_FILE = frozenset(
    {errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.ELOOP}
)
_MOST_TOLD = 5
_FORBIDDEN = frozenset(chr(code) for code in range(32)) | {"\\", "\x7f"}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What collecting did.

    Attributes:
        files: Files that the job has left.
        fetched: Of them, how many were downloaded now.
        bytes_fetched: Their size.
        refused: Names of blobs that were not written, each with the reason.
        gone: Nodes that had logs of coordination commands and are no more.
    """

    files: int
    fetched: int
    bytes_fetched: int
    refused: tuple[str, ...]
    gone: int = 0

    def __add__(self, other: Collected) -> Collected:
        """Both together."""
        return Collected(
            files=self.files + other.files,
            fetched=self.fetched + other.fetched,
            bytes_fetched=self.bytes_fetched + other.bytes_fetched,
            refused=self.refused + other.refused,
            gone=self.gone + other.gone,
        )


def collect(
    job_id: str,
    tree: ResultTree,
    *,
    outputs: Container,
    logs: Container,
    skip: Collection[int] = (),
    progress: Progress | None = None,
) -> Collected:
    """Downloads what a job has left so far, but for tasks at positions to `skip`.

    Raises:
        ServiceError: Storage refused, or a file came with another length than listed.
        InputError: The result directory cannot be written.
    """
    known = known_files(tree)
    keep = _keeper(lambda: write_json(tree.collected_file, known))
    total = Collected(files=0, fetched=0, bytes_fetched=0, refused=())
    try:
        fold = folding(tree.root)
        for container, directory, kind in (
            (logs, tree.logs, "logs"),
            (outputs, tree.outputs, "outputs"),
        ):
            prefix = f"{folder_of(job_id)}/"
            total += _collect(
                container, prefix, directory, kind, known, skip, progress, keep, fold
            )
    except OSError as error:
        raise InputError(
            f"{error.filename or tree.root} cannot be written: {error.strerror or error}"
        ) from error
    finally:
        if known or tree.collected_file.exists():
            write_json(tree.collected_file, known)
    return total


def incomplete(collected: Collected) -> TaskFailureError | None:
    """What to end with where files were left in storage because of their names."""
    if not collected.refused:
        return None
    files = "1 file" if len(collected.refused) == 1 else f"{len(collected.refused):,} files"
    left = len(collected.refused) - _MOST_TOLD
    more = f"\n  and {left:,} more" if left > 0 else ""
    return TaskFailureError(
        f"{files} that tasks left cannot be written under the result directory, by name:\n  "
        + "\n  ".join(collected.refused[:_MOST_TOLD])
        + f"{more}\nThey stay in storage. Let the tasks name them otherwise, or leave them out of "
        "`outputs`"
    )


def local_path(name: str, directory: Path, inside: set[str] | None = None) -> Path:
    """Where a blob's file belongs.

    Args:
        name: Of the blob, below its job.
        directory: What it belongs into.
        inside: Directories below that one which lead nowhere else; those found to are added, so
            that of many files of one task it is looked at once.

    Raises:
        ValueError: Nowhere: the name leaves the directory, or is no name of a file.
    """
    parts = name.split("/")
    for part in parts:
        if part in {"", ".", ".."}:
            raise ValueError("a part of its name is empty, `.` or `..`")
        if not _FORBIDDEN.isdisjoint(part):
            raise ValueError("its name has a control character or a backslash")
        if len(part.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
            raise ValueError("a part of its name is longer than a file's name can be")
    inside = set() if inside is None else inside
    for depth in range(1, len(parts)):
        below = "/".join(parts[:depth])
        if below in inside:
            continue
        place = directory / below
        if place.is_symlink() and not place.resolve().is_relative_to(directory.resolve()):
            raise ValueError("it would be outside the result directory")
        inside.add(below)
    return directory.joinpath(*parts)


def _collect(
    container: Container,
    prefix: str,
    directory: Path,
    kind: str,
    known: dict[str, Any],
    skip: Collection[int],
    progress: Progress | None,
    keep: Callable[[], None],
    fold: Fold | None,
) -> Collected:
    refused: list[str] = []
    wanted: list[tuple[Blob, Path]] = []
    inside: set[str] = set()
    taken: dict[str, str] = {}
    files = 0
    listed: Iterable[Blob] = container.list(prefix)
    if fold is not None:
        # the one that is here keeps its name, whatever comes before it in a listing
        listed = sorted(
            listed, key=lambda blob: f"{kind}/{blob.name.removeprefix(prefix)}" not in known
        )
    for blob in listed:
        name = blob.name.removeprefix(prefix)
        if skip and position(name.partition("/")[0]) in skip:
            continue
        files += 1
        try:
            path = local_path(name, directory, inside)
        except ValueError as error:
            refused.append(f"{kind}/{name!r}: {error}")
            continue
        if fold is not None and (first := taken.setdefault(fold(name), name)) != name:
            refused.append(f"{kind}/{name!r}: it would be the same file here as {first!r}")
            continue
        if known.get(f"{kind}/{name}") != [blob.etag, blob.size] or not _has(path, blob.size):
            wanted.append((blob, path))
    fetched_bytes = number = 0
    for blob, problem in fetched(container, wanted):
        name = blob.name.removeprefix(prefix)
        if problem is not None:
            refused.append(f"{kind}/{name!r}: {problem.strerror}")
            continue
        number += 1
        fetched_bytes += blob.size
        known[f"{kind}/{name}"] = [blob.etag, blob.size]
        keep()
        if progress is not None:
            progress(number, fetched_bytes)
    return Collected(
        files=files, fetched=number, bytes_fetched=fetched_bytes, refused=tuple(refused)
    )


def fetched(
    container: Container, wanted: list[tuple[Blob, Path]]
) -> Iterator[tuple[Blob, OSError | None]]:
    """Downloads blobs into files, each of which appears when it is whole; they come as they do.

    With each comes why it alone could not be written: what tasks leave may be a file of one and a
    directory of another.

    Raises:
        ServiceError: Storage refused, or a file came with another length than listed.
        OSError: No file can be written, such as on a full disk.
    """
    for at_once, items in by_size(wanted, lambda item: item[0].size, large=LARGE_BYTES):
        if items[0][0].size <= SMALL_BYTES:
            yield from in_threads(
                lambda item: (*item, container.read(item[0])),
                items,
                at_once=at_once,
                name="collect",
                after=_written,
            )
        else:
            yield from in_threads(
                lambda item: _fetched_into_file(container, *item),
                items,
                at_once=at_once,
                name="collect",
            )


def _written(read: tuple[Blob, Path, Buffer]) -> tuple[Blob, OSError | None]:
    blob, path, contents = read
    try:
        replace_small(path, contents)
    except OSError as error:
        return blob, _alone(error)
    return blob, None


def _fetched_into_file(
    container: Container, blob: Blob, path: Path
) -> tuple[Blob, OSError | None]:
    try:
        size = container.get(blob.name, path, blob)
    except OSError as error:
        return blob, _alone(error)
    try:
        check_size(blob, size)
    except ServiceError:
        path.unlink(missing_ok=True)
        raise
    return blob, None


def _alone(error: OSError) -> OSError:
    """The error, if it is of one file's name and no other's.

    Raises:
        OSError: It is not.
    """
    if error.errno not in _OF_ONE_FILE:
        raise error
    return error


def _keeper(write: Callable[[], None]) -> Callable[[], None]:
    """Writes now and then: what a kill or a full disk ends later is not fetched again."""
    due = time.monotonic() + _KEEP_EVERY_S

    def keep() -> None:
        nonlocal due
        if (began := time.monotonic()) >= due:
            write()
            ended = time.monotonic()
            due = ended + max(_KEEP_EVERY_S, 20 * (ended - began))

    return keep


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat(follow_symlinks=False).st_size == size
    except OSError:
        return False


def known_files(tree: ResultTree) -> dict[str, Any]:
    """What was collected; a damaged record only means collecting again."""
    try:
        known = orjson.loads(tree.collected_file.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
