"""What there is in one Batch account: pools, nodes, jobs, tasks, and the indexes over them.

Records are plain and mutable; they change only through the functions of the
transitions, and states only through `set_node_state`, `set_job_state` and
`set_task_state`, which keep counts and indexes. Instants and spans are ticks
(`emulator.clock`). Ids are unique ignoring case: a `key` is the id in lower case.

What a client wrote (`body`, `spec`) is kept as the wire's normalised JSON and never
changes but by a client's request; what the service adds is in fields.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from emulator.clock import MAX_TICKS
from emulator.engine.ordered import KeyIndex
from emulator.nodes.interface import TaskKind

NodeState = str
TaskState = Literal["active", "preparing", "running", "completed"]
JobState = Literal[
    "active", "disabling", "disabled", "enabling", "terminating", "completed", "deleting"
]
Intent = Literal["", "requeue", "terminate", "lost", "delete"]
"""What becomes of a task whose attempt was called off."""

SCHEDULABLE: frozenset[NodeState] = frozenset({"idle", "running"})
NODE_STATES: tuple[NodeState, ...] = (
    "creating", "deallocated", "deallocating", "idle", "leavingpool", "offline", "preempted",
    "rebooting", "reimaging", "running", "starting", "starttaskfailed", "unusable", "unknown",
    "upgradingos", "waitingforstarttask",
)  # fmt: skip
"""In the order in which the service counts them."""


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """One run of a task on a node, from its placement until its process is gone.

    Attributes:
        id: Unique for the life of the engine.
        kind: What sort of task it runs.
        pool: Where, with `node`.
        job: None for a start task.
        task: None for a start, preparation or release task, and once the task is deleted.
        task_id: Also when the task is gone.
        slots: Slots of the node that it holds.
        intent: What becomes of the task; not empty once the attempt was called off.
    """

    id: int
    kind: TaskKind
    pool: Pool
    node: Node
    job: Job | None
    task: Task | None
    task_id: str
    slots: int
    intent: Intent = ""


@dataclass(slots=True, kw_only=True, eq=False)
class Preparation:
    """How a job's preparation or release task fares on a node."""

    kind: TaskKind
    state: Literal["running", "completed"] = "running"
    ok: bool = False
    start: int = 0
    end: int | None = None
    exit_code: int | None = None
    failure: dict[str, Any] | None = None
    retry_count: int = 0
    waiting: list[Attempt] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """A compute node.

    Attributes:
        leaving: How it leaves its pool once it is empty; empty while it stays.
        after_tasks: What happens once its last task ended: a reboot that waits for it.
        boots: Counts boots: a timer of an earlier boot finds another number.
        free_level: Under how many free slots the pool's index holds it, or -1.
    """

    id: str
    pool: Pool
    dedicated: bool
    state: NodeState
    since: int
    ip: str
    allocated: int
    scheduling: Literal["enabled", "disabled"] = "enabled"
    booted: int | None = None
    used: int = 0
    attempts: dict[int, Attempt] = field(default_factory=dict)
    preparations: dict[str, Preparation] = field(default_factory=dict)
    releases: dict[str, Preparation] = field(default_factory=dict)
    total_run: int = 0
    total_succeeded: int = 0
    recent: deque[Task] = field(default_factory=lambda: deque(maxlen=10))
    start_task: dict[str, Any] | None = None
    start_info: dict[str, Any] | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    leaving: str = ""
    after_tasks: str = ""
    boots: int = 0
    free_level: int = -1


