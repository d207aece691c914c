"""Where rows that nodes report land: a table, the rule that fills it, and who may.

Azure's own agent cannot be used: a data collection rule cannot be associated with the
machines of a Batch pool. So nodes send rows themselves (`telemetry`), to an endpoint that
takes them for this rule's stream from identities with *Monitoring Metrics Publisher* on
the rule alone. What this component deliberately does not do: start anything on nodes.
https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native.monitor import (
    ColumnDefinitionArgs,
    DataCollectionEndpoint,
    DataCollectionEndpointNetworkAclsArgs,
    DataCollectionRule,
    DataCollectionRuleDestinationsArgs,
    DataFlowArgs,
    LogAnalyticsDestinationArgs,
    StreamDeclarationArgs,
)
from pulumi_azure_native.operationalinsights import ColumnArgs, SchemaArgs, Table

from infra.components.identity import MONITORING_METRICS_PUBLISHER, Grant, assign
from infra.components.place import Place
from telemetry.columns import COLUMNS, STREAM, TABLE

_DESTINATION = "workspace"


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryArgs:
    """Args of `Telemetry`.

    Attributes:
        workspace_id: Resource id of the workspace that has the table.
        workspace_name: Its name.
        retention_days: How long the table keeps rows.
        publisher_id: Principal of the nodes, who may send rows.
    """

    place: Place
    workspace_id: pulumi.Input[str]
    workspace_name: pulumi.Input[str]
    retention_days: int
    publisher_id: pulumi.Input[str]


class Telemetry(pulumi.ComponentResource):
    """A table that nodes fill.

    Attributes:
        endpoint: URL that rows are sent to.
        rule_id: The rule's immutable id, which is part of the path.
        stream: The stream's name, likewise.
    """

    endpoint: pulumi.Output[str]
    rule_id: pulumi.Output[str]
    stream: str

    def __init__(
        self, name: str, args: TelemetryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("hpc:index:Telemetry", name, {}, opts)
        place = args.place
        table = Table(
            f"{name}-table",
            resource_group_name=place.resource_group_name,
            workspace_name=args.workspace_name,
            table_name=TABLE,
            plan="Analytics",
            retention_in_days=args.retention_days,
            schema=SchemaArgs(
                name=TABLE,
                # Tables and streams spell this one type differently.
                columns=[
                    ColumnArgs(name=one.name, type=one.type.replace("datetime", "dateTime"))
                    for one in COLUMNS
                ],
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        endpoint = DataCollectionEndpoint(
            f"{name}-endpoint",
            resource_group_name=place.resource_group_name,
            location=place.location,
            # Closed, it would need a private link scope of Azure Monitor.
            network_acls=DataCollectionEndpointNetworkAclsArgs(public_network_access="Enabled"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        rule = DataCollectionRule(
            f"{name}-rule",
            resource_group_name=place.resource_group_name,
            location=place.location,
            data_collection_endpoint_id=endpoint.id,
            stream_declarations={
                STREAM: StreamDeclarationArgs(
                    columns=[ColumnDefinitionArgs(name=one.name, type=one.type) for one in COLUMNS]
                )
            },
            destinations=DataCollectionRuleDestinationsArgs(
                log_analytics=[
                    LogAnalyticsDestinationArgs(
                        name=_DESTINATION, workspace_resource_id=args.workspace_id
                    )
                ]
            ),
            data_flows=[
                DataFlowArgs(
                    streams=[STREAM],
                    destinations=[_DESTINATION],
                    transform_kql="source",
                    output_stream=STREAM,
                )
            ],
            # Azure refuses a rule whose table is not there.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[table]),
        )
        assign(
            f"{name}-publisher",
            Grant(role=MONITORING_METRICS_PUBLISHER, scope=rule.id),
            principal_id=args.publisher_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.endpoint = endpoint.logs_ingestion.apply(
            lambda ingestion: (ingestion and ingestion.endpoint) or ""
        )
        self.rule_id = rule.immutable_id
        self.stream = STREAM
        self.register_outputs({"endpoint": self.endpoint, "rule_id": self.rule_id})
