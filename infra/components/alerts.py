"""Mail when something is wrong with nodes, tasks or quota, before somebody looks.

What is worth a mail is said elsewhere, pure: by metrics of the Batch account in
`infra.account_alerts`, by queries over the logs in `infra.log_alerts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native.monitor import (
    ActionGroup,
    ActionsArgs,
    ConditionArgs,
    ConditionFailingPeriodsArgs,
    DimensionArgs,
    DynamicMetricCriteriaArgs,
    DynamicThresholdFailingPeriodsArgs,
    MetricAlert,
    MetricAlertActionArgs,
    MetricAlertMultipleResourceMultipleMetricCriteriaArgs,
    MetricAlertSingleResourceMultipleMetricCriteriaArgs,
    MetricCriteriaArgs,
    MicrosoftCommonEmailReceiverArgs,
    ScheduledQueryRule,
    ScheduledQueryRuleCriteriaArgs,
)

from infra.account_alerts import AccountAlert
from infra.components.place import Place
from infra.log_alerts import LogAlert

_CRITERIA = "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria"
_DYNAMIC_CRITERIA = "Microsoft.Azure.Monitor.MultipleResourceMultipleMetricCriteria"
_NAMESPACE = "Microsoft.Batch/batchAccounts"
_SHORT_NAME = "hpc nodes"
_LOG_FREQUENCY = "PT15M"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsArgs:
    """Args of `Alerts`.

    Attributes:
        batch_account_id: Batch account whose metrics are watched.
        workspace_id: Workspace whose logs are.
        emails: Who is told; at least one address.
        alerts: On metrics, by logical name.
        log_alerts: On logs, by logical names of their own.
    """

    place: Place
    batch_account_id: pulumi.Input[str]
    workspace_id: pulumi.Input[str]
    emails: Sequence[str]
    alerts: Mapping[str, AccountAlert]
    log_alerts: Mapping[str, LogAlert]


class Alerts(pulumi.ComponentResource):
    """An action group and the alerts that call it."""

    def __init__(
        self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Alerts", name, {}, opts)
        group = ActionGroup(
            f"{name}-mail",
            resource_group_name=args.place.resource_group_name,
            location="global",
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
        for logical_name, alert in args.alerts.items():
            MetricAlert(
                f"{name}-{logical_name}",
                resource_group_name=args.place.resource_group_name,
                location="global",
                description=alert.description,
                enabled=True,
                auto_mitigate=True,
                severity=alert.severity,
                scopes=[args.batch_account_id],
                evaluation_frequency="PT5M",
                window_size=alert.window,
                criteria=_criteria(logical_name, alert),
                actions=[MetricAlertActionArgs(action_group_id=group.id)],
                opts=pulumi.ResourceOptions(parent=self),
            )
        for logical_name, log_alert in args.log_alerts.items():
            ScheduledQueryRule(
                f"{name}-{logical_name}",
                resource_group_name=args.place.resource_group_name,
                location=args.place.location,
                kind="LogAlert",
                display_name=f"{name}-{logical_name}",
                description=log_alert.description,
                enabled=True,
                auto_mitigate=True,
                severity=log_alert.severity,
                scopes=[args.workspace_id],
                evaluation_frequency=_LOG_FREQUENCY,
                window_size=log_alert.window,
                override_query_time_range=log_alert.looks_back,
                # Tables of events exist once the first event came.
                skip_query_validation=True,
                criteria=ScheduledQueryRuleCriteriaArgs(all_of=[_condition(log_alert)]),
                actions=ActionsArgs(action_groups=[group.id]),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})


def _condition(alert: LogAlert) -> ConditionArgs:
    return ConditionArgs(
        query=alert.query,
        metric_measure_column=alert.measure,
        time_aggregation="Maximum",
        operator="GreaterThan",
        threshold=alert.above,
        # A mail for each pool or series, which says which.
        dimensions=[DimensionArgs(name=alert.dimension, operator="Include", values=["*"])],
        failing_periods=ConditionFailingPeriodsArgs(
            min_failing_periods_to_alert=1, number_of_evaluation_periods=1
        ),
    )


def _criteria(
    name: str, alert: AccountAlert
) -> (
    MetricAlertSingleResourceMultipleMetricCriteriaArgs
    | MetricAlertMultipleResourceMultipleMetricCriteriaArgs
):
    if alert.above is None:
        # Azure takes learned thresholds in this form alone, for one resource too.
        return MetricAlertMultipleResourceMultipleMetricCriteriaArgs(
            odata_type=_DYNAMIC_CRITERIA,
            all_of=[
                DynamicMetricCriteriaArgs(
                    criterion_type="DynamicThresholdCriterion",
                    name=name,
                    metric_namespace=_NAMESPACE,
                    metric_name=alert.metric,
                    operator="GreaterThan",
                    alert_sensitivity="Medium",
                    failing_periods=DynamicThresholdFailingPeriodsArgs(
                        min_failing_periods_to_alert=3, number_of_evaluation_periods=4
                    ),
                    time_aggregation=alert.aggregation,
                )
            ],
        )
    return MetricAlertSingleResourceMultipleMetricCriteriaArgs(
        odata_type=_CRITERIA,
        all_of=[
            MetricCriteriaArgs(
                criterion_type="StaticThresholdCriterion",
                name=name,
                metric_namespace=_NAMESPACE,
                metric_name=alert.metric,
                operator="GreaterThan",
                threshold=alert.above,
                time_aggregation=alert.aggregation,
            )
        ],
    )
