"""Nodes on which a job's preparation failed, and what it printed there.

The service runs no task of the job on such a node and calls the node idle and the task
active, with nothing at either of them to say why (waitForSuccess of BatchJobPreparationTask
in azure-batch): only the job's own list of preparations knows. Where it failed on every
node that the pool has, the job would wait for ever: that is found out here, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.errors import InputError, ServiceError
from jobs.log_lines import unsteering
from jobs.looks import PoolView
from jobs.service import BatchService, segment

_LOG_BYTES = 64 << 10
_LINE = 80
_LAST_LINES = 5
_LOGS_KEPT = 3
_SEEN = 2
_READY = frozenset({"idle", "running"})
_COMING = frozenset(
    {
        "creating",
        "starting",
        "waitingforstarttask",
        "rebooting",
        "reimaging",
        "upgradingos",
        "preempted",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedPreparation:
    """A node that no task of the job runs on.

    Attributes:
        pool_id: Its pool.
        node_id: The node.
        info: How the preparation ended, as the service tells it.
    """

    pool_id: str
    node_id: str
    info: Mapping[str, Any]

    @property
    def cause(self) -> str:
        """Its exit code; for one that never ran, the service's words."""
        if (code := self.info.get("exitCode")) is not None:
            return f"exit code {code}"
        failure = self.info.get("failureInfo") or {}
        words = ": ".join(str(failure[key]) for key in ("code", "message") if failure.get(key))
        return words or "failed"

    def printed(self, service: BatchService, source: str) -> list[str]:
        """The lines of its stderr, or stdout; none if the node is gone."""
        log = f"{self.info.get('taskRootDirectory')}/{source}.txt"
        return printed_on_node(service, self.pool_id, self.node_id, log)

    def said(self, service: BatchService) -> list[str]:
        """The lines that tell best why it failed; none if the node is gone."""
        directory = str(self.info.get("taskRootDirectory"))
        return said_on_node(service, self.pool_id, self.node_id, directory)


@dataclass(slots=True, kw_only=True)
class Preparations:
    """Follows how a job's preparation does on the nodes of its pool.

    Attributes:
        service: Where they are.
        every_s: How long an answer counts.
        told: On how many nodes it failed and why, in a line; empty if on none.
    """

    service: BatchService
    every_s: float
    told: str = ""
    _at: float = float("-inf")
    _seen: int = 0
    _failed: int = 0

    def look(self, job: Mapping[str, Any], pool: PoolView, now: float) -> int:
        """On how many nodes it failed, if no other can run the job's tasks; else 0.

        Said of what was so at two looks in a row: nodes and preparations are not asked for
        in the same moment.
        """
        if now - self._at >= self.every_s:
            self._at = now
            try:
                failed = failed_preparations(self.service, job)
                everywhere = _everywhere(failed, pool, self.service)
            except ServiceError as error:
                # as with the pool: watching goes on without an explanation
                failed, everywhere, self.told = [], False, str(error)
            else:
                self.told = summary(failed, self.service) if failed else ""
            self._failed = len(failed)
            self._seen = self._seen + 1 if everywhere else 0
        return self._failed if self._seen >= _SEEN else 0


def holds_tasks_back(job: Mapping[str, Any]) -> bool:
    """Whether tasks of a job wait for its preparation to succeed on their node."""
    task = job.get("jobPreparationTask")
    return task is not None and task.get("waitForSuccess", True)


def failed_preparations(service: BatchService, job: Mapping[str, Any]) -> list[FailedPreparation]:
    """The nodes on which the preparation of a job, as the service gives it, failed for good.

    Raises:
        ServiceError: The job is gone, or the service refuses.
    """
    if job.get("jobPreparationTask") is None:
        return []
    listed = service.pages(
        f"/jobs/{segment(job['id'])}/jobpreparationandreleasetaskstatus",
        f"reading how job {job['id']} was prepared",
        **{"$select": "poolId,nodeId,jobPreparationTaskExecutionInfo"},
    )
    return [
        FailedPreparation(pool_id=item["poolId"], node_id=item["nodeId"], info=info)
        for item in listed
        if (info := item.get("jobPreparationTaskExecutionInfo") or {}).get("state") == "completed"
        and str(info.get("result", "")).lower() == "failure"
    ]


