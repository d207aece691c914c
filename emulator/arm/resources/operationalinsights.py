"""`Microsoft.OperationalInsights`: Log Analytics workspaces and their tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from emulator.arm.errors import ArmError
from emulator.arm.kinds import RESOURCE_GROUP, Context, NameRule, ResourceType

_WORKSPACE: Final = (
    f"{RESOURCE_GROUP}/providers/Microsoft.OperationalInsights/workspaces/{{workspaceName}}"
)


def _table_outputs(context: Context) -> dict[str, Any]:
    retention = context.inputs.get("retentionInDays")
    total = context.inputs.get("totalRetentionInDays")
    kept, whole = (value if isinstance(value, int) else 30 for value in (retention, total))
    return {
        "archiveRetentionInDays": max(0, whole - kept),
        "lastPlanModifiedDate": context.modified,
        "retentionInDays": kept,
        "retentionInDaysAsDefault": retention is None,
        "totalRetentionInDays": max(kept, whole),
        "totalRetentionInDaysAsDefault": total is None,
    }


def _check_columns(context: Context) -> None:
    """A custom table's name ends in `_CL`, and it has a time column (Azure Monitor tables)."""
    table_schema = context.inputs.get("schema")
    if not isinstance(table_schema, Mapping) or not context.name.endswith("_CL"):
        return
    columns = table_schema.get("columns") or []
    names = {str(one.get("name")) for one in columns if isinstance(one, Mapping)}
    if "TimeGenerated" not in names:
        raise ArmError(
            400,
            "InvalidParameter",
            f"'Properties.Schema.Columns' of table {context.name} must have a column "
            "'TimeGenerated' of type 'datetime'.",
        )


TYPES: Final = (
    ResourceType(
        token="azure-native:operationalinsights:Workspace",  # noqa: S106 - a type token
        id_format=_WORKSPACE,
        name=NameRule(
            pattern=r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
            text="4-63 letters, digits and hyphens, no hyphen at either end",
        ),
        defaults={
            "publicNetworkAccessForIngestion": "Enabled",
            "publicNetworkAccessForQuery": "Enabled",
            "retentionInDays": 30,
            "sku": {"name": "PerGB2018"},
        },
        outputs=lambda context: {
            "customerId": context.guid("workspace"),
            "createdDate": context.created,
            "modifiedDate": context.modified,
            "privateLinkScopedResources": [],
        },
    ),
    ResourceType(
        token="azure-native:operationalinsights:Table",  # noqa: S106 - a type token
        id_format=f"{_WORKSPACE}/tables/{{tableName}}",
        name=NameRule(
            pattern=r"[A-Za-z][A-Za-z0-9_]{0,62}",
            text="up to 63 letters, digits and underscores, a letter first",
        ),
        autoname="copy",
        rule=_check_columns,
        defaults={"plan": "Analytics"},
        outputs=_table_outputs,
    ),
)
