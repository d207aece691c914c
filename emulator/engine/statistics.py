"""What tasks used and nodes were there for: the figures behind `$expand=stats`.

Figures are kept where they are made, in the rows of tasks and nodes; whoever is removed
leaves his to whom he belonged to (`gone`). Sums are made when somebody asks. The service
rolls its figures up about every half hour; here they are those of this instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from emulator.clock import TICKS_PER_SECOND
from emulator.engine.cores import cores_of
from emulator.engine.world import Job, Node, Pool, Schedule, Task, World
from emulator.nodes.interface import TaskOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What tasks used together.

    Records keep the same figures as a tuple in this order, all of them or the first.

    Attributes:
        wall: Ticks that their commands ran, retries included.
        user, kernel: Ticks of the processors.
        reads, writes: Operations.
        bytes_read, bytes_written: From and to disks.
        retries: Of tasks.
        wait: Ticks from their creation to their latest start.
        succeeded, failed: Tasks that completed so.
    """

    wall: int = 0
    user: int = 0
    kernel: int = 0
    reads: int = 0
    writes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    retries: int = 0
    wait: int = 0
    succeeded: int = 0
    failed: int = 0


_USED = 7
"""So many of them a task or a node counts itself."""


def plus(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """The sum, figure by figure; an empty one counts as zeros."""
    if not one or not other:
        return tuple(one or other)
    return tuple(a + b for a, b in zip(one, other, strict=True))


def count(task: Task, node: Node, outcome: TaskOutcome) -> None:
    """An attempt at a task is over."""
    ran = outcome.end_time - outcome.start_time
    used = (
        _ticks(ran.total_seconds()),
        _ticks(outcome.user_s),
        _ticks(outcome.kernel_s),
        outcome.reads,
        outcome.writes,
        outcome.bytes_read,
        outcome.bytes_written,
    )
    task.used = plus(task.used, used)
    node.used_by_tasks = plus(node.used_by_tasks, used)
    node.peak_memory = max(node.peak_memory, outcome.peak_memory_bytes)


def count_called_off(task: Task, node: Node, until: int) -> None:
    """An attempt was called off, or ended with its node: what is known of it is how long it ran.

    That the service counts these, its reference does not say: of attempts before the last it
    names retries.
    """
    if task.start is not None:
        used = (max(0, until - task.start), *(0,) * (_USED - 1))
        task.used = plus(task.used, used)
        node.used_by_tasks = plus(node.used_by_tasks, used)


def _ticks(span_s: float) -> int:
    return round(span_s * TICKS_PER_SECOND)


def of_task(task: Task, now: int) -> Totals:
    """What one task used, until now where it runs."""
    return _totals(_of_task(task, now))


def of_job(job: Job, now: int) -> Totals:
    """What a job's tasks used, those that were deleted included."""
    return _totals(_of_job(job, now))


def of_schedule(world: World, schedule: Schedule, now: int) -> Totals:
    """What the tasks of a schedule's jobs used, those that were deleted included."""
    there = (job for job in world.jobs.values() if job.schedule == schedule.key)
    return _totals(_sum([schedule.gone, *(_of_job(job, now) for job in there)]))


def _of_task(task: Task, now: int) -> tuple[int, ...]:
    wall, *rest = task.used or (0,) * _USED
    if task.state == "running" and task.start is not None:
        wall += now - task.start
    over, succeeded = task.state == "completed", task.result == "success"
    return (
        wall,
        *rest,
        task.retry_count,
        max(0, task.start - task.created) if task.start is not None else 0,
        int(over and succeeded),
        int(over and not succeeded),
    )


def _of_job(job: Job, now: int) -> tuple[int, ...]:
    return _sum([job.gone, *(_of_task(task, now) for task in job.tasks.values())])


def _sum(figures: Iterable[Sequence[int]]) -> tuple[int, ...]:
    total: tuple[int, ...] = ()
    for one in figures:
        total = plus(total, one)
    return total


def _totals(figures: Sequence[int]) -> Totals:
    """Figures by their names; those that are not there are zero."""
    return Totals(**dict(zip(Totals.__slots__, figures, strict=False)))


def task_gone(task: Task, now: int) -> None:
    """A task is deleted: its job keeps its figures."""
    task.job.gone = plus(task.job.gone, _of_task(task, now))


def job_gone(schedule: Schedule, job: Job, now: int) -> None:
    """A job is deleted: its schedule keeps its figures."""
    schedule.gone = plus(schedule.gone, _of_job(job, now))


# Pools


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTotals:
    """What a pool's nodes were there for, and what was used of it.

    Attributes:
        node_time: Ticks that nodes were allocated, together.
        core_time: The same, of their cores.
        dedicated_core_time: Of dedicated nodes only.
        tasks: What tasks used there.
        peak_memory: Most bytes that one task held.
    """

    node_time: int
    core_time: int
    dedicated_core_time: int
    tasks: Totals
    peak_memory: int


def of_pool(pool: Pool, now: int) -> PoolTotals:
    """What there is to tell of a pool since it was created."""
    times, used, peak = pool.gone_time or (0, 0, 0), pool.gone, pool.peak_memory
    for node in pool.nodes.values():
        times = plus(times, _times(node, now))
        used = plus(used, node.used_by_tasks)
        peak = max(peak, node.peak_memory)
    node_time, core_time, dedicated_core_time = times
    return PoolTotals(
        node_time=node_time,
        core_time=core_time,
        dedicated_core_time=dedicated_core_time,
        tasks=_totals(used),
        peak_memory=peak,
    )


def _times(node: Node, now: int) -> tuple[int, int, int]:
    there = 0 if node.state in {"preempted", "deallocated"} else now - node.allocated
    cores = cores_of(node.pool.body["vmSize"])
    return there, there * cores, there * cores if node.dedicated else 0


def node_gone(world: World, node: Node, now: int) -> None:
    """A node leaves its pool, or its machine goes: the pool keeps its figures."""
    pool = node.pool
    meter(world, node, now)
    pool.gone_time = plus(pool.gone_time, _times(node, now))
    pool.gone = plus(pool.gone, node.used_by_tasks)
    pool.peak_memory = max(pool.peak_memory, node.peak_memory)
    node.used_by_tasks = ()
    node.allocated = now


# Metering


HALF_HOUR = 30 * 60 * TICKS_PER_SECOND


def _hours(node: Node, now: int) -> Iterable[tuple[int, int]]:
    """Half hours that a node was there in, and its core ticks in each."""
    if node.state in {"preempted", "deallocated"}:
        return
    cores = cores_of(node.pool.body["vmSize"])
    begin = node.allocated
    while begin < now:
        end = min(now, begin - begin % HALF_HOUR + HALF_HOUR)
        yield begin - begin % HALF_HOUR, (end - begin) * cores
        begin = end


def meter(world: World, node: Node, now: int) -> None:
    """Keeps what a node was there for, when it goes."""
    size = node.pool.body["vmSize"]
    for half_hour, core_time in _hours(node, now):
        key = node.pool.key, size, half_hour
        world.metered[key] = world.metered.get(key, 0) + core_time


def metered(world: World, now: int) -> dict[tuple[str, str, int], int]:
    """(Pool, VM size, half hour) → core ticks, of nodes that are there and that were."""
    found = dict(world.metered)
    for pool in world.pools.values():
        for node in pool.nodes.values():
            for half_hour, core_time in _hours(node, now):
                key = pool.key, pool.body["vmSize"], half_hour
                found[key] = found.get(key, 0) + core_time
    return found
