"""What there is in one Batch account: pools, nodes, jobs, tasks, and the indexes over them.

Records are plain and mutable; they change only through the functions of the transitions.
States, and what is in a pool or a job, change only through the functions of
`emulator.engine.indexes` and the methods of `World`, which keep counts and indexes. Instants
and spans are ticks (`emulator.clock`). Ids are unique ignoring case: a `key` is the id in
lower case. The records point at one another, so that they are in one module.

What a client wrote (`body`, `spec`) is kept as the wire's normalised JSON and never
changes but by a client's request; what the service adds is in fields.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from emulator.clock import MAX_TICKS
from emulator.engine.ordered import KeyIndex
from emulator.nodes.interface import TaskKind, TaskOutcome

NodeState = str
TaskState = Literal["active", "preparing", "running", "completed"]
JobState = Literal[
    "active", "disabling", "disabled", "enabling", "terminating", "completed", "deleting"
]
Intent = Literal["", "requeue", "terminate", "lost", "delete"]
"""What becomes of a task whose attempt was called off."""
WORK: frozenset[TaskKind] = frozenset({"task", "coordination"})
"""What makes a node busy: attempts at tasks of jobs."""

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
        slots: Slots of the node that it holds; 0 for what runs beside tasks.
        instance: Of a multi-instance task; 0 is the primary.
        intent: What becomes of the task; not empty once the attempt was called off.
        called_off: When it was.
    """

    id: int
    kind: TaskKind
    pool: Pool
    node: Node
    job: Job | None
    task: Task | None
    task_id: str
    slots: int
    instance: int = 0
    intent: Intent = ""
    called_off: int = 0


