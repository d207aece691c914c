"""What a person may write under `hpc:monitoring`: what is kept, told and shown."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from infra.model import Model

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class NodeTelemetryConfig(Model):
    """What nodes report of themselves, minute by minute."""

    enabled: bool = Field(
        default=False,
        description="Nodes send processor, memory, disk, network and GPU to the workspace "
        "(billed by volume: about 1 MB a node and day at 60 s).",
    )
    interval_s: int = Field(
        default=60, ge=10, le=3600, description="Seconds between two rows of a node."
    )


class MonitoringConfig(Model):
    """What is kept of what happened."""

    retention_days: int = Field(
        default=30, ge=30, le=730, description="How long the workspace keeps rows."
    )
    daily_cap_gib: float = Field(
        default=1.0, gt=0, description="Ingestion stops for the day above this."
    )
    node_telemetry: NodeTelemetryConfig = Field(default_factory=NodeTelemetryConfig)
    workbook: bool = Field(
        default=False,
        description="A page in the portal with charts of nodes, tasks, queue and cost (free).",
    )
    alert_emails: tuple[Email, ...] = Field(
        default=(),
        max_length=1000,
        description="Who gets mail when nodes or tasks fail, nodes idle or are evicted, quota "
        "runs short or the budget does; no alert exists without one.",
    )
    monthly_budget_amount: float | None = Field(
        default=None,
        gt=0,
        description="Mail at 50, 80 and 100 % of it, and when it is forecast to be exceeded; in "
        "the subscription's billing currency.",
    )
