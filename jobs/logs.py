"""What tasks printed: from the result tree, from storage, or from the node while they run.

Reading is by lines, so that a log of any length passes through; a follower asks for what
is new by offset, and each task's state once a round. Nothing is printed here.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jobs.blobs import Container
from jobs.command_lines import COORDINATION
from jobs.coordination import (
    GONE,
    Instance,
    instances,
    local_log,
    on_several_nodes,
)
from jobs.errors import InputError, NotFoundError, ServiceError
from jobs.job_ids import folder_of
from jobs.log_lines import Lines
from jobs.log_lines import LogLine as LogLine  # noqa: PLC0414 - of this module, for its users
from jobs.looks import moment_of, task_end
from jobs.managed import MANAGER_ID
from jobs.report import REASON_BYTES, REASON_FILE, one_line
from jobs.results import ResultTree
from jobs.selection import Selection, position
from jobs.service import BatchService, segment
from jobs.stages import stage_number

SOURCES = ("stdout", "stderr")
ALL_SOURCES = (COORDINATION, *SOURCES)
"""What a task's own command printed, and, of a task on several nodes, what ran first there."""
MOST_FOLLOWED = 50
POLL_S = 1.0
_PIECE = 4 << 20
_WORDS_BYTES = 256 << 10
_MOST_IN_FILTER = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """A task of the job, as far as its log is concerned.

    Attributes:
        id: The task.
        state: `active`, `preparing`, `running` or `completed`.
        failed: Whether it ended, and not well.
        attempt: Which of its runs this is, in any words; each begins a log of its own.
    """

    id: str
    state: str
    failed: bool
    attempt: str = ""

    @property
    def ended(self) -> bool:
        """Whether it prints no more."""
        return self.state == "completed"


