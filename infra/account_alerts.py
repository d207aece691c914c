"""Alerts that a metric of the Batch account tells, as no log carries the states of nodes.

They speak of all pools together: these metrics have no dimensions. Counts of nodes are
averaged, never summed, as Azure samples them every minute; events are counted. What pools
and series do by themselves is told by queries (`infra.log_alerts`).
https://learn.microsoft.com/azure/batch/monitor-batch-reference
"""

from __future__ import annotations

from dataclasses import dataclass

from infra.estate import Estate
from infra.log_alerts import NOTABLE_QUOTA_PERCENT, single_series_quota


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAlert:
    """One condition on a metric of the Batch account.

    Attributes:
        metric: The Batch account's metric.
        above: Mail goes out while the metric is above this; None for what Azure learns
            to be usual of it.
        aggregation: `Average` for counts that are sampled, `Count` for events.
        window: ISO 8601 duration that the average is taken over.
        severity: From 0, critical, to 4, verbose.
    """

    metric: str
    above: float | None
    aggregation: str = "Average"
    window: str
    severity: int
    description: str


def account_alerts(estate: Estate) -> dict[str, AccountAlert]:
    """The conditions worth a mail, by logical name."""
    # They idle on purpose.
    always_on_nodes = sum(pool.scale.min_nodes for pool in estate.pools)
    alerts = {
        "unusable": AccountAlert(
            metric="UnusableNodeCount",
            above=0,
            window="PT15M",
            severity=2,
            description="Nodes are unusable: they cost money and take no task.",
        ),
        "start-task": AccountAlert(
            metric="StartTaskFailedNodeCount",
            above=0,
            window="PT15M",
            severity=2,
            description="A start task fails: nodes cost money and take no task.",
        ),
        "idle": AccountAlert(
            metric="IdleNodeCount",
            above=always_on_nodes,
            window="PT1H",
            severity=3,
            description="Nodes idle for an hour beyond those that pools keep on purpose.",
        ),
        "failed-tasks": AccountAlert(
            metric="TaskFailEvent",
            above=None,
            aggregation="Count",
            window="PT15M",
            severity=3,
            description="More tasks fail than is usual of this account.",
        ),
    }
    if any(pool.scale.max_spot_nodes for pool in estate.pools):
        alerts["preempted"] = AccountAlert(
            metric="PreemptedNodeCount",
            above=0,
            window="PT1H",
            severity=3,
            description="Spot nodes were evicted and there is no capacity to bring them back.",
        )
    for name, metric, quota in (
        ("quota", "CoreCount", single_series_quota(estate)),
        ("spot-quota", "LowPriorityCoreCount", estate.config.batch.spot_vcpu_quota),
    ):
        if quota:
            alerts[name] = AccountAlert(
                metric=metric,
                above=quota * NOTABLE_QUOTA_PERCENT / 100,
                window="PT15M",
                severity=3,
                description=f"Nodes use more than {NOTABLE_QUOTA_PERCENT} % of {quota} vCPUs of "
                "quota.",
            )
    return alerts
