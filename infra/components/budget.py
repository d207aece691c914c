"""What the estate may cost a month, and mail before and when it does.

A budget stops nothing: Azure only tells. What bounds cost is the pools' most nodes. It
speaks of the resource group, so of all that the stack has, in the subscription's billing
currency, with costs some hours to a day late.
https://learn.microsoft.com/azure/cost-management-billing/costs/tutorial-acm-create-budgets
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import pulumi
from pulumi_azure_native.consumption import (
    Budget as AzureBudget,
)
from pulumi_azure_native.consumption import (
    BudgetTimePeriodArgs,
    CategoryType,
    NotificationArgs,
    OperatorType,
    ThresholdType,
    TimeGrainType,
)

ACTUAL_PERCENTS: Final = (50, 80, 100)
FORECAST_PERCENT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetArgs:
    """Args of `Budget`.

    Attributes:
        resource_group_id: Whose costs are counted.
        amount: A month's, in the billing currency.
        emails: Who is told; at least one address.
        today: The day of the deployment; the budget begins with its month.
    """

    resource_group_id: pulumi.Input[str]
    amount: float
    emails: Sequence[str]
    today: date


class Budget(pulumi.ComponentResource):
    """A monthly budget that tells by mail of thresholds reached and forecast."""

    def __init__(
        self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Budget", name, {}, opts)
        thresholds = [
            (f"actual-{percent}", ThresholdType.ACTUAL, percent) for percent in ACTUAL_PERCENTS
        ]
        thresholds.append(
            (f"forecast-{FORECAST_PERCENT}", ThresholdType.FORECASTED, FORECAST_PERCENT)
        )
        AzureBudget(
            f"{name}-monthly",
            scope=args.resource_group_id,
            amount=args.amount,
            category=CategoryType.COST,
            time_grain=TimeGrainType.MONTHLY,
            time_period=BudgetTimePeriodArgs(
                start_date=args.today.replace(day=1).strftime("%Y-%m-%dT00:00:00Z")
            ),
            notifications={
                key: NotificationArgs(
                    enabled=True,
                    operator=OperatorType.GREATER_THAN,
                    threshold=percent,
                    threshold_type=kind,
                    contact_emails=list(args.emails),
                )
                for key, kind, percent in thresholds
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                # Azure wants the month of creation, and the same ever after.
                ignore_changes=["timePeriod"],
            ),
        )
        self.register_outputs({})