@dataclass(slots=True, kw_only=True)
class LogReader:
    """Reads the logs of one job.

    Attributes:
        service: Where the job is.
        job_id: Which.
        tree: Its results; logs that were collected are read there.
        container: Where logs of ended tasks are.
        stages: Tasks of each stage, in order; empty for a job without stages.
        skip: Positions of tasks that a later job ran again: they are not of this one.
    """

    service: BatchService
    job_id: str
    tree: ResultTree
    container: Container
    stages: Mapping[str, int] = field(default_factory=dict)
    skip: frozenset[int] = frozenset()
    _several: Mapping[str, int] | None = None

    def tasks(self, selection: Selection, since: datetime | None = None) -> Iterator[TaskState]:
        """The selected tasks, in order; few positions are asked for by name.

        Args:
            selection: Which.
            since: Only those that started, ended or changed otherwise from then on.
        """
        query = {"$select": "id,state,stateTransitionTime,executionInfo,nodeInfo"}
        if condition := _condition(selection):
            query["$filter"] = condition
        path = f"/jobs/{segment(self.job_id)}/tasks"
        for task in self.service.pages(path, f"listing tasks of {self.job_id}", **query):
            if task["id"] == MANAGER_ID or position(task["id"]) in self.skip:
                continue
            ended = task["state"] == "completed"
            failed = ended and not task_end(task).succeeded
            if since is not None and moment_of(task["stateTransitionTime"]) < since:
                continue
            if selection.has(task["id"]) and (failed or not selection.failed):
                yield TaskState(
                    id=task["id"], state=task["state"], failed=failed, attempt=_attempt(task)
                )

    def lines(self, task: TaskState, source: str, *, tail: int | None = None) -> Iterator[LogLine]:
        """What a task printed so far; nothing if it never ran or nobody has its log.

        Of the source `coordination`: what that command printed on each of the task's nodes.

        Args:
            task: Which.
            source: One of `ALL_SOURCES`.
            tail: Only so many last lines of each log: of each stream of each node.
        """
        for name, instance in self._logs(task, (source,)):
            yield from _last(self._log_lines(task, name, instance), tail)

    def _log_lines(
        self, task: TaskState, name: str, instance: Instance | None
    ) -> Iterator[LogLine]:
        """The lines of one log."""
        splitter = Lines(task.id, name, None if instance is None else instance.number)
        for piece in self._pieces(task, name, instance=instance):
            yield from splitter.add(piece)
        yield from splitter.end()

    def printed_by(self, task: TaskState, instance: Instance, source: str) -> list[str]:
        """The lines of the coordination command on one of a task's nodes."""
        return [line.text for line in self._log_lines(task, source, instance)]

    def has_own_log(self, task_id: str) -> bool:
        """Whether a task that ended left a log in storage: then its own command has run."""
        if (self.tree.logs / task_id / "stdout.txt").is_file():
            return True
        name = f"{folder_of(self.job_id)}/{task_id}/stdout.txt"
        return any(blob.name == name for blob in self.container.list(name))

    def reason(self, task_id: str) -> str:
        """Why an ended task says that it failed, in one line; empty if it did not say."""
        task = TaskState(id=task_id, state="completed", failed=True)
        return one_line(b"".join(self._pieces(task, Path(REASON_FILE).stem))[:REASON_BYTES])

    def follow(
        self,
        selection: Selection,
        sources: Iterable[str],
        *,
        tail: int | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> Iterator[LogLine]:
        """Lines as they are printed, until the selected tasks have ended.

        Of a task that runs again, those of each run, one after the other.

        Raises:
            InputError: More tasks are selected than can be followed at once.
        """
        followed: dict[tuple[str, str, int | None], Lines] = {}
        chosen = tuple(sources)
        while True:
            tasks = list(self.tasks(selection))
            if len(tasks) > MOST_FOLLOWED:
                raise InputError(
                    f"{len(tasks)} tasks are selected and {MOST_FOLLOWED} can be followed at "
                    "once: select fewer, such as 0-9"
                )
            for task in tasks:
                for source, instance in self._logs(task, chosen):
                    key = (task.id, source, None if instance is None else instance.number)
                    before = followed.get(key)
                    if before is None or before.attempt != task.attempt:
                        if before is not None:
                            yield from before.end()
                        followed[key] = Lines(*key, attempt=task.attempt)
                    new = self._news(task, source, followed[key], instance)
                    yield from _last(new, tail if before is None else None)
            if all(task.ended for task in tasks):
                return
            pause(POLL_S)

    def _news(
        self, task: TaskState, source: str, lines: Lines, instance: Instance | None
    ) -> Iterator[LogLine]:
        """What came since the last look at a log."""
        if lines.over:
            return
        for piece in self._pieces(task, source, start=lines.size, instance=instance):
            yield from lines.add(piece)
        if task.ended:
            yield from lines.end()

    def _logs(
        self, task: TaskState, sources: Iterable[str]
    ) -> Iterator[tuple[str, Instance | None]]:
        """The logs of a task that sources mean: each with the node that only it is of."""
        for source in sources:
            if source != COORDINATION:
                yield source, None
            elif task.state != "active" and self.runs_on_several_nodes(task.id):
                for instance in self.instances(task.id):
                    yield from ((stream, instance) for stream in SOURCES)

    def runs_on_several_nodes(self, task_id: str) -> bool:
        """Whether a task has a coordination command; asks once a job."""
        if self._several is None:
            self._several = on_several_nodes(self.service, self.job_id, self.stages)
        return any(task_id.startswith(start) for start in self._several)

    def instances(self, task_id: str) -> list[Instance]:
        """The nodes of a task on several, as it last ran."""
        path = f"/jobs/{segment(self.job_id)}/tasks/{segment(task_id)}"
        task = self.service.get(path, f"reading task {task_id}", **{"$select": "id,nodeInfo"})
        return instances(self.service, self.job_id, task)

    def _pieces(
        self, task: TaskState, source: str, start: int = 0, *, instance: Instance | None = None
    ) -> Iterator[bytes]:
        if instance is not None:
            yield from self._coordination_pieces(task, instance, source, start)
            return
        name = f"{source}.txt"
        if task.state in {"active", "preparing"}:
            return
        if task.ended:
            local = self.tree.logs / task.id / name
            if local.is_file():
                yield from _file_pieces(local, start)
                return
        try:
            yield from self._node_pieces(task.id, name, start)
        except ServiceError as error:
            if error.status not in GONE:
                raise
        else:
            return
        if task.ended:
            yield from self._blob_pieces(task.id, name, start)

    def _coordination_pieces(
        self, task: TaskState, instance: Instance, source: str, start: int
    ) -> Iterator[bytes]:
        local = local_log(self.tree.logs, task.id, instance.number, source)
        if task.ended and local.is_file():
            yield from _file_pieces(local, start)
            return
        try:
            yield from instance.pieces(self.service, source, start)
        except ServiceError as error:
            if error.status not in GONE:
                raise
        else:
            return
        if task.ended:
            name = f"{COORDINATION}/{instance.number}/{source}.txt"
            yield from self._blob_pieces(task.id, name, start)

    def _node_pieces(self, task_id: str, name: str, start: int) -> Iterator[bytes]:
        path = f"/jobs/{segment(self.job_id)}/tasks/{segment(task_id)}/files/{name}"
        while True:
            piece = self.service.content(
                path, f"reading {name} of task {task_id}", start=start, length=_PIECE
            )
            if piece:
                yield piece
            if len(piece) < _PIECE:
                return
            start += len(piece)

    def _blob_pieces(self, task_id: str, name: str, start: int) -> Iterator[bytes]:
        with TemporaryDirectory(prefix="jobs-logs-") as directory:
            path = Path(directory) / "log"
            try:
                self.container.get(f"{folder_of(self.job_id)}/{task_id}/{name}", path)
            except NotFoundError:
                return
            yield from _file_pieces(path, start)


def read_logs(
    reader: LogReader,
    selection: Selection,
    sources: Iterable[str] = ALL_SOURCES,
    *,
    follow: bool = False,
    tail: int | None = None,
    since: datetime | None = None,
) -> Iterator[LogLine]:
    """What tasks printed so far, task by task; or, with `follow`, as they print it."""
    chosen = tuple(sources)
    if follow:
        return reader.follow(selection, chosen, tail=tail)
    return (
        line
        for task in reader.tasks(selection, since)
        for source in chosen
        for line in reader.lines(task, source, tail=tail)
    )


def _last(lines: Iterator[LogLine], number: int | None) -> Iterable[LogLine]:
    return lines if number is None else deque(lines, maxlen=number)


def searched(lines: Iterable[LogLine], pattern: str) -> Iterator[LogLine]:
    """The lines in which a regular expression is found.

    Raises:
        InputError: It is none; at once, before a line is read.
    """
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--search {pattern!r} is no regular expression: {error}") from error
    return (line for line in lines if found.search(line.text))


def last_words(service: BatchService, job_id: str, task_id: str) -> str:
    """Why a task failed, as far as its node says: its reason, else its last line of stderr.

    One line; empty if the node is gone. At most two requests.
    """
    path = f"/jobs/{segment(job_id)}/tasks/{segment(task_id)}/files"
    for name, length in ((REASON_FILE, REASON_BYTES), ("stderr.txt", _WORDS_BYTES)):
        try:
            data = service.content(
                f"{path}/{name}", f"reading {name} of task {task_id}", start=0, length=length
            )
        except ServiceError:
            continue
        lines = [line for line in data.splitlines() if line.strip()]
        if lines:
            return one_line(data if name == REASON_FILE else lines[-1])
    return ""


def _attempt(task: Mapping[str, Any]) -> str:
    """What differs between two runs of a task: on another node, put back, or tried again."""
    info = task.get("executionInfo") or {}
    node = (task.get("nodeInfo") or {}).get("nodeId")
    counts = (info.get("requeueCount"), info.get("retryCount"))
    return repr((node, *counts, info.get("startTime")))


def _file_pieces(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while piece := stream.read(_PIECE):
            yield piece


def _condition(selection: Selection) -> str:
    """A filter for the service, where the selection is a few tasks; else empty."""
    ranges = selection.ranges
    if ranges is None:
        return "state eq 'completed'" if selection.failed else ""
    if sum(map(len, ranges)) + len(selection.prefixes) > _MOST_IN_FILTER:
        return ""
    numbers = [n for span in ranges for n in span]
    conditions = [f"startswith(id,'{n:07d}-')" for n in numbers if not stage_number(n)]
    conditions += [f"startswith(id,'{start}')" for start in selection.prefixes]
    return " or ".join([*conditions, *(f"id eq '{n}'" for n in numbers if stage_number(n))])
