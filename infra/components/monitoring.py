"""Where what happens is kept: a workspace, and what is sent to it.

Node-state metrics have no dimensions and cannot be exported, so the Batch account's
settings carry its events and the platform keeps its metrics. Telemetry of the nodes
themselves is another component's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native.monitor import (
    DiagnosticSetting,
    DiagnosticsLogSettingsArgs,
    DiagnosticsMetricSettingsArgs,
)
from pulumi_azure_native.operationalinsights import (
    Workspace,
    WorkspaceCappingArgs,
    WorkspaceSkuArgs,
)

from infra.components.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringArgs:
    """Args of `Monitoring`.

    Attributes:
        retention_days: How long the workspace keeps rows.
        daily_cap_gib: Ingestion stops for the day above this.
        batch_account_id: Batch account whose logs are kept.
        blob_service_ids: Blob services whose reads, writes and deletes are kept, by
            logical name.
    """

    place: Place
    retention_days: int
    daily_cap_gib: float
    batch_account_id: pulumi.Input[str]
    blob_service_ids: Mapping[str, pulumi.Input[str]]


class Monitoring(pulumi.ComponentResource):
    """A Log Analytics workspace and diagnostic settings.

    Attributes:
        workspace_id: Resource id of the workspace.
        workspace_name: Its name in Azure.
    """

    workspace_id: pulumi.Output[str]
    workspace_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Monitoring", name, {}, opts)
        workspace = Workspace(
            f"{name}-logs",
            resource_group_name=args.place.resource_group_name,
            location=args.place.location,
            sku=WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=args.retention_days,
            workspace_capping=WorkspaceCappingArgs(daily_quota_gb=args.daily_cap_gib),
            opts=pulumi.ResourceOptions(parent=self),
        )
        targets = [("batch", args.batch_account_id, "AllMetrics")]
        targets += [(key, value, "Transaction") for key, value in args.blob_service_ids.items()]
        for logical_name, resource_id, metrics in targets:
            DiagnosticSetting(
                f"{name}-{logical_name}",
                resource_uri=resource_id,
                workspace_id=workspace.id,
                logs=[DiagnosticsLogSettingsArgs(category_group="allLogs", enabled=True)],
                metrics=[DiagnosticsMetricSettingsArgs(category=metrics, enabled=True)],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.workspace_id = workspace.id
        self.workspace_name = workspace.name
        self.register_outputs({"workspace_id": workspace.id})
