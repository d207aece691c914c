"""Adds tasks to a job in collections, until each of them is known to be in.

At most 100 at a time and under the service's limit of 1 MB, several in flight. Whatever happened
to a request, a task is counted as in only when the service said so: `Success`, or `TaskExists` for
a task that is compared and is the same one. Where a whole collection is there, somebody else may
be submitting the job, too: it is asked whether anything is missing at all. The job itself is
`jobs.submit`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import takewhile
from typing import Any

import orjson

from jobs.errors import ServiceError, UnavailableError
from jobs.service import BatchService, segment
from jobs.task_bodies import MAX_BYTES, PlannedTask, too_large
from jobs.threads import in_threads
from jobs.translate import from_code

MAX_COLLECTION_TASKS = 100
IN_FLIGHT = 8
_ITEM_ATTEMPTS = 8
_FEW = 3
"""So many tasks are read one by one."""
_COMPARED = (
    "displayName",
    "commandLine",
    "resourceFiles",
    "environmentSettings",
    "requiredSlots",
    "dependsOn",
    "multiInstanceSettings",
)
_HEAD, _TAIL = b'{"value":[', b"]}"

Progress = Callable[[int], None]


def collections(
    tasks: Iterable[PlannedTask],
    *,
    max_tasks: int = MAX_COLLECTION_TASKS,
    max_bytes: int = MAX_BYTES,
) -> Iterator[list[PlannedTask]]:
    """Cuts tasks, in order, into collections within both limits.

    Raises:
        InputError: One task alone is over the limit.
    """
    batch: list[PlannedTask] = []
    size = len(_HEAD) + len(_TAIL)
    for task in tasks:
        needed = len(task.body) + 1
        if len(_HEAD) + len(_TAIL) + needed > max_bytes:
            raise too_large(task, max_bytes)
        if batch and (len(batch) >= max_tasks or size + needed > max_bytes):
            yield batch
            batch, size = [], len(_HEAD) + len(_TAIL)
        batch.append(task)
        size += needed
    if batch:
        yield batch


class CountedTasks:
    """Counts tasks that are in, over threads, and tells.

    Attributes:
        total: How many.
        whole: Whether it turned out that none is missing any more: somebody else has finished the
            submission.
    """

    def __init__(self, progress: Progress | None) -> None:
        self.total = 0
        self.whole = False
        self._progress = progress
        self._lock = threading.Lock()

    def add(self, number: int) -> None:
        """So many more are in."""
        with self._lock:
            self.total += number
            if self._progress is not None and number:
                self._progress(self.total)


def add_all(
    tasks: Iterable[PlannedTask],
    service: BatchService,
    path: str,
    counter: CountedTasks,
    is_whole: Callable[[], bool],
) -> None:
    """Sends collections with a bounded number in flight; the first error ends it.

    Args:
        tasks: What is missing.
        service: Where.
        path: The job's.
        counter: Told of what is in; `whole` once nothing more needs to be sent.
        is_whole: Asks whether the job has all its tasks; called where others were faster.

    Raises:
        ServiceError: A task is refused, or exists and is another one.
        InputError: One task alone is too large.
    """
    add = partial(_add, service=service, path=path, counter=counter, is_whole=is_whole)
    tasks = takewhile(lambda _: not counter.whole, tasks)
    for _ in in_threads(add, collections(tasks), at_once=IN_FLIGHT, name="submit"):
        pass


def _add(
    batch: list[PlannedTask],
    service: BatchService,
    path: str,
    counter: CountedTasks,
    is_whole: Callable[[], bool],
) -> None:
    """Adds one collection, until each of its tasks is known to be in."""
    doing = f"adding tasks to {path.rpartition('/')[2]}"
    pending = batch
    attempt = 0
    while pending and not counter.whole:
        attempt += 1
        body = _HEAD + b",".join(task.body for task in pending) + _TAIL
        try:
            answer = service.call("POST", f"{path}/addtaskcollection", doing, body=body)
        except ServiceError as error:
            if error.code == "RequestBodyTooLarge" and len(pending) > 1:
                middle = len(pending) // 2
                _add(pending[:middle], service, path, counter, is_whole)
                _add(pending[middle:], service, path, counter, is_whole)
                return
            raise
        again, there = _settle(pending, answer["value"])
        if len(there) == len(pending) and len(there) > _FEW and is_whole():
            counter.whole = True
            return
        _require_same(there, service, path)
        counter.add(len(pending) - len(again))
        if again and attempt >= _ITEM_ATTEMPTS:
            raise UnavailableError(
                f"{doing}: the service failed {len(again)} tasks {attempt} times, "
                f"{again[0].id} among them"
            )
        if again:
            service.pause(service.policy.wait_s(attempt, None, 0.5))
        pending = again


def _settle(
    sent: list[PlannedTask], results: list[dict[str, Any]]
) -> tuple[list[PlannedTask], list[PlannedTask]]:
    """Tasks that must be sent again, and those that exist; the others were added.

    Raises:
        ServiceError: A task is refused.
    """
    by_id = {result["taskId"]: result for result in results}
    again: list[PlannedTask] = []
    there: list[PlannedTask] = []
    for task in sent:
        result = by_id.get(task.id, {})
        status = str(result.get("status", "")).lower()
        error = result.get("error") or {}
        code = str(error.get("code", ""))
        if status == "success":
            continue
        if code == "TaskExists":
            there.append(task)
        elif status == "clienterror":
            said = str((error.get("message") or {}).get("value") or "")
            raise from_code(
                f"task {task.id}",
                code=code,
                message=next(iter(said.splitlines()), "the service does not say why"),
                details="; ".join(
                    f"{value.get('key')}: {value.get('value')}"
                    for value in error.get("values") or ()
                ),
            )
        else:
            again.append(task)
    return again, there


def _require_same(tasks: list[PlannedTask], service: BatchService, path: str) -> None:
    """Accepts tasks that exist if they do the same.

    The service fills defaults in and normalises, so what it gives back is compared
    member by member, as far as we set it.

    Raises:
        ServiceError: One is another one.
    """
    found = _listed(tasks, service, path) if len(tasks) > _FEW else {}
    for task in tasks:
        there = found.get(task.id)
        if there is None:
            there = service.get(f"{path}/tasks/{segment(task.id)}", f"reading task {task.id}")
        wanted = orjson.loads(task.body)
        for member in _COMPARED:
            if member in wanted and not _contains(there.get(member), wanted[member]):
                raise another_task(task.id, member)


def _listed(
    tasks: list[PlannedTask], service: BatchService, path: str
) -> dict[str, dict[str, Any]]:
    """Tasks of a job by id, from the first to the last of these, by one list.

    Ids can be compared in a filter (OData filters in Batch, `List tasks`).
    """
    ids = sorted(task.id for task in tasks)
    query = {
        "$filter": f"id ge '{ids[0]}' and id le '{ids[-1]}'",
        "$select": ",".join(("id", *_COMPARED)),
    }
    doing = f"comparing tasks of {path.rpartition('/')[2]}"
    return {task["id"]: task for task in service.pages(f"{path}/tasks", doing, **query)}


def another_task(task_id: str, member: str) -> ServiceError:
    """What is wrong where a task of a job is not the one that is to be added."""
    return ServiceError(
        f"task {task_id} exists in the job and differs in {member}: "
        "a file that it needs has changed since, or somebody else writes to this job",
        code="TaskExists",
    )


def _contains(have: Any, want: Any) -> bool:
    """Whether `have` is `want`, perhaps with more members."""
    if isinstance(want, dict):
        return isinstance(have, dict) and all(_contains(have.get(k), v) for k, v in want.items())
    if isinstance(want, list):
        return (
            isinstance(have, list) and len(have) == len(want) and all(map(_contains, have, want))
        )
    return bool(have == want)