@dataclass(slots=True, kw_only=True, eq=False)
class Pool:
    """A pool.

    Attributes:
        body: The pool as its client wrote it, normalised; without id, targets, autoscale.
        generation: Counts resizes: a timer of an earlier one finds another number.
        growth_due: Whether the nodes of the present resize are still to come.
        free: Nodes that may take a task, by how many slots they have free.
        scaled: When autoscale was last evaluated, or enabled if it was not yet.
        samples: Variable → (instant, value), oldest first.
    """

    id: str
    key: str
    body: dict[str, Any]
    created: int
    modified: int
    since: int
    state: Literal["active", "deleting"] = "active"
    identity: dict[str, Any] | None = None
    allocation: Literal["steady", "resizing", "stopping"] = "resizing"
    allocation_since: int = 0
    target_dedicated: int = 0
    target_spot: int = 0
    resize_timeout: int = 0
    deallocation_option: str = "requeue"
    resize_errors: list[dict[str, Any]] = field(default_factory=list)
    autoscale: bool = False
    formula: str = ""
    interval: int = 0
    scale_run: dict[str, Any] | None = None
    scaled: int = 0
    autoscale_enabled: int = 0
    generation: int = 0
    growth_due: bool = False
    next_address: int = 4
    nodes: dict[str, Node] = field(default_factory=dict)
    counts: dict[tuple[bool, NodeState], int] = field(default_factory=dict)
    current: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    free: dict[int, dict[Node, None]] = field(default_factory=dict)
    samples: dict[str, deque[tuple[int, float]]] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        """Task slots of each node."""
        return int(self.body["taskSlotsPerNode"])


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """A task of a job.

    Attributes:
        spec: What its client wrote, normalised, as JSON bytes: dictionaries of a hundred
            thousand tasks would not fit.
        order: Its place in the queue of its job while it waits, else 0.
        queued: Where it waits: `soon` until the scheduler sees it, then `ready`.
        unmet: How many tasks it still depends on.
        node_id: Where it runs or ran; empty for one that ended before it was placed.
        files: Whether its directory is still on its node.
    """

    id: str
    key: str
    job: Job
    spec: bytes
    seq: int
    slots: int
    max_retries: int
    retention: int
    created: int
    modified: int
    since: int
    state: TaskState = "active"
    previous: TaskState | None = None
    previous_since: int = 0
    start: int | None = None
    end: int | None = None
    exit_code: int | None = None
    failure: dict[str, Any] | None = None
    result: Literal["success", "failure"] | None = None
    retry_count: int = 0
    last_retry: int | None = None
    requeue_count: int = 0
    last_requeue: int | None = None
    pool_id: str = ""
    node_id: str | None = None
    attempt: Attempt | None = None
    order: int = 0
    queued: Literal["", "soon", "ready"] = ""
    unmet: int = 0
    conditional: bool = False
    affinity: str = ""
    files: bool = False


@dataclass(slots=True, kw_only=True)
class Counts:
    """Of tasks, or of the slots that they need."""

    active: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """A job.

    Attributes:
        body: The job as its client wrote it, normalised; without its id.
        pool_key: Of its pool, which need not exist.
        stable, stable_since: The last state that was not a transient one: what the
            service shows as the previous state.
        ready: Tasks that may run, by the slots they need, in the order of their turn. An
            entry whose number is no longer its task's is a task that was taken out.
        ready_count: How many those are.
        by_transition: Keys of all tasks, the one that changed its state last at the end.
        dependents: Key of a task → tasks that depend on it.
        blocked: How many active tasks still depend on others.
        wall_clock: Its wall-clock limit, in ticks.
        served: When the scheduler last gave it a slot, for fairness between equals.
        action: What a failed task's exit conditions want done to it.
    """

    id: str
    key: str
    body: dict[str, Any]
    pool_key: str
    pool_id: str
    created: int
    modified: int
    since: int
    seq: int
    state: JobState = "active"
    stable: JobState = "active"
    stable_since: int = 0
    previous: JobState | None = None
    previous_since: int = 0
    started: int = 0
    ended: int | None = None
    terminate_reason: str | None = None
    scheduling_error: dict[str, Any] | None = None
    auto_pool: bool = False
    tasks: dict[str, Task] = field(default_factory=dict)
    order: KeyIndex = field(default_factory=KeyIndex)
    by_state: dict[str, KeyIndex] = field(
        default_factory=lambda: {
            s: KeyIndex() for s in ("active", "preparing", "running", "completed")
        }
    )
    by_transition: dict[str, None] = field(default_factory=dict)
    ready: dict[int, deque[tuple[int, Task]]] = field(default_factory=dict)
    ready_count: int = 0
    attempts: dict[int, Attempt] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    slot_counts: Counts = field(default_factory=Counts)
    dependents: dict[str, list[Task]] = field(default_factory=dict)
    blocked: int = 0
    served: int = 0
    wall_clock: int = MAX_TICKS
    action: Literal["", "disable", "terminate"] = ""

    @property
    def priority(self) -> int:
        """From -1000 to 1000; higher goes first."""
        return int(self.body["priority"])


