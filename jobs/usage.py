"""What the stages, nodes and slowest tasks of a job used: the parts of a report. Pure.

What a report adds up of them is in `jobs.report`, what it is worth in `jobs.prices`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jobs.looks import TaskEnd
from jobs.node_spans import merged, places, stays
from jobs.prices import NodeTime, Shares, slot_s
from jobs.stack import Pool
from jobs.task_names import TaskNames, Values

MOST_NODES = 200
"""Of a pool however large, as many nodes are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How values are spread, in seconds.

    Attributes:
        median: Half of them are at most this.
        p95: 95 of 100 are at most this.
        longest: All of them are.
    """

    median: float = 0.0
    p95: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageUse:
    """What the tasks of one stage took; a job without stages is one without a name.

    Attributes:
        name: The stage.
        ended: Times that tasks of it have ended: twice of one that was run again by hand.
        failed: Of them, those that failed.
        retries: Attempts beyond the first.
        waited: From submission to the first attempt's start.
        ran: Of the last attempts.
        task_s: Run times together.
        cost: Its share of the job's cost; None where that is not known.
        allowed_s: The longest that each of its tasks may run; None: no limit is known.
        tasks: Tasks of it that have ended.
        tasks_failed: Of them, those that failed at last.
        stale: Tasks of it whose answer is of outputs that were replaced since.
    """

    name: str
    ended: int
    failed: int
    retries: int
    waited: Spread
    ran: Spread
    task_s: float
    cost: float | None
    allowed_s: float | None = None
    tasks: int = 0
    tasks_failed: int = 0
    stale: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUse:
    """What one node did for the job.

    Attributes:
        node_id: The node; `NODE +1` is one of which nothing is known but that a multi-instance
            task had it beside NODE, `not known 1` one on which only attempts before the last
            can have been.
        spot: Whether it was a spot node.
        tasks: Tasks of which it ran the last attempt, or a part of that.
        failed: Of them, those that failed.
        busy_s: How long it had a task.
        cost: Of that time; None where the price is not known.
    """

    node_id: str
    spot: bool
    tasks: int
    failed: int
    busy_s: float
    cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowTask:
    """One of the tasks that ran longest; its name and parameters as of `FailureGroup`.

    Attributes:
        stale: Whether its answer is of outputs that were replaced since.
    """

    id: str
    stage: str
    node_id: str
    succeeded: bool
    run_s: float
    cost: float | None
    name: str = ""
    parameters: Values = field(default_factory=dict)
    stale: bool = False


def spread(values: Sequence[float]) -> Spread:
    """Median, 95th percentile (nearest rank) and maximum; zeros for no values."""
    if not values:
        return Spread()
    ordered = sorted(values)

    def at(percent: int) -> float:
        return ordered[-(-len(ordered) * percent // 100) - 1]

    return Spread(median=at(50), p95=at(95), longest=ordered[-1])


def by_stage(
    ends: Collection[TaskEnd],
    earlier: Collection[TaskEnd],
    rates: Shares,
    names: TaskNames,
    allowed: Mapping[str, float],
    stale: Mapping[str, int],
) -> tuple[StageUse, ...]:
    """Stages in the order in which their first tasks were submitted.

    Args:
        ends: How tasks ended.
        earlier: How their attempts before had.
        rates: What they cost.
        names: Tell the stage of a task.
        allowed: Seconds that a task may run, by stage.
        stale: Tasks whose answer is stale, by stage.
    """
    found: dict[str, list[TaskEnd]] = defaultdict(list)
    for end in (*ends, *earlier):
        found[names.stage(end.id)].append(end)
    tasks = Counter(names.stage(end.id) for end in ends)
    bad = Counter(names.stage(end.id) for end in ends if not end.succeeded)
    uses = []
    for name, mine in sorted(found.items(), key=lambda item: min(e.created for e in item[1])):
        ran = [end for end in mine if end.started is not None]
        costs = [rates.of(end) for end in ran]
        known = [cost for cost in costs if cost is not None]
        uses.append(
            StageUse(
                name=name,
                ended=len(mine),
                failed=sum(not end.succeeded for end in mine),
                retries=sum(end.retries for end in mine),
                waited=spread([end.wait_s for end in ran]),
                ran=spread([end.run_s for end in ran]),
                task_s=sum(end.run_s for end in ran),
                cost=sum(known) if len(known) == len(costs) else None,
                allowed_s=allowed.get(name),
                tasks=tasks[name],
                tasks_failed=bad[name],
                stale=stale.get(name, 0),
            )
        )
    return tuple(uses)


def by_node(ran: Collection[TaskEnd], pool: Pool, used: NodeTime) -> tuple[NodeUse, ...]:
    """The nodes on which most failed, then those that were longest busy; `MOST_NODES` at most.

    Args:
        ran: Tasks that ran.
        pool: Where.
        used: Node time of all of them, which may be more than their own times tell.
    """
    here = list(stays(ran, pool.task_slots_per_node))
    busy = {
        node: sum(stop - start for start, stop in spans) for node, spans in merged(here).items()
    }
    spot = {stay.node for stay in here if stay.end.on_spot}
    told = sum(busy.values())
    factor = used.total_s / told if told else 1.0
    tasks, failed = Counter[str](), Counter[str]()
    for end in ran:
        for node in places(end):
            tasks[node] += 1
            failed[node] += not end.succeeded
    uses = []
    for node, seconds in busy.items():
        busy_s = seconds * factor
        price = pool.spot_rate if node in spot else pool.dedicated_price_per_hour
        uses.append(
            NodeUse(
                node_id=node,
                spot=node in spot,
                tasks=tasks[node],
                failed=failed[node],
                busy_s=busy_s,
                cost=None if price is None else busy_s / 3600 * price,
            )
        )
    uses.sort(key=lambda use: (-use.failed, -use.busy_s, use.node_id))
    return tuple(uses[:MOST_NODES])


def processor_time(ran: Iterable[TaskEnd], pool: Pool) -> tuple[float, float] | None:
    """Seconds that were used and that the slots taken have, of tasks where that is known."""
    counted = [end for end in ran if end.cpu_s is not None]
    if pool.vcpus is None or not counted:
        return None
    given = sum(map(slot_s, counted)) / pool.task_slots_per_node * pool.vcpus
    return sum(end.cpu_s or 0.0 for end in counted), given
