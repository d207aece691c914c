"""What watches the estate, wired: the part of `platform` that speaks of monitoring.

Workspace, node telemetry, workbook, alerts and budget know each other and little else of
the estate, so they are put together here; components that most stacks have not are
imported where they are made, because their modules take time to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.components.batch_account import BatchAccount
from infra.components.identity import Identity
from infra.components.monitoring import Monitoring, MonitoringArgs
from infra.components.place import Place
from infra.components.start_task import TelemetryTarget
from infra.components.storage import Storage
from infra.estate import Estate
from telemetry.columns import TABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What there is to watch.

    Attributes:
        resource_group_id: Whose costs a budget counts.
        nodes: The identity of nodes.
        storage: Accounts whose reads, writes and deletes are kept, by logical name.
    """

    place: Place
    estate: Estate
    resource_group_id: pulumi.Input[str]
    account: BatchAccount
    nodes: Identity
    storage: Mapping[str, Storage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What others must know of it.

    Attributes:
        workspace_id: Resource id of the workspace.
        target: Where nodes report to, or None where they do not.
    """

    workspace_id: pulumi.Output[str]
    target: TelemetryTarget | None

    @property
    def output(self) -> dict[str, pulumi.Input[str]] | None:
        """The target as the stack outputs have it."""
        if self.target is None:
            return None
        return {
            "endpoint": self.target.endpoint,
            "rule_id": self.target.rule_id,
            "stream": self.target.stream,
            "table": TABLE,
        }


def watch(name: str, watched: Watched, opts: pulumi.ResourceOptions) -> Watching:
    """Declares what the config asks for.

    Args:
        name: What names of components begin with.
        watched: What is watched.
        opts: The components' parent.
    """
    config = watched.estate.config.monitoring
    monitoring = Monitoring(
        f"{name}-monitoring",
        MonitoringArgs(
            place=watched.place,
            retention_days=config.retention_days,
            daily_cap_gib=config.daily_cap_gib,
            batch_account_id=watched.account.account_id,
            blob_service_ids={key: one.blob_service_id for key, one in watched.storage.items()},
        ),
        opts,
    )
    target = _telemetry(name, watched, monitoring, opts) if config.node_telemetry.enabled else None
    if config.workbook:
        from infra.components.workbook import Workbook, WorkbookArgs  # noqa: PLC0415 - see above

        Workbook(
            f"{name}-workbook",
            WorkbookArgs(
                place=watched.place,
                estate=watched.estate,
                account_id=watched.account.account_id,
                workspace_id=monitoring.workspace_id,
            ),
            opts,
        )
    if config.alert_emails:
        _alerts(name, watched, monitoring, opts)
    # Rule MON001 sees to readers of the budget.
    if config.monthly_budget_amount is not None:
        from infra.components.budget import Budget, BudgetArgs  # noqa: PLC0415 - see above

        Budget(
            f"{name}-budget",
            BudgetArgs(
                resource_group_id=watched.resource_group_id,
                amount=config.monthly_budget_amount,
                emails=config.alert_emails,
                today=watched.estate.today,
            ),
            opts,
        )
    return Watching(workspace_id=monitoring.workspace_id, target=target)


def _telemetry(
    name: str, watched: Watched, monitoring: Monitoring, opts: pulumi.ResourceOptions
) -> TelemetryTarget:
    from infra.components.telemetry import Telemetry, TelemetryArgs  # noqa: PLC0415 - see above

    config = watched.estate.config.monitoring
    telemetry = Telemetry(
        f"{name}-telemetry",
        TelemetryArgs(
            place=watched.place,
            workspace_id=monitoring.workspace_id,
            workspace_name=monitoring.workspace_name,
            retention_days=config.retention_days,
            publisher_id=watched.nodes.principal_id,
        ),
        opts,
    )
    return TelemetryTarget(
        endpoint=telemetry.endpoint,
        rule_id=telemetry.rule_id,
        stream=telemetry.stream,
        client_id=watched.nodes.client_id,
        interval_s=config.node_telemetry.interval_s,
    )


def _alerts(
    name: str, watched: Watched, monitoring: Monitoring, opts: pulumi.ResourceOptions
) -> None:
    from infra.account_alerts import account_alerts  # noqa: PLC0415 - see above
    from infra.components.alerts import Alerts, AlertsArgs  # noqa: PLC0415 - see above
    from infra.log_alerts import log_alerts  # noqa: PLC0415 - see above

    estate = watched.estate
    Alerts(
        f"{name}-alerts",
        AlertsArgs(
            place=watched.place,
            batch_account_id=watched.account.account_id,
            workspace_id=monitoring.workspace_id,
            emails=estate.config.monitoring.alert_emails,
            alerts=account_alerts(estate),
            log_alerts=log_alerts(estate),
        ),
        opts,
    )
