"""Looks at a job until its tasks are done. The cost of a look follows what changed.

A look asks for the counts, and only if more tasks have ended than are known, for the
tasks that ended since the last one, with the fields that are used. The pool is asked
less often: it says why nothing moves. Nothing is printed here (`jobs.progress`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from jobs.errors import ServiceError, UnfinishedError
from jobs.looks import (
    JOB_OVER,
    JOB_PAUSED,
    Cause,
    Look,
    PoolView,
    StageLook,
    Standstill,
    TaskEnd,
    moment_of,
    pool_view,
    task_end,
)
from jobs.managed import MANAGER_ID, ManagerLook, has_manager, look_at_manager, without_manager
from jobs.meter import Meter
from jobs.outages import Sight
from jobs.plan import META_STAGES, META_SUBMISSION, META_TASKS, SUBMITTING
from jobs.service import BatchService, segment
from jobs.stages import read_stages, stage_of
from jobs.stale import NOTHING_STALE, Stale
from jobs.standstill import Standstills, is_arriving, is_unsent, unsent_text
from jobs.submit import metadata_of

SHORTEST_S = 0.4
LONGEST_S = 10.0
POOL_EVERY_S = 5.0
_OVERLAP = timedelta(seconds=2)
_ENDED_FIELDS = (
    "id,creationTime,stateTransitionTime,executionInfo,nodeInfo,requiredSlots,"
    "multiInstanceSettings"
)


@dataclass(slots=True, kw_only=True)
class Watcher:
    """Follows one job.

    Attributes:
        service: Where it is.
        job_id: Which.
        now: Monotonic seconds; tests put their own clock here.
        ends: Tasks that have ended, by id.
        statistics: Whether to ask for processor time, too. The service counts it some half an
            hour later (BatchTaskStatistics of azure-batch), so that only a report wants it.
        meter: Counts the cost of the job, if somebody wants to know it.
        total: Tasks after which nothing is waited for any more; None: all of the job.
        stage_of: The stage that a task is of; known from the first look on.
        stage_totals: Tasks of each stage, in order; empty for a job without stages.
        last: The last look; None before the first.
        stale: What every look says of answers that are stale.
    """

    service: BatchService
    job_id: str
    now: Callable[[], float] = time.monotonic
    ends: dict[str, TaskEnd] = field(default_factory=dict)
    statistics: bool = False
    meter: Meter | None = None
    total: int | None = None
    stage_of: Callable[[str], str] | None = None
    stage_totals: Mapping[str, int] = field(default_factory=dict)
    last: Look | None = None
    stale: Stale = NOTHING_STALE
    _retried: int = 0
    _by_stage: dict[str, StageLook] = field(default_factory=dict)
    _running_by_stage: Counter[str] | None = None
    _ran_at: tuple[int, int] | None = None
    _nodes_beside: int = 0
    _job: dict[str, Any] = field(default_factory=dict)
    _pool: PoolView | None = None
    _pool_at: float = float("-inf")
    _pool_moved: tuple[int, int] | None = None
    _standstills: Standstills | None = None
    _since: datetime | None = None
    _manager: ManagerLook | None = None
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
            if not self.stage_totals:
                self.stage_totals = read_stages(metadata_of(self._job).get(META_STAGES, ""))
                self.stage_of = stage_of(self.stage_totals)
        if has_manager(self._job) and (self._manager is None or not self._manager.over):
            self._manager = look_at_manager(self.service, self.job_id)
        answer = self.service.get(f"{path}/taskcounts", doing)
        counts = without_manager(answer["taskCounts"], self._manager)
        moved = (counts["running"], counts["completed"])
        looks_at_pool = self.now() - self._pool_at >= POOL_EVERY_S or (
            # what it said before tasks ran is no reason for which none runs now
            not counts["running"] and moved != self._pool_moved
        )
        if not looks_at_pool or self._ran_at is None:  # a look at the pool has requests enough
            self._learn_running(path, doing, moved)
        read_whole = False
        if counts["completed"] > len(self.ends):
            # of a job that was over before, the first reading is the last
            read_whole = self._since is None and self._job["state"] == "completed"
            self._learn_ends(path, doing)
        known = sum(counts[state] for state in ("active", "running", "completed"))
        total = self.total or int(metadata_of(self._job).get(META_TASKS, 0)) or known
        moving = counts["running"] > 0 or counts["completed"] >= total
        if looks_at_pool:
            self._pool = self._look_at_pool(doing)
            self._job = self.service.get(path, doing)
            self._pool_at, self._pool_moved = self.now(), moved
        # tasks that waited when a job was terminated stay active for ever
        closed = self._job["state"] == "completed" and not counts["running"]
        last_ends = closed or counts["completed"] >= total
        if last_ends and len(self.ends) < total and not read_whole:
            self._learn_ends(path, doing, everything=True)
        over = closed or len(self.ends) >= total
        succeeded = (
            sum(end.succeeded for end in self.ends.values()) if over else counts["succeeded"]
        )
        failed = len(self.ends) - succeeded if over else counts["failed"]
        held = counts["active"] > 0 or (self._manager is not None and self._manager.waits)
        waits = held and not moving and not over
        standstill = None if over else self._stands_still(counts, total, waits=waits)
        over = over or (standstill is not None and not standstill.is_left)
        waits = waits and (standstill is None or standstill.cause == Cause.UNPREPARED)
        at = self.service.date or time.time()
        arriving = not over and standstill is None and self._is_arriving()
        taken = answer.get("taskSlotCounts", {})
        self._read_meter(at, counts["running"], taken, over=over)
        self.last = Look(
            total=total,
            waiting=0 if over and standstill is None else counts["active"],
            running=0 if over else counts["running"],
            succeeded=succeeded,
            failed=failed,
            job_state=self._job["state"],
            pool=self._pool,
            first_failure=self._first_failure,
            reasons=()
            if moving
            else tuple(self._reasons(known, total, waits=waits, over=over, arriving=arriving)),
            resumable=not over and self._resumable and not arriving,
            arriving=arriving,
            over=over,
            retried=self._retried,
            stages=tuple(self._stage_looks(counts["running"], over=over)),
            cost=None if self.meter is None else self.meter.cost,
            at=at,
            standstill=standstill,
            end_reason=(self._job.get("executionInfo") or {}).get("terminateReason", ""),
            stale=self.stale,
        )
        return self.last

    def _stands_still(
        self, counts: Mapping[str, int], total: int, *, waits: bool
    ) -> Standstill | None:
        if self._standstills is None:
            self._standstills = Standstills(
                service=self.service,
                job_id=self.job_id,
                now=self.now,
                partial=self.total is not None,
            )
        return self._standstills.look(self._job, counts, self._pool, total=total, waits=waits)

    def _read_meter(
        self, at: float, running: int, slots: Mapping[str, Any], *, over: bool
    ) -> None:
        """Counts what the job has cost since the last look."""
        meter = self.meter
        if meter is None:
            return
        if over:
            meter.settle(self.ends.values())
            return
        if not meter.started:
            meter.start([*self.ends.values(), *(self._running(at) if running else ())], at)
        nodes, spot = (
            (0, 0)
            if self._pool is None
            else (self._pool.nodes.get("running", 0), self._pool.spot_running)
        )
        taken = slots.get("running", running)
        meter.read(
            at,
            running=running,
            slots=taken,
            dedicated=nodes - spot,
            spot=spot,
            beside=self._nodes_beside if running else 0,
        )

    def _running(self, at: float) -> Iterator[TaskEnd]:
        """Tasks that run, as if they ended now: what there was before somebody watched."""
        query = {"$filter": "state eq 'running'", "$select": _ENDED_FIELDS, "maxresults": "1000"}
        path = f"/jobs/{segment(self.job_id)}/tasks"
        for task in self.service.pages(path, f"watching job {self.job_id}", **query):
            if task["id"] != MANAGER_ID:
                yield replace(task_end(task), ended=at)

    def _learn_running(self, path: str, doing: str, moved: tuple[int, int]) -> None:
        """Counts the running tasks of each stage, and the nodes of multi-instance ones.

        Asked again only when other tasks run (`moved`: how many run, and have ended), and only of
        jobs with stages or in pools that can run multi-instance tasks, where a meter counts. Of
        the stages it tells nothing if more run than are on one page of the service's.
        """
        several = self.meter is not None and self.meter.pool.inter_node_communication
        told = several or len(self.stage_totals) > 1
        if not told or not moved[0] or moved == self._ran_at:
            return
        query = {
            "$filter": "state eq 'running'",
            "$select": "id,multiInstanceSettings",
            "maxresults": "1000",
        }
        page = self.service.get(f"{path}/tasks", doing, **query)
        self._ran_at = moved
        tasks = page.get("value", ())
        settings = (task.get("multiInstanceSettings") for task in tasks)
        self._nodes_beside = sum(one.get("numberOfInstances", 1) - 1 for one in settings if one)
        self._running_by_stage = None
        if self.stage_of is not None and not page.get("odata.nextLink"):
            self._running_by_stage = Counter(self.stage_of(task["id"]) for task in tasks)

    def _stage_looks(self, running: int, *, over: bool) -> Iterator[StageLook]:
        """How far each stage is."""
        none_runs = over or not running
        for name in self.stage_totals:
            stage = self._by_stage.get(name) or self._stage(name)
            known = Counter[str]() if none_runs else self._running_by_stage
            yield stage if known is None else replace(stage, running=known[name])

    def _stage(self, name: str) -> StageLook:
        return StageLook(name=name, total=self.stage_totals[name], succeeded=0, failed=0)

    def _count(self, end: TaskEnd) -> None:
        """Takes what is summed up of an end."""
        self._retried += end.retries + end.requeues
        if self.stage_of is not None and (name := self.stage_of(end.id)) in self.stage_totals:
            stage = self._by_stage.get(name) or self._stage(name)
            self._by_stage[name] = replace(
                stage,
                succeeded=stage.succeeded + end.succeeded,
                failed=stage.failed + (not end.succeeded),
                retried=stage.retried + end.retries + end.requeues,
            )

    def _learn_ends(self, path: str, doing: str, *, everything: bool = False) -> None:
        """Reads the tasks that ended since the last look, or all that ended.

        They come in no order of time: only when all pages are read is it known since when to
        ask the next time.
        """
        latest = self._since
        condition = "state eq 'completed'"
        if self._since is not None and not everything:
            since = (self._since - _OVERLAP).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            condition += f" and stateTransitionTime ge DateTime'{since}'"
        query = {"$filter": condition, "$select": _ENDED_FIELDS, "maxresults": "1000"}
        if self.statistics:
            query |= {"$select": f"{_ENDED_FIELDS},stats", "$expand": "stats"}
        for task in self.service.pages(f"{path}/tasks", doing, **query):
            moment = moment_of(task["stateTransitionTime"])
            latest = moment if latest is None else max(latest, moment)
            if task["id"] in self.ends or task["id"] == MANAGER_ID:
                continue
            end = task_end(task)
            self.ends[end.id] = end
            self._count(end)
            first = self._first_failure
            if not end.succeeded and (first is None or end.ended < first.ended):
                self._first_failure = end
        self._since = latest

    def _look_at_pool(self, doing: str) -> PoolView | None:
        pool_id = self._job.get("poolInfo", {}).get("poolId")
        if not pool_id:
            return None
        try:
            pool = self.service.get(f"/pools/{segment(pool_id)}", doing)
            quoted = pool_id.replace("'", "''")
            counts = self.service.get("/nodecounts", doing, **{"$filter": f"poolId eq '{quoted}'"})
        except ServiceError as error:
            if error.status is None:
                raise  # nothing was reached, and so neither will be the job
            # the pool explains, the job decides: watching goes on without an explanation
            return PoolView(nodes={}, target=0, allocation="", reasons=(str(error),))
        return pool_view(pool, counts.get("value", ()))

    @property
    def _resumable(self) -> bool:
        """Whether more tasks may be submitted, and are waited for."""
        over = self._job["state"] in JOB_OVER
        return not over and self.total is None and is_unsent(self._job)

    def _is_arriving(self) -> bool:
        """Whether somebody, or its job manager task, is adding tasks to it."""
        if has_manager(self._job):
            unfinished = metadata_of(self._job).get(META_SUBMISSION) == SUBMITTING
            return unfinished and not (self._manager is not None and self._manager.over)
        return self._resumable and is_arriving(
            self.service, self.job_id, self._job["creationTime"]
        )

    def _reasons(
        self, known: int, total: int, *, waits: bool, over: bool, arriving: bool
    ) -> Iterator[str]:
        if self._job["state"] in JOB_PAUSED:
            yield (
                "the job is disabled: its tasks wait until it is enabled again; "
                f"python -m jobs resume {self.job_id} does so"
            )
        if self._manager is not None and self._manager.failed:
            yield "its job manager task, which adds its tasks, failed"
        if not over and self._resumable:
            yield unsent_text(self.job_id, known, total, arriving=arriving)
        # a job that is over wants no nodes, unless none of those it had could be prepared
        wants = waits or not (over or self._resumable)
        if self._pool is not None and wants and self._job["state"] not in JOB_OVER:
            yield from self._pool.reasons
        if waits and self._standstills is not None:
            yield from filter(None, [self._standstills.preparation_text(self._job)])


def watch(
    watcher: Watcher,
    show: Callable[[Look], None],
    *,
    timeout_s: float | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Look:
    """Looks until the job is over, and shows each look; the last one.

    Raises:
        UnfinishedError: As `looks`.
        ServiceError: As `looks`.
    """
    for look in looks(watcher, timeout_s=timeout_s, pause=pause):
        show(look)
    return look


def looks(
    watcher: Watcher,
    *,
    timeout_s: float | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Look]:
    """Looks until the job is over; the last look is the only one that says so.

    Waits little while things change and longer while they do not. While the service cannot be
    reached there is one look, with an `outage`, that says how the job last stood.

    Raises:
        UnfinishedError: `timeout_s` passed before; or its submission was not finished, and of
            the tasks that are in none is left to run; or it is disabled.
        ServiceError: As `Watcher.look`; what may pass, only after `jobs.outages.OUTAGE_S`.
    """
    began = watcher.now()
    interval = SHORTEST_S
    before: Look | None = None
    sight = Sight(ask=watcher.look, now=watcher.now, last=watcher.last)
    while True:
        look = watcher.last = sight.look()
        if look.outage is None or before is None or before.outage is None:
            yield look
        if look.over:
            return
        if look.standstill is not None:
            raise UnfinishedError(look.standstill.text(watcher.job_id, look.total))
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
