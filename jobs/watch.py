"""Looks at a job until its tasks are done. The cost of a look follows what changed.

A look asks for the counts, and only if more tasks have ended than are known, for the
tasks that ended since the last one, with the fields that are used. The pool is asked
less often: it says why nothing moves. Nothing is printed here (`jobs.progress`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.errors import ServiceError, UnfinishedError
from jobs.plan import META_TASKS
from jobs.service import BatchService, segment
from jobs.submit import metadata_of

SHORTEST_S = 0.4
LONGEST_S = 10.0
POOL_EVERY_S = 5.0
_OVERLAP = timedelta(seconds=2)
_ENDED_FIELDS = "id,creationTime,stateTransitionTime,executionInfo,nodeInfo"
_OVER = frozenset({"completed", "terminating", "deleting"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnd:
    """A task that has ended, as the service tells it.

    Attributes:
        id: The task.
        succeeded: Whether the service calls its result a success.
        exit_code: Of the command; None when it never ran or was ended.
        failure: `code: message` of the service; empty for a success.
        retries: How often it was run again.
        requeues: How often it was put back, such as after a preemption.
        node_id: Where it ran last; empty when it never ran.
        created: When it was submitted, seconds since the epoch.
        started: When its last attempt started, or None.
        ended: When that was over.
    """

    id: str
    succeeded: bool
    exit_code: int | None
    failure: str
    retries: int
    requeues: int
    node_id: str
    created: float
    started: float | None
    ended: float

    @property
    def run_s(self) -> float:
        """Seconds from start to end of the last attempt."""
        return 0.0 if self.started is None else max(0.0, self.ended - self.started)

    @property
    def on_spot(self) -> bool:
        """Whether its node was a spot node."""
        return self.node_id.endswith("_p")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """What the pool is doing.

    Attributes:
        nodes: How many nodes are in each state that has any.
        target: Nodes that it wants, dedicated and spot.
        allocation: `steady`, `resizing` or `stopping`.
        reasons: Why it may not give what is wanted, for a person.
        broken: Whether somebody must do something about that.
    """

    nodes: Mapping[str, int]
    target: int
    allocation: str
    reasons: tuple[str, ...]
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A job at a moment.

    Attributes:
        total: Tasks that it has, or will have when submission is complete.
        waiting: Tasks that have not begun.
        running: Tasks that run, or prepare to.
        succeeded: Tasks that ended well.
        failed: Tasks that did not.
        job_state: Such as `active`.
        pool: The pool, as it last was.
        first_failure: The earliest known task that failed.
        reasons: Why nothing moves, if nothing does.
        over: Whether nothing will change any more.
    """

    total: int
    waiting: int
    running: int
    succeeded: int
    failed: int
    job_state: str
    pool: PoolView | None
    first_failure: TaskEnd | None
    reasons: tuple[str, ...]
    over: bool

    @property
    def ended(self) -> int:
        """Tasks that are over."""
        return self.succeeded + self.failed