@dataclass(slots=True)
class World:
    """Everything in one account."""

    account: str
    pools: dict[str, Pool] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    jobs_of_pool: dict[str, dict[str, Job]] = field(default_factory=dict)
    active_jobs: int = 0

    def add_pool(self, pool: Pool) -> None:
        """Puts a new pool in."""
        self.pools[pool.key] = pool

    def remove_pool(self, pool: Pool) -> None:
        """Takes a pool out."""
        del self.pools[pool.key]

    def add_job(self, job: Job) -> None:
        """Puts a new job in."""
        self.jobs[job.key] = job
        self.jobs_of_pool.setdefault(job.pool_key, {})[job.key] = job
        self.active_jobs += job.state not in {"completed", "deleting"}

    def remove_job(self, job: Job) -> None:
        """Takes a job out, with its tasks."""
        del self.jobs[job.key]
        self._unbind(job)
        self.active_jobs -= job.state not in {"completed", "deleting"}

    def move_job(self, job: Job, pool_id: str) -> None:
        """Binds a job to another pool."""
        self._unbind(job)
        job.pool_id, job.pool_key = pool_id, pool_id.lower()
        self.jobs_of_pool.setdefault(job.pool_key, {})[job.key] = job

    def _unbind(self, job: Job) -> None:
        bound = self.jobs_of_pool[job.pool_key]
        del bound[job.key]
        if not bound:
            del self.jobs_of_pool[job.pool_key]

    def set_job_state(self, job: Job, state: JobState, now: int) -> None:
        """Changes a job's state; the previous one that shows is the last stable one."""
        if job.state in {"active", "disabled", "completed"}:
            job.previous, job.previous_since = job.state, job.since
        ended = {"completed", "deleting"}
        self.active_jobs += (job.state in ended) - (state in ended)
        job.state, job.since = state, now


def add_node(pool: Pool, node: Node) -> None:
    """Puts a new node in its pool."""
    pool.nodes[node.id] = node
    pool.current[node.dedicated] += 1
    _count(pool, node, 1)


def remove_node(pool: Pool, node: Node) -> None:
    """Takes a node out of its pool."""
    _unindex(node)
    _count(pool, node, -1)
    pool.current[node.dedicated] -= 1
    del pool.nodes[node.id]


def set_node_state(node: Node, state: NodeState, now: int) -> None:
    """Changes a node's state, its pool's counts and whether it may take tasks."""
    if node.state != state:
        _count(node.pool, node, -1)
        node.state, node.since = state, now
        _count(node.pool, node, 1)
    reindex(node)


def reindex(node: Node) -> None:
    """Files a node under the slots that it has free, if it may take tasks."""
    _unindex(node)
    free = node.pool.slots - node.used
    takes = node.scheduling == "enabled" and not node.leaving and not node.after_tasks
    if free > 0 and takes and node.state in SCHEDULABLE:
        node.pool.free.setdefault(free, {})[node] = None
        node.free_level = free


def _unindex(node: Node) -> None:
    if node.free_level >= 0:
        level = node.pool.free[node.free_level]
        del level[node]
        if not level:
            del node.pool.free[node.free_level]
        node.free_level = -1


def _count(pool: Pool, node: Node, by: int) -> None:
    key = (node.dedicated, node.state)
    pool.counts[key] = pool.counts.get(key, 0) + by


def add_task(job: Job, task: Task) -> None:
    """Puts a new task in its job."""
    job.tasks[task.key] = task
    job.order.add(task.key)
    _count_task(task, 1)


def remove_task(task: Task) -> None:
    """Takes a task out of its job."""
    unqueue(task)
    _count_task(task, -1)
    task.job.order.discard(task.key)
    task.job.by_transition.pop(task.key, None)
    del task.job.tasks[task.key]


def set_task_state(task: Task, state: TaskState, now: int) -> None:
    """Changes a task's state, its job's counts and indexes."""
    _count_task(task, -1)
    task.previous, task.previous_since = task.state, task.since
    task.state, task.since = state, now
    _count_task(task, 1)


def _count_task(task: Task, by: int) -> None:
    job = task.job
    index = job.by_state[task.state]
    if by > 0:
        index.add(task.key)
        job.by_transition.pop(task.key, None)
        job.by_transition[task.key] = None
    else:
        index.discard(task.key)
    for counts, amount in ((job.counts, by), (job.slot_counts, by * task.slots)):
        if task.state == "active":
            counts.active += amount
        elif task.state != "completed":
            counts.running += amount
        elif task.result == "success":
            counts.succeeded += amount
        else:
            counts.failed += amount


def enqueue(task: Task, order: int) -> None:
    capacity: dict[tuple[str, bool], int] = field(default_factory=dict)
    """(VM size, whether dedicated) → nodes that there are, where somebody set an end."""
    """Lets a task wait for a slot."""
    task.queued, task.order = "ready", order
    task.job.ready.setdefault(task.slots, deque()).append((order, task))
    task.job.ready_count += 1


def unqueue(task: Task) -> None:
    """Takes a task from wherever it waits; its entry in a queue is passed over later."""
    if task.queued == "ready":
        task.job.ready_count -= 1
    task.queued, task.order = "", 0


def heads(job: Job, most_slots: int) -> list[Task]:
    """Of each number of slots up to `most_slots` the task that has waited longest."""
    found: list[Task] = []
    for slots, queue in list(job.ready.items()):
        while queue and queue[0][1].order != queue[0][0]:
            queue.popleft()
        if not queue:
            del job.ready[slots]
        elif slots <= most_slots:
            found.append(queue[0][1])
    return found