def _everywhere(
    failed: Sequence[FailedPreparation], pool: PoolView, service: BatchService
) -> bool:
    """Whether every node that can run tasks is one of these, and no others are to come."""
    counts = {state.lower(): number for state, number in pool.nodes.items()}
    ready = sum(counts.get(state, 0) for state in _READY)
    wanted = pool.target > sum(counts.values()) and not pool.missing
    steady = pool.allocation.lower() == "steady"
    if wanted or not steady or not 0 < ready <= len(failed) or not _COMING.isdisjoint(counts):
        return False
    path = f"/pools/{segment(failed[0].pool_id)}/nodes"
    nodes = service.pages(path, "listing nodes", **{"$select": "id,state"})
    there = {node["id"] for node in nodes if str(node["state"]).lower() in _READY}
    return bool(there) and there <= {one.node_id for one in failed}


def keep_logs(service: BatchService, job: Mapping[str, Any], logs: Path) -> list[str]:
    """Writes what a failed preparation printed to `logs`/preparation/NODE/, of a few nodes.

    Returns:
        The last lines of the first one's stderr; where that is empty, of its stdout.

    Raises:
        ServiceError: The job is gone, or the service refuses.
        InputError: The result directory cannot be written.
    """
    told: list[str] = []
    for one in failed_preparations(service, job)[:_LOGS_KEPT]:
        printed = {source: one.printed(service, source) for source in ("stdout", "stderr")}
        silent = not any(line.strip() for line in printed["stderr"])
        told = told or printed["stdout" if silent else "stderr"]
        for source, lines in printed.items():
            path = logs / "preparation" / one.node_id / f"{source}.txt"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            except OSError as error:
                raise InputError(f"{path} cannot be written: {error.strerror}") from error
    return [unsteering(line) for line in told[-_LAST_LINES:]]


def summary(failed: Sequence[FailedPreparation], service: BatchService) -> str:
    """In one line, on how many nodes it failed, why, what it printed last, and one of them."""
    first = failed[0]
    where = "1 node" if len(failed) == 1 else f"{len(failed)} nodes"
    said = [line.strip() for line in first.said(service) if line.strip()]
    last = f': "{said[-1][:_LINE]}"' if said else ""
    return (
        f"the preparation failed on {where}, {first.cause}{last}: no task of the job runs there "
        f"(such as {first.node_id})"
    )


def said_on_node(service: BatchService, pool_id: str, node_id: str, directory: str) -> list[str]:
    """The lines of a task's stderr, in its directory on a node; where that is empty, of stdout.

    They are for a person to read: without what would steer a terminal.
    """
    said = printed_on_node(service, pool_id, node_id, f"{directory}/stderr.txt")
    if not any(line.strip() for line in said):
        said = printed_on_node(service, pool_id, node_id, f"{directory}/stdout.txt")
    return [unsteering(line) for line in said]


def printed_on_node(service: BatchService, pool_id: str, node_id: str, path: str) -> list[str]:
    """The lines of a file of a node; none if it or the node is gone.

    Of one that is longer than 64 KiB the last ones, where an error is, after a line that says how
    much is left out. Whole lines, unless the last one alone is longer.
    """
    file = f"/pools/{segment(pool_id)}/nodes/{segment(node_id)}/files/{segment(path)}"
    doing = f"reading {path}"
    try:
        data = service.content(file, doing, start=0, length=_LOG_BYTES)
        if len(data) < _LOG_BYTES:
            return _lines(data)
        start = max(0, service.size(file, doing) - _LOG_BYTES)
        if start:
            data = service.content(file, doing, start=start, length=_LOG_BYTES)
    except ServiceError:
        return []
    return ending(data, start) if start else _lines(data)


def ending(data: bytes, start: int) -> list[str]:
    """The lines of the end of a log, after one that says what is left out.

    Args:
        data: The end.
        start: How many bytes are before it.
    """
    cut, newline, whole = data.partition(b"\n")
    if newline and whole:
        start, data = start + len(cut) + 1, whole
    return [f"… the first {start:,} bytes are left out", *_lines(data)]


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()
