"""Brings home what coordination commands printed, from the nodes that ran them.

Beside `jobs.collect`, which fetches what nodes have uploaded: this was never uploaded, and
is gone when its node is. Each task is asked for once, after it has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.collect import Collected, Progress, known_files
from jobs.command_lines import COORDINATION
from jobs.coordination import Instance, instances, local_log, on_several_nodes
from jobs.errors import InputError, NotFoundError, ServiceError
from jobs.logs import SOURCES
from jobs.results import ResultTree, write_json
from jobs.selection import position
from jobs.service import BatchService, segment
from jobs.threads import in_threads
from jobs.whole_files import replacing_bytes

_AT_ONCE = 16
_CONFLICT = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetched:
    """What was fetched of one task: `done` unless a node could not answer now."""

    files: int
    size: int
    gone: int
    done: bool


def collect_node_logs(
    job_id: str,
    tree: ResultTree,
    service: BatchService,
    stages: Mapping[str, int],
    *,
    skip: Collection[int] = (),
    progress: Progress | None = None,
) -> Collected:
    """Fetches what is new, to `logs/TASKID/coordination/NODE/`, but for positions to `skip`.

    Args:
        job_id: A job of the result tree.
        tree: Where to; what storage has of the job is there already.
        service: Where the job is.
        stages: Tasks of each stage, in order; empty for a job without stages.
        skip: Positions of tasks that do not count.
        progress: Called with files and bytes done, as they grow.

    Raises:
        ServiceError: Batch refuses.
        InputError: The result directory cannot be written.
    """
    starts = _several(service, job_id, stages)
    if not starts:
        return Collected(files=0, fetched=0, bytes_fetched=0, refused=())
    known: dict[str, Any] = known_files(tree)
    files = fetched = size = gone = 0

    def fetch(task: Mapping[str, Any]) -> tuple[Mapping[str, Any], _Fetched]:
        return task, _fetch(task, job_id, tree, service)

    try:
        wanted: list[Mapping[str, Any]] = []
        for task in _ended(job_id, service, starts):
            if position(task["id"]) in skip:
                continue
            before = known.get(_key(task), [None, 0])
            if before[0] == task["stateTransitionTime"]:
                files += before[1]
            else:
                wanted.append(task)
        for ended, got in in_threads(fetch, wanted, at_once=_AT_ONCE, name="node-logs"):
            files, fetched = files + got.files, fetched + got.files
            size, gone = size + got.size, gone + got.gone
            if got.done:
                known[_key(ended)] = [ended["stateTransitionTime"], got.files]
            if progress is not None:
                progress(fetched, size)
    except OSError as error:
        raise InputError(
            f"{error.filename or tree.root} cannot be written: {error.strerror}"
        ) from error
    finally:
        write_json(tree.collected_file, known)
    return Collected(files=files, fetched=fetched, bytes_fetched=size, refused=(), gone=gone)


def _several(service: BatchService, job_id: str, stages: Mapping[str, int]) -> Mapping[str, int]:
    """As `on_several_nodes`; of a job that is deleted nothing: what nodes kept is gone, too."""
    try:
        return on_several_nodes(service, job_id, stages)
    except NotFoundError:
        return {}


def _ended(job_id: str, service: BatchService, starts: Iterable[str]) -> Iterator[dict[str, Any]]:
    for start in starts:
        condition = "state eq 'completed'"
        if start:
            condition += f" and startswith(id,'{start}')"
        yield from service.pages(
            f"/jobs/{segment(job_id)}/tasks",
            f"listing tasks of {job_id}",
            **{"$filter": condition, "$select": "id,stateTransitionTime,nodeInfo"},
        )


def _key(task: Mapping[str, Any]) -> str:
    return f"{COORDINATION}/{task['id']}"


def _fetch(
    task: Mapping[str, Any], job_id: str, tree: ResultTree, service: BatchService
) -> _Fetched:
    files = size = gone = 0
    done = True
    for one in instances(service, job_id, task):
        if not one.number and local_log(tree.logs, task["id"], 0, SOURCES[0]).exists():
            continue  # the primary uploads its own, once the task's command has run
        missing = 0
        for source in SOURCES:
            path = local_log(tree.logs, task["id"], one.number, source)
            try:
                written = _write(path, one, service, source)
            except NotFoundError:
                missing += 1
            except ServiceError as error:
                if error.status != _CONFLICT:
                    raise
                done = False
            else:
                files += written > 0
                size += written
        if missing == len(SOURCES) and not one.is_there(service):
            gone += 1
    return _Fetched(files=files, size=size, gone=gone, done=done)


def _write(path: Path, instance: Instance, service: BatchService, source: str) -> int:
    """Writes what there is, whole or not at all; how many bytes. Nothing makes no file."""
    pieces = instance.pieces(service, source)
    first = next(pieces, b"")
    if not first:
        return 0
    with replacing_bytes(path) as stream:
        return stream.write(first) + sum(stream.write(piece) for piece in pieces)
