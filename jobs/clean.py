"""What a job has left in Batch and in storage, and its removal: first shown, then done.

The result tree on this machine stays unless it is asked for by name: it is the only copy
that is left afterwards. Staged programs and inputs stay too; other jobs may use them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.blobs import Container
from jobs.errors import InputError, NotFoundError
from jobs.job_ids import folder_of
from jobs.results import Manifest, ResultTree
from jobs.service import BatchService, segment
from jobs.terminal import counted, size_text
from jobs.threads import in_threads

_DELETES_AT_ONCE = 8
"""As many connections as the SDK's client keeps, about: it makes and drops those beyond."""
_OVER = frozenset({"completed", "deleting"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """What a job has left in a container.

    Attributes:
        container: Its name.
        names: Of the blobs.
        size: Bytes, together.
    """

    container: str
    names: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What there is to remove of a result tree's jobs.

    Attributes:
        job_id: The first of them.
        jobs: Those that Batch still has, with their states.
        blobs: What they left in storage.
        tree: The result tree, if it is to go too.
        local_size: Bytes in it.
    """

    job_id: str
    jobs: tuple[tuple[str, str], ...]
    blobs: tuple[Blobs, ...]
    tree: Path | None
    local_size: int

    def lines(self) -> Iterator[str]:
        """What would be removed, for a person."""
        for job_id, state in self.jobs:
            yield f"job {job_id} ({state}) with its tasks"
        for found in self.blobs:
            if found.names:
                files = counted(len(found.names), "file")
                yield f"{files} ({size_text(found.size)}) in container {found.container}"
        if self.tree is not None:
            yield f"{self.tree}/ on this machine ({size_text(self.local_size)})"


def leftovers(
    manifest: Manifest,
    tree: ResultTree,
    service: BatchService,
    containers: dict[str, Container],
    *,
    local: bool,
) -> Leftovers:
    """Looks what there is; removes nothing.

    Raises:
        InputError: A job is not over.
        ServiceError: Batch or storage refuses.
    """
    jobs: list[tuple[str, str]] = []
    for job_id in manifest.job_ids:
        try:
            job = service.get(
                f"/jobs/{segment(job_id)}", f"reading job {job_id}", **{"$select": "id,state"}
            )
        except NotFoundError:
            continue
        if job["state"] not in _OVER:
            raise InputError(
                f"job {job_id} is {job['state']}: wait for it, or end it first "
                f"(python -m jobs cancel {manifest.job_id})"
            )
        jobs.append((job_id, job["state"]))
    found = []
    for name, container in containers.items():
        listed = [
            blob for job_id in manifest.job_ids for blob in container.list(f"{folder_of(job_id)}/")
        ]
        found.append(
            Blobs(
                container=name,
                names=tuple(blob.name for blob in listed),
                size=sum(blob.size for blob in listed),
            )
        )
    size = sum(path.lstat().st_size for path in tree.root.rglob("*")) if local else 0
    return Leftovers(
        job_id=manifest.job_id,
        jobs=tuple(jobs),
        blobs=tuple(found),
        tree=tree.root if local else None,
        local_size=size,
    )


def remove(left: Leftovers, service: BatchService, containers: dict[str, Container]) -> None:
    """Removes what was shown, the blobs first, so that a second attempt finds the rest.

    Raises:
        ServiceError: Batch or storage refuses.
        InputError: The result tree cannot be removed.
    """
    for found in left.blobs:
        delete = containers[found.container].delete
        for _ in in_threads(delete, found.names, at_once=_DELETES_AT_ONCE, name="clean"):
            pass
    for job_id, _ in left.jobs:
        try:
            service.call("DELETE", f"/jobs/{segment(job_id)}", f"deleting job {job_id}")
        except NotFoundError:
            continue
    if left.tree is not None:
        try:
            shutil.rmtree(left.tree)
        except OSError as error:
            raise InputError(f"{left.tree} cannot be removed: {error.strerror}") from error
