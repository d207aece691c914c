"""How long the service takes for what it does, and how much of it one may have.

All waits are service seconds; `speed` divides them (see `emulator.clock`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from random import Random

from emulator.clock import service_ticks

_Z95 = 1.6448536269514722
"""The standard normal's 95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Waits, quotas and the seed.

    A node is ready a lognormal time after the decision to grow (median and 95th
    percentile published by users: 5 and 10 minutes). The shares tell how much of it
    passes before the node shows as `creating` and until it is `starting`, after the
    recording of a Linux node: 36 s, then 11 s, then 90 s.

    Attributes:
        speed: Divides every wait.
        seed: Of the engine's random numbers: the same seed gives the same node ids and waits.
        node_ready_median_s: Median time until a new node is idle, without its start task.
        node_ready_p95_s: 95th percentile of the same.
        allocation_share: Part of it until nodes appear, the same for one resize.
        creating_share: Part of it that a node is `creating`.
        reboot_share: A reboot takes so much of a node's time to get ready.
        resize_without_growth_s: Until a resize that adds nothing is `steady`.
        node_leaving_s: Until an empty node that leaves is gone.
        scheduling_latency_s: From a task's being ready to run until it is placed.
        job_transition_s: Of a job from `disabling` to `disabled` and the like.
        job_termination_s: From `terminating` to `completed`, once nothing runs.
        job_deletion_s: From `deleting` until it is gone, once nothing runs.
        pool_deletion_s: From `deleting` until it is gone, once it has no nodes.
        preempted_return_s: Until a preempted spot node is allocated again.
        sample_interval_s: Between two autoscale samples.
        sample_delay_s: Until a sample is visible to a formula.
        enable_autoscale_interval_s: Between two requests to enable it on one pool.
        max_pools: Quota of the account.
        max_active_jobs: Quota of active jobs and job schedules.
        max_nodes: Quota of nodes of a pool, dedicated and spot together.
        max_dedicated_cores: Quota of the account's dedicated cores, over all pools.
        max_spot_cores: Likewise of spot (low-priority) cores.
    """

    speed: float = 1.0
    seed: int = 0
    node_ready_median_s: float = 300.0
    node_ready_p95_s: float = 600.0
    allocation_share: float = 0.26
    creating_share: float = 0.08
    reboot_share: float = 0.3
    resize_without_growth_s: float = 1.4
    node_leaving_s: float = 10.0
    scheduling_latency_s: float = 2.0
    job_transition_s: float = 0.02
    job_termination_s: float = 0.3
    job_deletion_s: float = 0.5
    pool_deletion_s: float = 1.0
    preempted_return_s: float = 600.0
    sample_interval_s: float = 30.0
    sample_delay_s: float = 15.0
    enable_autoscale_interval_s: float = 30.0
    max_pools: int = 100
    max_active_jobs: int = 1000
    max_nodes: int = 10_000
    max_dedicated_cores: int = 1_000_000
    max_spot_cores: int = 1_000_000

    def ticks(self, wait_s: float) -> int:
        """Wall ticks of a wait of the service."""
        return service_ticks(wait_s, self.speed)

    def node_ready_s(self, random: Random) -> float:
        """Service seconds until a node is ready, drawn from the distribution."""
        spread = math.log(self.node_ready_p95_s / self.node_ready_median_s) / _Z95
        return self.node_ready_median_s * math.exp(spread * random.gauss(0.0, 1.0))


QUOTAS = tuple(field.name for field in fields(Settings) if field.name.startswith("max_"))
"""Settings that are quotas: what people may change while the emulator runs."""
MOST = 10_000_000
"""Of a quota."""