@dataclass(slots=True, kw_only=True)
class Subtask:
    """What is told of an instance of a multi-instance task beside its primary.

    Attributes:
        id: From 1; the primary is 0.
    """

    id: int
    pool_id: str
    node_id: str
    state: Literal["preparing", "running", "completed"]
    since: int
    previous: Literal["preparing", "running"] | None = None
    previous_since: int = 0
    start: int | None = None
    end: int | None = None
    exit_code: int | None = None
    failure: dict[str, Any] | None = None
    result: Literal["success", "failure"] | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Gang:
    """A multi-instance task at work: all of its instances, or none.

    Each instance holds its node by an attempt at the coordination command, whose
    processes live until the application is over; the application runs beside the
    primary's.

    Attributes:
        instances: Attempts at the coordination, by instance; 0 is the primary's.
        coordinated: Instances whose coordination command has returned.
        application: The attempt at the task's own command line, while it runs.
        outcome: How the task ended: of the application, or of the instance that failed first.
        intent: What becomes of the task, if it was called off.
    """

    instances: dict[int, Attempt]
    coordinated: set[int] = field(default_factory=set)
    application: Attempt | None = None
    outcome: TaskOutcome | None = None
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
        used_by_tasks: What tasks used here: the first figures of `statistics.Totals`.
        peak_memory: Most bytes that one task held here.
        users: Accounts that clients have made on it: name → `isAdmin`, `expiryTime` (ticks).
        has_packages: Whether application packages were brought at its last boot.
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
    used_by_tasks: Sequence[int] = ()
    peak_memory: int = 0
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    has_packages: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Pool:
    """A pool.

    Attributes:
        body: The pool as its client wrote it, normalised; without id, targets, autoscale.
        generation: Counts resizes: a timer of an earlier one finds another number.
        growth_due: Whether the nodes of the present resize are still to come.
        free: Nodes that may take a task, by how many slots they have free.
        scaled: When autoscale was last evaluated, or enabled if it was not yet.
        network: Which block of loopback addresses its nodes have.
        gone, gone_time, peak_memory: Figures of nodes that are gone (`statistics`).
        samples: Variable → (instant, value), oldest first.
        decisions: What autoscale decided since the emulator started, oldest first; for
            people who look, nothing here depends on it.
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
    network: int = 0
    gone: Sequence[int] = ()
    gone_time: Sequence[int] = ()
    peak_memory: int = 0
    nodes: dict[str, Node] = field(default_factory=dict)
    counts: dict[tuple[bool, NodeState], int] = field(default_factory=dict)
    current: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    free: dict[int, dict[Node, None]] = field(default_factory=dict)
    samples: dict[str, deque[tuple[int, float]]] = field(default_factory=dict)
    decisions: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=100))

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
        instances: How many nodes a multi-instance task needs; 0 for any other task.
        gang: Those, while they are at work; `attempt` is then the primary's.
        subtasks: What is told of the instances beside the primary, of the latest run.
        manager: Whether it is its job's manager task.
        used: What its attempts used: the first figures of `statistics.Totals`.
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
    instances: int = 0
    gang: Gang | None = None
    subtasks: Sequence[Subtask] = ()
    manager: bool = False
    used: Sequence[int] = ()


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
        ready: Tasks that may run, by what they need (`demand`), in the order of their turn.
            An entry whose number is no longer its task's is a task that was taken out.
        ready_count: How many those are.
        by_transition: Keys of all tasks, the one that changed its state last at the end.
        dependents: Key of a task → tasks that depend on it.
        blocked: How many active tasks still depend on others.
        wall_clock: Its wall-clock limit, in ticks.
        served: When the scheduler last gave it a slot, for fairness between equals.
        action: What a failed task's exit conditions want done to it; `complete` when its
            manager task ended.
        schedule: Key of the schedule that it belongs to; empty for a job of its own.
        gone: What its deleted tasks used, as `statistics.Totals`.
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
    action: Literal["", "disable", "terminate", "complete"] = ""
    schedule: str = ""
    gone: Sequence[int] = ()

    @property
    def priority(self) -> int:
        """From -1000 to 1000; higher goes first."""
        return int(self.body["priority"])


@dataclass(slots=True, kw_only=True, eq=False)
class Schedule:
    """A job schedule.

    Attributes:
        body: The schedule as its client wrote it, normalised; without its id.
        timing: Of the jobs: when they are due.
        wall_clock, retention: Of each job, and of its manager task; ticks.
        runs: How many jobs it has made.
        next_run: When the next job is due; None when none will be.
        due: Since when a job is due that is not made yet; None when none is.
        job: Key of the job that it made last.
        pool_id: The auto pool that its jobs share, if they do.
        generation: Counts changes: a timer of an earlier one finds another number.
        gone: What the tasks of its deleted jobs used, as `statistics.Totals`.
    """

    id: str
    key: str
    body: dict[str, Any]
    timing: Timing
    wall_clock: int
    retention: int
    created: int
    modified: int
    since: int
    seq: int
    state: ScheduleState = "active"
    previous: ScheduleState | None = None
    previous_since: int = 0
    runs: int = 0
    next_run: int | None = None
    due: int | None = None
    job: str = ""
    pool_id: str = ""
    ended: int | None = None
    generation: int = 0
    gone: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a schedule's jobs are due; instants and spans in ticks, None where not given."""

    until: int | None = None
    after: int | None = None
    window: int | None = None
    interval: int | None = None


ScheduleState = Literal["active", "disabled", "terminating", "completed", "deleting"]


@dataclass(slots=True)
class World:
    """Everything in one account."""

    account: str
    pools: dict[str, Pool] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    jobs_of_pool: dict[str, dict[str, Job]] = field(default_factory=dict)
    capacity: dict[tuple[str, bool], int] = field(default_factory=dict)
    """(VM size, whether dedicated) → nodes that there are, where somebody set an end."""
    active_jobs: int = 0
    metered: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """(Pool, VM size, half hour) → core ticks of nodes that are gone."""

    @property
    def active_schedules(self) -> int:
        """Schedules that count against the quota of jobs and schedules."""
        return sum(s.state not in {"completed", "deleting"} for s in self.schedules.values())

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