@dataclass(slots=True, kw_only=True)
class Watcher:
    """Follows one job.

    Attributes:
        service: Where it is.
        job_id: Which.
        now: Monotonic seconds; tests put their own clock here.
        ends: Tasks that have ended, by id.
    """

    service: BatchService
    job_id: str
    now: Callable[[], float] = time.monotonic
    ends: dict[str, TaskEnd] = field(default_factory=dict)
    _job: dict[str, Any] = field(default_factory=dict)
    _pool: PoolView | None = None
    _pool_at: float = float("-inf")
    _since: datetime | None = None
    _first_failure: TaskEnd | None = None

    def look(self) -> Look:
        """Asks the service once.

        Raises:
            ServiceError: The job is gone, or the service refuses.
        """
        path = f"/jobs/{segment(self.job_id)}"
        doing = f"watching job {self.job_id}"
        if not self._job:
            self._job = self.service.get(path, doing)
        counts = self.service.get(f"{path}/taskcounts", doing)["taskCounts"]
        if counts["completed"] > len(self.ends):
            self._learn_ends(path, doing)
        total = int(metadata_of(self._job).get(META_TASKS, 0)) or sum(
            counts[state] for state in ("active", "running", "completed")
        )
        moving = counts["running"] > 0 or counts["completed"] >= total
        if self.now() - self._pool_at >= POOL_EVERY_S:
            self._pool_at = self.now()
            self._pool = self._look_at_pool(doing)
            self._job = self.service.get(path, doing)
        ending = counts["completed"] >= total or self._job["state"] in _OVER
        if ending and len(self.ends) < total:
            self._learn_ends(path, doing, everything=True)
        over = len(self.ends) >= total or (
            self._job["state"] == "completed" and counts["active"] + counts["running"] == 0
        )
        succeeded = (
            sum(end.succeeded for end in self.ends.values()) if over else counts["succeeded"]
        )
        failed = len(self.ends) - succeeded if over else counts["failed"]
        return Look(
            total=total,
            waiting=0 if over else counts["active"],
            running=0 if over else counts["running"],
            succeeded=succeeded,
            failed=failed,
            job_state=self._job["state"],
            pool=self._pool,
            first_failure=self._first_failure,
            reasons=() if moving else tuple(self._reasons()),
            over=over,
        )

    def _learn_ends(self, path: str, doing: str, *, everything: bool = False) -> None:
        """Reads the tasks that ended since the last look, or all that ended."""
        condition = "state eq 'completed'"
        if self._since is not None and not everything:
            since = (self._since - _OVERLAP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            condition += f" and stateTransitionTime ge DateTime'{since}'"
        query = {"$filter": condition, "$select": _ENDED_FIELDS, "maxresults": "1000"}
        for task in self.service.pages(f"{path}/tasks", doing, **query):
            moment = _time(task["stateTransitionTime"])
            self._since = moment if self._since is None else max(self._since, moment)
            if task["id"] in self.ends:
                continue
            end = task_end(task)
            self.ends[end.id] = end
            first = self._first_failure
            if not end.succeeded and (first is None or end.ended < first.ended):
                self._first_failure = end

    def _look_at_pool(self, doing: str) -> PoolView | None:
        pool_id = self._job.get("poolInfo", {}).get("poolId")
        if not pool_id:
            return None
        try:
            pool = self.service.get(f"/pools/{segment(pool_id)}", doing)
            quoted = pool_id.replace("'", "''")
            counts = self.service.get("/nodecounts", doing, **{"$filter": f"poolId eq '{quoted}'"})
        except ServiceError as error:
            # the pool explains, the job decides: watching goes on without an explanation
            return PoolView(nodes={}, target=0, allocation="", reasons=(str(error),))
        return pool_view(pool, counts.get("value", ()))

    def _reasons(self) -> Iterator[str]:
        if self._job["state"] in {"disabled", "disabling"}:
            yield "the job is disabled: its tasks wait until it is enabled again"
        if self._pool is not None:
            yield from self._pool.reasons


def watch(
    watcher: Watcher,
    show: Callable[[Look], None],
    *,
    timeout_s: float | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Look:
    """Looks until the job is over; the last look.

    Waits little while things change and longer while they do not.

    Raises:
        UnfinishedError: `timeout_s` passed before.
        ServiceError: As `Watcher.look`.
    """
    began = watcher.now()
    interval = SHORTEST_S
    before: Look | None = None
    while True:
        look = watcher.look()
        show(look)
        if look.over:
            return look
        passed = watcher.now() - began
        if timeout_s is not None and passed >= timeout_s:
            raise UnfinishedError(
                f"job {watcher.job_id} has {look.total - look.ended} of {look.total} tasks "
                f"to go after {timeout_s:g} s; it goes on"
            )
        changed = before is None or (look.ended, look.running) != (before.ended, before.running)
        interval = SHORTEST_S if changed else min(LONGEST_S, interval * 1.3)
        before = look
        left = interval if timeout_s is None else max(0.0, timeout_s - passed)
        pause(min(interval, left))


def task_end(task: Mapping[str, Any]) -> TaskEnd:
    """Reads a completed task of the service."""
    info = task.get("executionInfo", {})
    failure = info.get("failureInfo") or {}
    exit_code = info.get("exitCode")
    result = str(info.get("result", "")).lower()
    succeeded = result == "success" if result else exit_code == 0 and not failure
    ended = _time(info.get("endTime") or task["stateTransitionTime"]).timestamp()
    started = info.get("startTime")
    words = ": ".join(str(failure[k]) for k in ("code", "message") if failure.get(k))
    return TaskEnd(
        id=task["id"],
        succeeded=succeeded,
        exit_code=exit_code,
        failure="" if succeeded else words,
        retries=info.get("retryCount", 0),
        requeues=info.get("requeueCount", 0),
        node_id=(task.get("nodeInfo") or {}).get("nodeId", ""),
        created=_time(task["creationTime"]).timestamp() if "creationTime" in task else ended,
        started=None if started is None else _time(started).timestamp(),
        ended=ended,
    )


def pool_view(pool: Mapping[str, Any], counts: Any) -> PoolView:
    """Reads a pool of the service, and its node counts."""
    nodes: dict[str, int] = {}
    for item in counts:
        for kind in ("dedicated", "lowPriority"):
            for state, number in item.get(kind, {}).items():
                if state != "total" and number:
                    nodes[state] = nodes.get(state, 0) + number
    target = pool.get("targetDedicatedNodes", 0) + pool.get("targetLowPriorityNodes", 0)
    reasons = [
        f"resize: {error.get('code')}: {error.get('message')}"
        for error in pool.get("resizeErrors", ())
    ]
    formula_error = pool.get("autoScaleRun", {}).get("error")
    if formula_error:
        reasons.append(f"the autoscale formula fails: {formula_error.get('code')}")
    if nodes.get("startTaskFailed"):
        reasons.append(f"the start task failed on {nodes['startTaskFailed']} nodes")
    if nodes.get("unusable"):
        reasons.append(f"{nodes['unusable']} nodes are unusable")
    broken = bool(reasons)
    if not nodes and target == 0:
        automatic = pool.get("enableAutoScale")
        reasons.append(
            "the pool has no nodes yet: its formula decides at its next evaluation"
            if automatic
            else "the pool has no nodes and is not to get any: resize it"
        )
    elif not reasons and not nodes.get("running") and not nodes.get("idle"):
        reasons.append(f"nodes are coming: {target} wanted, none is ready")
    return PoolView(
        nodes=nodes,
        target=target,
        allocation=str(pool.get("allocationState", "")),
        reasons=tuple(reasons),
        broken=broken,
    )


def _time(text: str) -> datetime:
    """A time of the service, which may have seven digits of a second."""
    whole, point, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(f"{whole}+00:00").astimezone(UTC)
    return moment + timedelta(microseconds=int(fraction[:6].ljust(6, "0"))) if point else moment
