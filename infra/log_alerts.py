"""Alerts that a query over the workspace can tell and no metric of the Batch account can.

Metrics of the account speak of all pools together; events and what nodes report name the
pool. Where one series' quota is the only one in use, the account's own metric is exact
and faster, and `single_series_quota` gives it to the metric alert instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from infra import queries
from infra.estate import Estate

NOTABLE_QUOTA_PERCENT: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAlert:
    """One query, and when its answer is worth a mail.

    Attributes:
        query: KQL; gives one row for each value of `dimension`.
        measure: The column that is compared.
        above: Mail goes out for each row whose measure is above this.
        dimension: The column that tells rows apart, such as `Pool`.
        window: ISO 8601 duration that the query looks at, `P1D` at most.
        looks_back: Duration that it looks at instead, `P2D` at most, or None.
        severity: From 0, critical, to 4, verbose.
    """

    query: str
    measure: str
    above: float
    dimension: str = "Pool"
    window: str
    looks_back: str | None = None
    severity: int
    description: str


def single_series_quota(estate: Estate) -> int | None:
    """The dedicated vCPU quota where one series has all dedicated nodes, else None."""
    series = {
        pool.size.series if pool.size else ""
        for pool in estate.pools
        if pool.scale.max_dedicated_nodes
    }
    if len(series) != 1:
        return None
    return estate.config.batch.vcpu_quota_by_series.get(series.pop()) or None


def log_alerts(estate: Estate) -> dict[str, LogAlert]:
    """The queries worth a mail, by logical name."""
    alerts = {
        "pool-start-task": LogAlert(
            query=queries.FAILED_START_TASKS,
            measure="Nodes",
            above=0,
            window="PT15M",
            severity=2,
            description="A pool's start task fails on its nodes: they take no task.",
        ),
        "pool-failed-tasks": LogAlert(
            query=queries.FAILED_TASKS,
            measure="FailedPercent",
            above=50,
            window="PT15M",
            severity=2,
            description="More than half of a pool's tasks fail.",
        ),
        "pool-resize": LogAlert(
            query=queries.FAILED_RESIZES,
            measure="Failed",
            above=2,
            window="PT1H",
            severity=3,
            description="A pool does not get its nodes: no quota, no capacity or no addresses.",
        ),
        "pool-formula": LogAlert(
            query=queries.FAILED_FORMULAS,
            measure="Failed",
            above=2,
            window="PT1H",
            severity=2,
            description="A pool's formula fails again and again: the pool keeps its size.",
        ),
    }
    if any(pool.scale.max_spot_nodes for pool in estate.pools):
        alerts["pool-requeued"] = LogAlert(
            query=queries.REQUEUED_TASKS,
            measure="Requeued",
            above=10,
            window="PT1H",
            severity=3,
            description="A pool loses work: evicted nodes' tasks begin again.",
        )
    given = estate.config.batch.vcpu_quota_by_series
    quota = {series: vcpus for series, vcpus in given.items() if vcpus}
    if quota and single_series_quota(estate) is None:
        alerts["series-quota"] = LogAlert(
            query=queries.used_quota(estate.pools, quota),
            measure="UsedPercent",
            above=NOTABLE_QUOTA_PERCENT,
            dimension="Series",
            window="P1D",
            # A pool is counted with its newest resize; two days is as far as alerts look.
            looks_back="P2D",
            severity=3,
            description=f"Dedicated nodes use more than {NOTABLE_QUOTA_PERCENT} % of a series' "
            "vCPU quota.",
        )
    if estate.config.monitoring.node_telemetry.enabled:
        alerts["pool-idle"] = LogAlert(
            query=queries.spare_nodes(estate.pools),
            measure="Spare",
            above=0,
            window="PT1H",
            severity=3,
            description="Nodes did next to nothing for an hour, busy or not, and cost money.",
        )
        alerts["pool-disk"] = LogAlert(
            query=queries.FULL_DISKS,
            measure="UsedPercent",
            above=90,
            window="PT15M",
            severity=2,
            description="A node's disk is nearly full: its tasks will fail.",
        )
    return alerts
