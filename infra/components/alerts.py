"""Mail when something is wrong with nodes, before somebody looks.

Metric alerts on the Batch account, because node-state metrics are platform metrics that
no log carries. They speak of all pools together: these metrics have no dimensions.
Counts are averaged, never summed, as Azure samples them every minute.
https://learn.microsoft.com/azure/batch/monitor-batch-reference
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native.monitor import (
    ActionGroup,
    MetricAlert,
    MetricAlertActionArgs,
    MetricAlertSingleResourceMultipleMetricCriteriaArgs,
    MetricCriteriaArgs,
    MicrosoftCommonEmailReceiverArgs,
)

from infra.components.place import Place

_CRITERIA = "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria"
_SHORT_NAME = "hpc nodes"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAlert:
    """One condition on a count of nodes.

    Attributes:
        metric: The Batch account's metric.
        above: Mail goes out while the average is above this.
        window: ISO 8601 duration that the average is taken over.
        severity: From 0, critical, to 4, verbose.
    """

    metric: str
    above: int
    window: str
    severity: int
    description: str


def node_alerts(*, always_on_nodes: int) -> dict[str, NodeAlert]:
    """The conditions worth a mail, by logical name.

    Args:
        always_on_nodes: Nodes that the pools keep without work; idling is theirs to do.
    """
    return {
        "unusable": NodeAlert(
            metric="UnusableNodeCount",
            above=0,
            window="PT15M",
            severity=2,
            description="Nodes are unusable: they cost money and take no task.",
        ),
        "start-task": NodeAlert(
            metric="StartTaskFailedNodeCount",
            above=0,
            window="PT15M",
            severity=2,
            description="A start task fails: nodes cost money and take no task.",
        ),
        "idle": NodeAlert(
            metric="IdleNodeCount",
            above=always_on_nodes,
            window="PT1H",
            severity=3,
            description="Nodes idle for an hour beyond those that pools keep on purpose.",
        ),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsArgs:
    """Args of `Alerts`; `emails` has at least one address."""

    place: Place
    batch_account_id: pulumi.Input[str]
    emails: Sequence[str]
    always_on_nodes: int


class Alerts(pulumi.ComponentResource):
    """An action group and the metric alerts that call it."""

    def __init__(
        self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Alerts", name, {}, opts)
        group = ActionGroup(
            f"{name}-mail",
            resource_group_name=args.place.resource_group_name,
            location="global",
            tags=args.place.tags,
            enabled=True,
            group_short_name=_SHORT_NAME,
            email_receivers=[
                MicrosoftCommonEmailReceiverArgs(
                    name=f"person-{index}", email_address=email, use_common_alert_schema=True
                )
                for index, email in enumerate(args.emails, start=1)
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        for logical_name, alert in node_alerts(always_on_nodes=args.always_on_nodes).items():
            MetricAlert(
                f"{name}-{logical_name}",
                resource_group_name=args.place.resource_group_name,
                location="global",
                tags=args.place.tags,
                description=alert.description,
                enabled=True,
                auto_mitigate=True,
                severity=alert.severity,
                scopes=[args.batch_account_id],
                evaluation_frequency="PT5M",
                window_size=alert.window,
                criteria=MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                    odata_type=_CRITERIA,
                    all_of=[
                        MetricCriteriaArgs(
                            criterion_type="StaticThresholdCriterion",
                            name=logical_name,
                            metric_namespace="Microsoft.Batch/batchAccounts",
                            metric_name=alert.metric,
                            operator="GreaterThan",
                            threshold=alert.above,
                            time_aggregation="Average",
                        )
                    ],
                ),
                actions=[MetricAlertActionArgs(action_group_id=group.id)],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})
