"""What the coordination command of a task on several nodes did and printed, on each node.

The service tells how the command ended on the nodes beside the primary (`subtasksinfo`),
and of the primary nothing but the task's own result. What it printed stays on the nodes:
output files are only uploaded from the primary's, and only once the task's own command
has run (OutputFile of azure-batch). So it is fetched from the nodes while they are there.

On Linux the command writes to a directory of its own (`jobs.command_lines`); on Windows
it writes where the service lets it, which beside the primary is the node's stdout.txt
(https://learn.microsoft.com/azure/batch/batch-mpi).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from jobs.command_lines import COORDINATION
from jobs.errors import ServiceError
from jobs.service import BatchService, segment
from jobs.stages import FIRST_STAGE

PIECE = 4 << 20
GONE = frozenset({404, 409})
"""HTTP statuses of a file that is not there, or no longer, or whose node is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One of the nodes of a task, as it last ran.

    Attributes:
        number: 0 is the primary, which runs the task's own command, too.
        pool_id: Its pool.
        node_id: The node.
        directory: The task's, relative to the node's root.
        info: How the coordination command ended there; empty of the primary.
    """

    number: int
    pool_id: str
    node_id: str
    directory: str
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the command is known to have failed there by itself."""
        failure = self.info.get("failureInfo") or {}
        return bool(self.info.get("exitCode")) or (
            "exitCode" not in self.info and bool(failure.get("code"))
        )

    def pieces(self, service: BatchService, source: str, start: int = 0) -> Iterator[bytes]:
        """What the command printed there, from a position on.

        Raises:
            ServiceError: With a status of `GONE`: it printed nothing there, or the node is gone.
        """
        for path in self._files(source):
            try:
                yield from _file(service, f"{self._node}/files/{segment(path)}", path, start)
            except ServiceError as error:
                if error.status not in GONE:
                    raise
                missing = error
            else:
                return
        raise missing

    def is_there(self, service: BatchService) -> bool:
        """Whether the node still is.

        Raises:
            ServiceError: The service refuses.
        """
        try:
            service.get(self._node, f"reading node {self.node_id}", **{"$select": "id,state"})
        except ServiceError as error:
            if error.status not in GONE:
                raise
            return False
        return True

    @property
    def _node(self) -> str:
        return f"/pools/{segment(self.pool_id)}/nodes/{segment(self.node_id)}"

    def _files(self, source: str) -> Iterator[str]:
        yield f"{self.directory}/{COORDINATION}/{source}.txt"
        if self.number:
            yield f"{self.directory}/{source}.txt"


def on_several_nodes(
    service: BatchService, job_id: str, stages: Mapping[str, int]
) -> Mapping[str, int]:
    """Of which tasks each runs on several nodes: how ids begin, and on how many.

    A job without stages is one stage, whose tasks' ids begin with nothing. Tasks of a
    stage have the same settings, so that one of each is asked for.

    Raises:
        ServiceError: The job is gone, or the service refuses.
    """
    starts = [str(number) for number, _ in enumerate(stages, FIRST_STAGE)] or [""]
    found: dict[str, int] = {}
    for start in starts:
        query = {"$select": "id,multiInstanceSettings", "maxresults": "1"}
        if start:
            query["$filter"] = f"startswith(id,'{start}')"
        path = f"/jobs/{segment(job_id)}/tasks"
        for task in islice(service.pages(path, f"listing tasks of {job_id}", **query), 1):
            if settings := task.get("multiInstanceSettings"):
                found[start] = settings.get("numberOfInstances", 1)
    return found


def instances(service: BatchService, job_id: str, task: Mapping[str, Any]) -> list[Instance]:
    """The nodes of a task, as the service gives it with its `nodeInfo`, as it last ran.

    None of a task that never had nodes.

    Raises:
        ServiceError: The task is gone, or the service refuses.
    """
    path = f"/jobs/{segment(job_id)}/tasks/{segment(task['id'])}/subtasksinfo"
    beside = service.pages(path, f"reading how task {task['id']} ran on its nodes")
    found = [_instance(0, task.get("nodeInfo") or {}, {})]
    found += [_instance(item["id"], item.get("nodeInfo") or {}, item) for item in beside]
    return [one for one in found if one.node_id and one.directory]


def local_log(logs: Path, task_id: str, number: int, source: str) -> Path:
    """Where in a result tree's logs lies what the command printed on a node."""
    return logs / task_id / COORDINATION / str(number) / f"{source}.txt"


def _instance(number: int, node: Mapping[str, Any], info: Mapping[str, Any]) -> Instance:
    return Instance(
        number=number,
        pool_id=node.get("poolId", ""),
        node_id=node.get("nodeId", ""),
        directory=node.get("taskRootDirectory", ""),
        info=info,
    )


def _file(service: BatchService, path: str, name: str, start: int) -> Iterator[bytes]:
    while True:
        piece = service.content(path, f"reading {name}", start=start, length=PIECE)
        if piece:
            yield piece
        if len(piece) < PIECE:
            return
        start += len(piece)
