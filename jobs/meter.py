"""What a job has cost so far, estimated while it runs.

Node time by the rule of `jobs.prices`: what has ended is known exactly when watching begins
and when the job is over. In between it is counted at each look: as many nodes are busy as
run tasks in the pool, yet no more than the job's running tasks may take: one each, more
for a multi-instance task. Where other jobs share the nodes that is an upper bound, as a
limit on spending should have it. Of attempts that were followed by others the service keeps
nothing: what was watched of them is not given up for an estimate that is less. Times are the
service's (the Date of its answers): a laptop's clock may be wrong, or asleep.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from jobs.looks import TaskEnd
from jobs.prices import NodeTime, node_time
from jobs.stack import Pool


@dataclass(slots=True, kw_only=True)
class Meter:
    """Counts node time.

    Attributes:
        pool: Where the job runs, with its prices.
        used: Node time up to the last reading.
    """

    pool: Pool
    used: NodeTime = field(default_factory=NodeTime)
    _at: float | None = None
    _busy: tuple[float, float] = (0.0, 0.0)

    @property
    def cost(self) -> float | None:
        """In the pool's currency; None where a price is not known."""
        return self.used.cost(self.pool)

    @property
    def started(self) -> bool:
        """Whether it knows what was before."""
        return self._at is not None

    def start(self, tasks: Collection[TaskEnd], at: float) -> None:
        """Begins, with tasks that have ended or, ended as of now, still run."""
        self.used = node_time(tasks, self.pool.task_slots_per_node)
        self._at = at

    def read(
        self, at: float, *, running: int, slots: int, dedicated: int, spot: int, beside: int = 0
    ) -> None:
        """Counts the time since the last reading.

        Args:
            at: Seconds since the epoch, by the service's clock.
            running: Tasks of the job that run.
            slots: Slots that they take.
            dedicated: Dedicated nodes of the pool that run tasks, whosever they are.
            spot: Spot nodes that do.
            beside: Nodes that its running multi-instance tasks take beside the first of each.
        """
        nodes = dedicated + spot
        least = -(-slots // self.pool.task_slots_per_node) + beside
        busy = float(max(least, min(running + beside, nodes)))
        share = spot / nodes if nodes else float(self.pool.max_dedicated_nodes == 0)
        now = (busy * (1 - share), busy * share)
        if self._at is not None and at > self._at:
            passed = at - self._at
            self.used = NodeTime(
                dedicated_s=self.used.dedicated_s + passed * (self._busy[0] + now[0]) / 2,
                spot_s=self.used.spot_s + passed * (self._busy[1] + now[1]) / 2,
            )
        self._at = max(at, self._at or at)
        self._busy = now

    def settle(self, tasks: Collection[TaskEnd]) -> None:
        """Replaces the estimate by what the ended tasks took, as far as that is known.

        Where some ran again it is not known, and never less than what was watched.
        """
        watched, told = self.used, node_time(tasks, self.pool.task_slots_per_node)
        if any(end.estimated for end in tasks) and watched.total_s > told.total_s:
            told = told.times(watched.total_s / told.total_s) if told.total_s else watched
        self.used = told
